package provider

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

// ModifyPlan refuses at plan time what deletion_policy forbids or the token does not offer, says which changes
// replace the key, and makes unknown what an update in place changes besides.
func (r *keyResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if keyID, same := unchanged(ctx, req); same {
		r.client.noteManaged(keyID)
		return
	}
	var plan, state, config keyModel
	if !req.Plan.Raw.IsNull() {
		plan, config = r.kind.newModel(), r.kind.newModel()
		resp.Diagnostics.Append(req.Plan.Get(ctx, plan)...)
		resp.Diagnostics.Append(req.Config.Get(ctx, config)...)
	}
	if !req.State.Raw.IsNull() {
		state = r.kind.newModel()
		resp.Diagnostics.Append(req.State.Get(ctx, state)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	if state != nil {
		r.client.noteManaged(state.common().KeyID.ValueString())
		r.warnOf(state, &resp.Diagnostics)
	}
	if plan != nil {
		r.fresh(plan, state, &resp.Diagnostics)
	}
	switch {
	case plan == nil:
		if policyOf(state) == policyPrevent {
			resp.Diagnostics.Append(prevented(removal{key: keyName(state.common())}))
		}
		if policyOf(state) == policyDelete {
			r.forbidden(ctx, state, true, &resp.Diagnostics)
		}
	case state == nil:
		r.planNew(ctx, plan, resp)
	default:
		if paths := replaced(plan, state); len(paths) > 0 {
			r.planReplacement(ctx, config, plan, state, paths, resp)
			return
		}
		r.planUpdate(ctx, req, plan, state, resp)
	}
}

// unchanged says whether the plan is the same as the state, so that an apply would write nothing to the token, and
// gives the state's key_id. Most keys of most plans are like that, so it decodes no more than it must.
func unchanged(ctx context.Context, req resource.ModifyPlanRequest) (keyID string, same bool) {
	if req.State.Raw.IsNull() || !req.Plan.Raw.Equal(req.State.Raw) {
		return "", false
	}
	if differ, diags := req.Private.GetKey(ctx, halvesDiffer); diags.HasError() || string(differ) == "true" {
		return "", false
	}
	var state map[string]tftypes.Value
	if req.State.Raw.As(&state) != nil || state["key_id"].As(&keyID) != nil || saysNoIn(state, "private") ||
		saysNoIn(state, "sensitive") {
		return "", false
	}
	return keyID, true
}

func policyOf(state keyModel) string {
	policy := state.common().DeletionPolicy.ValueString()
	if policy == "" {
		return policyPrevent
	}
	return policy
}

// replaced are the attributes whose planned change replaces the key, since no token makes it in place.
func replaced(plan, state keyModel) []path.Path {
	paths := plan.replacing(state)
	was, is := state.common().Extractable, plan.common().Extractable
	if !was.ValueBool() && (is.IsUnknown() || is.ValueBool()) && !was.Equal(is) {
		paths = append(paths, path.Root("extractable"))
	}
	return paths
}

func (r *keyResource) planReplacement(ctx context.Context, config, plan, state keyModel, paths []path.Path, resp *resource.ModifyPlanResponse) {
	configured := config.common()
	switch policyOf(state) {
	case policyPrevent:
		resp.Diagnostics.Append(prevented(removal{key: keyName(state.common()), replacedBy: paths, configured: configured.DeletionPolicy.ValueString()}))
		return
	case policyAbandon:
		if id := configured.id(); id != nil && bytes.Equal(id, state.common().id()) {
			resp.Diagnostics.AddAttributeError(path.Root("key_id"), "Key ID Stays Taken", fmt.Sprintf(
				"The change of %s replaces the key %s by a new one. With deletion_policy = \"abandon\" the old key stays on the "+
					"token and keeps its key_id, so the new key "+
					"cannot have the same one.\n\nOn the token: nothing has been changed.\n\nWhat to do: give the new key another "+
					"key_id, or leave key_id out to get a random one.",
				names(paths), keyName(state.common())))
			return
		}
	}
	if policyOf(state) == policyDelete {
		r.forbidden(ctx, state, true, &resp.Diagnostics)
	}
	r.check(ctx, plan, &resp.Diagnostics)
	resp.RequiresReplace = append(resp.RequiresReplace, paths...)
}

// planUpdate makes unknown what depends on names and usages, where those change or the two halves differ. So what
// refers to the key, a JWKS above all, is read after the change and not before.
func (r *keyResource) planUpdate(ctx context.Context, req resource.ModifyPlanRequest, plan, state keyModel, resp *resource.ModifyPlanResponse) {
	differ, diags := req.Private.GetKey(ctx, halvesDiffer)
	resp.Diagnostics.Append(diags...)
	p, s := plan.common(), state.common()
	newID := p.KeyID.IsUnknown() || !bytes.Equal(p.id(), s.id())
	names := !p.Label.Equal(s.Label) || !p.Usage.Equal(s.Usage) || newID || string(differ) == "true"
	rises := raises(ctx, state, req.Private)
	if !names && !rises && p.Extractable.Equal(s.Extractable) {
		return
	}
	r.forbidden(ctx, state, false, &resp.Diagnostics)
	if rises { // unknown, since some tokens do not take it
		p.Sensitive = types.BoolUnknown()
		resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
	}
	if !names {
		return
	}
	if newID && p.id() != nil {
		r.planNewID(ctx, plan, state, &resp.Diagnostics)
	}
	plan.forget(newID)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
}

// planNewID warns where the new ID of a key is taken. If it cannot look, it says so only of a PIN: the apply looks
// again.
func (r *keyResource) planNewID(ctx context.Context, plan, state keyModel, diags *diag.Diagnostics) {
	if !r.client.known() {
		return
	}
	r.client.run(ctx, diags, r.kind.doing(diagnose.Plan), func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, readTime)
		defer cancel()
		a := plan.common()
		token, err := r.client.token(ctx)
		var unmanaged []object.Key
		if err == nil {
			unmanaged, err = r.client.unmanaged(ctx, token, r.kind.keyType, a.id(), "")
		}
		if hsm.IsPINError(err) {
			diags.Append(r.failure(diagnose.Plan, plan, token, err))
		}
		own := state.fingerprint() // a change that was interrupted may have given the key its new ID
		unmanaged = slices.DeleteFunc(unmanaged, func(k object.Key) bool { return own != "" && k.Fingerprint() == own })
		if len(unmanaged) > 0 {
			diags.AddAttributeWarning(path.Root("key_id"), "Key ID Already On The Token", fmt.Sprintf(
				"The key %s is to get the key_id %s, but another %s on the token already uses that ID:\n\n%s\n\nGive that key "+
					"another ID or destroy it before you apply, or choose another "+
					"key_id. Otherwise the apply will be refused, and the key keeps its old ID.",
				keyName(state.common()), object.FormatID(a.id()), r.kind.noun, lines(r.kind, unmanaged)))
		}
	})
}

