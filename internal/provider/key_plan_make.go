package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

// What the make of a token decides, and the configuration does not say, is planned as the token has it.

// asMade plans what the token gives a new key where the configuration does not say it: its usage, and its ID where that
// follows from the label.
func (r *keyResource) asMade(token *hsm.Token, config, plan keyModel) {
	p, c := plan.common(), config.common()
	if usage, fixed := r.fixedUsage(token, plan); fixed && c.Usage.IsNull() && r.kind.usage != nil {
		p.Usage = usageSet(usage)
	}
	if c.KeyID.IsNull() { // and not as the key has it whose place the new one takes
		p.KeyID = types.StringUnknown()
		if id := r.idOf(token, p); id != nil {
			p.KeyID = types.StringValue(object.FormatID(id))
		}
	}
}

// fixedUsage is hsm.Token.FixedUsage of the key of a model.
func (r *keyResource) fixedUsage(token *hsm.Token, m keyModel) (usage object.Usage, fixed bool) {
	if !m.known() {
		return 0, false
	}
	tmpl := object.Template{Type: r.kind.keyType}
	m.fill(&tmpl)
	return token.FixedUsage(tmpl)
}

// idOf is the ID that follows from a label on this token, nil where none does.
func (r *keyResource) idOf(token *hsm.Token, a *keyAttributes) []byte {
	if a.Label.IsUnknown() || a.Label.ValueString() == "" {
		return nil
	}
	return token.IDOf(a.Label.ValueString())
}

func usageSet(usage object.Usage) types.Set {
	values := []attr.Value{}
	for _, word := range usage.Words() {
		values = append(values, types.StringValue(word))
	}
	set, _ := types.SetValue(types.StringType, values)
	return set
}

// asKept plans what the token decides of a key that is there, where the configuration does not say it: a usage that no
// template and no change decides, and the ID that follows from a new label.
func (r *keyResource) asKept(ctx context.Context, config, plan, state keyModel, resp *resource.ModifyPlanResponse) {
	c, p, s := config.common(), plan.common(), state.common()
	usage := c.Usage.IsNull() && r.kind.usage != nil && !p.Usage.Equal(s.Usage)
	label := c.KeyID.IsNull() && !p.Label.Equal(s.Label)
	if !usage && !label {
		return
	}
	r.look(ctx, state, &resp.Diagnostics, func(_ context.Context, token *hsm.Token) error {
		if _, fixed := r.fixedUsage(token, state); fixed && usage {
			p.Usage = s.Usage
			resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("usage"), p.Usage)...)
		}
		if id := r.idOf(token, p); id != nil && label {
			p.KeyID = types.StringValue(object.FormatID(id))
		}
		return nil
	})
}

// changeOf is what a plan changes of a key in place, as far as it is known.
func changeOf(ctx context.Context, plan, state *keyAttributes) (c object.Change) {
	if !plan.Label.IsUnknown() && !plan.Label.Equal(state.Label) {
		label := plan.Label.ValueString()
		c.Label = &label
	}
	if !plan.Usage.IsUnknown() && !plan.Usage.Equal(state.Usage) {
		usage := plan.usage(ctx)
		c.Usage = &usage
	}
	if !plan.Extractable.IsUnknown() && !plan.Extractable.Equal(state.Extractable) {
		extractable := plan.Extractable.ValueBool()
		c.Extractable = &extractable
	}
	if newID(plan, state) {
		c.ID = plan.id()
	}
	return c
}

// algorithm refuses the algorithm that a plan gives a key that is there, where the token knows none like that.
func (r *keyResource) algorithm(ctx context.Context, plan, state keyModel, diags *diag.Diagnostics) {
	if p := plan.common(); p.Algorithm.IsNull() || p.Algorithm.Equal(state.common().Algorithm) {
		return
	}
	r.look(ctx, state, diags, func(ctx context.Context, token *hsm.Token) error {
		if tmpl, ok := r.kind.template(ctx, plan); ok {
			if err := token.KnowsAlgorithm(tmpl); err != nil {
				diags.Append(r.failure(diagnose.Plan, plan, token, err))
			}
		}
		return nil
	})
}

// tellAlgorithm warns of the algorithm that a new key gets where several fit it, and the configuration names none.
func (r *keyResource) tellAlgorithm(token *hsm.Token, tmpl object.Template, plan labelled, diags *diag.Diagnostics) {
	fit := token.Algorithms(tmpl)
	if tmpl.Algorithm != "" || len(fit) < 2 {
		return
	}
	diags.AddWarning("Algorithm Not Chosen", fmt.Sprintf("On this token a key has one algorithm for ever, and several "+
		"fit the new key %q: %s. It gets the first of them.\n\nWhat to do: write algorithm = %q, or another one of them.",
		plan.common().Label.ValueString(), strings.Join(fit, ", "), fit[0]))
}
