package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

// What the token claims of a key that other tools made, and what a plan makes of it.

// caution is a warning about a key as it is on the token.
type caution struct{ title, text string }

// cautions are the warnings about a key in the state. fixed says that the token does not raise CKA_SENSITIVE.
func (r *keyResource) cautions(m keyModel, fixed bool) (all []caution) {
	a := m.common()
	if saysNo(a.Private) {
		all = append(all, caution{"Key Not Protected By The PIN", fmt.Sprintf(
			"The key %s is not protected (CKA_PRIVATE is false): whoever can open a session on the token can use it "+
				"without a PIN, and may have made it. No token protects a key afterwards.\n\n"+
				"What to do: do not trust what it signs or protects. Make a new key with this provider, which protects every key "+
				"that it makes, and let it take this one's place.", keyName(a))})
	}
	if saysNo(a.Sensitive) {
		who := "whoever has the PIN"
		if saysNo(a.Private) {
			who = "whoever can open a session on the token, without a PIN,"
		}
		change := "terraform apply sets CKA_SENSITIVE to true, where the token takes that. That keeps the value secret from then " +
			"on, and does not undo what was read before."
		if fixed {
			change = "The token does not set CKA_SENSITIVE of this key to true."
		}
		all = append(all, caution{"Key Value Not Kept Secret", fmt.Sprintf(
			"The token shows the value of the key %s in the clear (CKA_SENSITIVE is false): %s can read and copy it, and may "+
				"have done so. %s\n\nWhat to do: if the value must be secret, make a new key with this provider, and let it take "+
				"this one's place.", keyName(a), who, change)})
	}
	var problems []string
	for _, e := range m.excess() {
		problems = append(problems, e.problem)
	}
	if len(problems) > 0 {
		all = append(all, caution{"Key Unlike Any New One", fmt.Sprintf(
			"The key %s %s. This provider makes no such key, but goes on managing this one.\n\n"+
				"What to do: plan a better key to take its place.", keyName(a), strings.Join(problems, ", and "))})
	}
	return all
}

// excess is what a key that was imported may be, and no new one.
type excess struct{ attribute, problem string }

// fresh refuses what no new key may be. state is nil where the plan makes the first one, or no key is changed.
func (r *keyResource) fresh(plan, state keyModel, diags *diag.Diagnostics) {
	label := plan.common().Label
	if !label.IsUnknown() && label.ValueString() == "" && (state == nil || state.common().Label.ValueString() != "") {
		diags.AddAttributeError(path.Root("label"), "Empty Label", "A key needs a label of 1 to 255 bytes. Only a key that was "+
			"imported without one may keep label = \"\".")
	}
	if state != nil && len(replaced(plan, state)) == 0 {
		return
	}
	for _, e := range plan.excess() {
		diags.AddAttributeError(path.Root(e.attribute), "Not For A New Key", fmt.Sprintf(
			"The key %q %s. Only a key that was imported may keep what it has.", label.ValueString(), e.problem))
	}
}

// warnOf gives each warning about a key once in a run: a plan reads the key, then plans it.
func (r *keyResource) warnOf(m keyModel, fixed bool, diags *diag.Diagnostics) {
	for _, c := range r.cautions(m, fixed) {
		if r.client == nil || r.client.view.first(r.kind.name+c.title+c.text) {
			diags.AddWarning(c.title, c.text)
		}
	}
}

func saysNo(claim types.Bool) bool {
	return !claim.IsNull() && !claim.IsUnknown() && !claim.ValueBool()
}

// saysNoIn is saysNo of an attribute of a state that is not decoded.
func saysNoIn(state map[string]tftypes.Value, name string) bool {
	value, ok := state[name]
	claim := true
	return ok && value.IsKnown() && !value.IsNull() && value.As(&claim) == nil && !claim
}

// sensitiveRefused is the key in private state under which it is noted that the token does not raise CKA_SENSITIVE: Update
// has tried, or Read has seen that the key must not be changed at all.
const sensitiveRefused = "sensitive_refused"

// fixed says that the key must not be changed, by what either half says.
func fixed(key object.Key) bool {
	return slices.ContainsFunc(key.Objects(), func(o object.Object) bool {
		modifiable := o.Claims().Modifiable
		return modifiable != nil && !*modifiable
	})
}

// noteFixed notes what the key says of changes. What was noted of another key does not hold for this one.
func noteFixed(ctx context.Context, key object.Key, another bool, private privateState) (diags diag.Diagnostics) {
	if is := fixed(key); is || another {
		diags.Append(private.SetKey(ctx, sensitiveRefused, fmt.Appendf(nil, "%t", is))...)
	}
	return diags
}