// check compares a new key with what the token offers, where the plan can know that. A token that cannot be reached
// is a warning: the same apply may make it. A refused PIN is an error, so that it is not sent again.
func (r *keyResource) check(ctx context.Context, plan keyModel, diags *diag.Diagnostics) (token *hsm.Token) {
	if !r.client.known() {
		return nil
	}
	r.client.run(ctx, diags, r.kind.doing(diagnose.Plan), func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, readTime)
		defer cancel()
		opened, err := r.client.token(ctx)
		if err != nil {
			r.unchecked(plan, nil, err, diags)
			return
		}
		tmpl, ok := r.kind.template(ctx, plan)
		if !ok {
			return
		}
		if err := opened.Check(ctx, tmpl); err != nil {
			diags.Append(r.failure(diagnose.Plan, plan, opened, err))
			return
		}
		token = opened
	})
	return token
}

// unchecked warns that the token could not be looked at: once in a run, since every new key would say the same.
func (r *keyResource) unchecked(plan keyModel, token *hsm.Token, err error, diags *diag.Diagnostics) {
	failure := r.failure(diagnose.Plan, plan, token, err)
	if hsm.IsPINError(err) {
		diags.Append(failure)
		return
	}
	if r.client.view.firstWarning() {
		diags.AddWarning("New Keys Not Checked Against The Token", "The plan goes on. The apply will fail for the same "+
			"reason, unless that is gone by then.\n\n"+failure.Detail())
	}
}

// planNew warns where the token already has what the configuration asks for: a run that was killed right after it
// made a key leaves one that no state knows.
func (r *keyResource) planNew(ctx context.Context, plan keyModel, resp *resource.ModifyPlanResponse) {
	token := r.check(ctx, plan, &resp.Diagnostics)
	a := plan.common()
	if token == nil || a.Label.IsUnknown() {
		return
	}
	r.client.run(ctx, &resp.Diagnostics, r.kind.doing(diagnose.Plan), func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, readTime)
		defer cancel()
		unmanaged, err := r.client.unmanaged(ctx, token, r.kind.keyType, a.id(), a.Label.ValueString())
		if err != nil {
			r.unchecked(plan, token, err, &resp.Diagnostics)
			return
		}
		if len(unmanaged) > 0 {
			resp.Diagnostics.Append(unmanagedWarning(r.kind, a, unmanaged))
		}
	})
}

// lines lists keys on the token, one on each line.
func lines(kind keyKind, keys []object.Key) string {
	var lines []string
	for _, key := range keys {
		line := "  - key_id " + object.FormatID(key.ID)
		if key.Fingerprint() != "" {
			line += fmt.Sprintf(", %s %s", kind.mark, key.Fingerprint())
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func unmanagedWarning(kind keyKind, a *keyAttributes, unmanaged []object.Key) diag.Diagnostic {
	if a.id() != nil {
		return diag.NewAttributeWarningDiagnostic(path.Root("key_id"), "Key ID Already On The Token", fmt.Sprintf(
			"A new key %q is planned, but a %s on the token already uses its key_id:\n\n%s\n\nUnless that key is destroyed "+
				"first, the apply will be refused and make nothing. "+
				"If it is the key you want, left by an interrupted apply for instance, adopt it:\n\n%s\n\nOtherwise choose "+
				"another key_id.",
			a.Label.ValueString(), kind.noun, lines(kind, unmanaged), diagnose.HowToImport(kind.typeName(),
				object.FormatID(unmanaged[0].ID))))
	}
	return diag.NewAttributeWarningDiagnostic(path.Root("label"), "Label Already On The Token", fmt.Sprintf(
		"A new key %q is planned, but the token already holds a %s with this label:\n\n%s\n\n"+
			"As far as this run has seen, no resource of this state manages that key. (An apply does not look at what it "+
			"does not change, so it may say this of a key that is managed.) "+
			"An interrupted apply may have left it. If it is the key you want, adopt it instead of making a second "+
			"one:\n\n%s\n\n"+
			"If you want one more key with this label, for a rotation for instance, go on.",
		a.Label.ValueString(), kind.noun, lines(kind, unmanaged), diagnose.HowToImport(kind.typeName(),
			object.FormatID(unmanaged[0].ID))))
}

// errUnknownAtApply does not happen with a Terraform that keeps to its protocol.
var errUnknownAtApply = errors.New("part of the plan is still unknown at apply time")