// refused says that what noteFixed, or Update, has noted.
func refused(ctx context.Context, private privateState) bool {
	noted, diags := private.GetKey(ctx, sensitiveRefused)
	return !diags.HasError() && string(noted) == "true"
}

// raises says that an apply should try to set CKA_SENSITIVE, which only ever rises.
func raises(ctx context.Context, state keyModel, private privateState) bool {
	return saysNo(state.common().Sensitive) && !refused(ctx, private)
}

// raise sets CKA_SENSITIVE of a key that was just changed otherwise, and gives it as it is then. That a token does not do
// that is no failure: it is warned of and noted, and no later plan tries again. After a failure the key is as before.
func (r *keyResource) raise(
	ctx context.Context, token *hsm.Token, state keyModel, key object.Key, resp *resource.UpdateResponse,
) (object.Key, error) {
	ref, yes := r.kind.ref(state), true
	ref.ID = key.ID
	raised, err := token.Change(ctx, ref, object.Change{Sensitive: &yes})
	switch cause := hsm.CauseOf(err); {
	case err == nil:
		return raised, nil
	case cause != hsm.CauseUnchangeable && cause != hsm.CauseUnsupported && !refusedByMake(err):
		return key, err
	}
	resp.Diagnostics.AddWarning("Key Value Stays Readable", fmt.Sprintf(
		"The token does not set CKA_SENSITIVE of the key %s to true: %s The key is as it was, and no later plan tries this "+
			"again.\n\nWhat to do: if the value must be secret, make a new key with this provider, and let it take this one's place.",
		keyName(state.common()), diagnose.Sentence(err.Error())))
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, sensitiveRefused, []byte("true"))...)
	return key, nil
}

// refusedByMake says that the token's make does not do something.
func refusedByMake(err error) bool {
	_, refused := errors.AsType[*object.RefusedError](err)
	return refused
}

// forbidden refuses, in a plan, what the token's make does not do, or the key's own attributes forbid; see look. at is
// an attribute whose change is planned, none where the key is to be destroyed.
func (r *keyResource) forbidden(
	ctx context.Context, state keyModel, change object.Change, at path.Path, diags *diag.Diagnostics,
) {
	destroys := at.Equal(path.Empty())
	r.look(ctx, state, diags, func(ctx context.Context, token *hsm.Token) error {
		if err := token.AllowsDestruction(); destroys && err != nil {
			diags.Append(r.failure(diagnose.Plan, state, token, err))
			return nil
		}
		key, err := token.Key(ctx, r.kind.ref(state))
		if err != nil {
			return err
		}
		if err := token.AllowsChange(key, change); err != nil {
			diags.Append(r.failure(diagnose.Plan, state, token, err))
			return nil
		}
		summary, attribute, way := "Key Cannot Be Changed", "CKA_MODIFIABLE", "take the change back in the configuration."
		if destroys {
			summary, attribute, way = "Key Cannot Be Destroyed", "CKA_DESTROYABLE", "set deletion_policy = \"abandon\", apply "+
				"that, and then destroy or replace the resource: the key then stays on the token."
		}
		for _, o := range key.Objects() {
			claims := o.Claims()
			claim := claims.Modifiable
			if destroys {
				claim = claims.Destroyable
			}
			if claim == nil || *claim {
				continue
			}
			diags.AddAttributeError(at, summary, fmt.Sprintf("The key %s forbids what is planned: its %s is false. This provider makes no such "+
				"key.\n\nOn the token: nothing has been changed.\n\nWhat to do: %s", keyName(state.common()), attribute, way))
			break
		}
		return nil
	})
}

// notExtractable is the default of extractable: false. It stays null where the token does not tell what it is.
type notExtractable struct{}

func (notExtractable) Description(context.Context) string { return "false by default" }

func (m notExtractable) MarkdownDescription(ctx context.Context) string { return m.Description(ctx) }

func (notExtractable) PlanModifyBool(_ context.Context, req planmodifier.BoolRequest, resp *planmodifier.BoolResponse) {
	exists := !req.State.Raw.IsNull()
	switch {
	case req.ConfigValue.IsUnknown():
	case exists && req.StateValue.IsNull() && req.ConfigValue.IsNull():
		resp.PlanValue = types.BoolNull()
	case req.ConfigValue.IsNull():
		resp.PlanValue = types.BoolValue(false)
	case exists && req.StateValue.IsNull(): // a plan has to say what the configuration says
		resp.Diagnostics.AddAttributeError(path.Root("extractable"), "Not Told By The Token",
			"The token does not tell whether the key is extractable (CKA_EXTRACTABLE), so no plan can be held against that.\n\n"+
				"What to do: leave extractable out.")
	}
}
