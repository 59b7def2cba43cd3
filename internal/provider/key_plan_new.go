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

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

// check compares a new key with what the token offers. A token that cannot be reached fails the plan; see unreached.
// What the token decides and the configuration does not say, the plan then has.
func (r *keyResource) check(ctx context.Context, own claim, config, plan keyModel, diags *diag.Diagnostics) *hsm.Token {
	return r.offers(ctx, own, plan, func(token *hsm.Token) (object.Template, bool) {
		r.asMade(token, config, plan)
		return r.kind.template(ctx, plan)
	}, diags)
}

// offers is check with the template of the key, which is not ok as long as part of it is not known.
func (r *keyResource) offers(ctx context.Context, own claim, plan labelled,
	template func(*hsm.Token) (tmpl object.Template, ok bool), diags *diag.Diagnostics,
) (token *hsm.Token) {
	if r.client == nil {
		return nil
	}
	r.client.run(ctx, diags, r.kind.doing(diagnose.Plan), func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, readTime)
		defer cancel()
		opened, err := r.client.token(ctx)
		if err != nil {
			r.unreached(own, err, diags)
			return
		}
		if tmpl, ok := template(opened); ok {
			if err := opened.Check(ctx, tmpl); err != nil {
				diags.Append(r.failure(diagnose.Plan, plan, opened, err))
				return
			}
			r.tellAlgorithm(opened, tmpl, plan, diags)
		}
		token = opened
	})
	return token
}

// unreached tells of a token that a plan of a new key cannot open. Where the same run may still bring what is missing
// (a configuration that is not known yet), it is a warning; all else is an error. Of a thousand new keys the first tells
// it, and the others say that it is the same: an error that nobody tells would let the plan go on.
func (r *keyResource) unreached(own claim, err error, diags *diag.Diagnostics) {
	if unknown, mayCome := errors.AsType[*diagnose.UnknownError](err); mayCome {
		r.notChecked(own, fmt.Sprintf("The provider's configuration is not known yet (%s), so this plan has "+
			"not looked at the token. Whether it is there, takes the PIN and offers what the new keys need, only "+
			"the apply will show.", strings.Join(unknown.Attributes, ", ")), diags)
		return
	}
	if toCome(err) {
		r.notChecked(own, tokenToCome, diags)
		return
	}
	more := ""
	if errors.Is(err, hsm.ErrNoToken) {
		more = r.client.another()
	}
	r.once(nil, err, more+"\n\nThis is a plan of a new key. Terraform makes one for terraform destroy too, unless "+
		"you add -refresh=false.", diags)
}

// tokenToCome is why a plan has not looked at a token.
const tokenToCome = "The token that the provider's block selects is made, or gets its PIN, in this run. So this " +
	"plan has not looked whether it offers what the new keys need. Only the apply will show."

// once tells an error of the token with what follows it, and later ones of the same summary in short. Only what is told
// is worded: the words are others where the run has told of it before.
func (r *keyResource) once(token *hsm.Token, err error, more string, diags *diag.Diagnostics) {
	failure := r.failed(diagnose.Plan, &noKey{}, token, err)
	if r.client.view.first(failure.Summary()) {
		diags.AddError(failure.Summary(), failure.Diagnostic().Detail()+more)
		return
	}
	diags.AddError(failure.Summary(), "This new key meets the same.\n\nWhat to do: see the other error of this run that has the "+
		"same title.")
}

// notChecked warns of new keys for which the plan could not look at the token as it should: once in a run. What a second
// plan of a replacement warns of, Terraform does not show.
func (r *keyResource) notChecked(own claim, why string, diags *diag.Diagnostics) {
	if own.mark == "" && r.client.view.first(why) {
		diags.AddWarning("New Keys Not Checked Against The Token", why)
	}
}

// unlisted tells that a plan could not see what the token holds. It is a warning, unless the cause is the PIN.
func (r *keyResource) unlisted(own claim, token *hsm.Token, err error, diags *diag.Diagnostics) {
	if toCome(err) {
		r.notChecked(own, tokenToCome, diags)
		return
	}
	if hsm.IsPINError(err) || errors.Is(err, hsm.ErrNoPIN) {
		r.once(token, err, "", diags)
		return
	}
	failure := r.failure(diagnose.Plan, &noKey{}, token, err)
	r.notChecked(own, failure.Detail()+"\n\nSo this plan does not show whether the token already holds such keys. The plan "+
		"goes on, and the apply looks again.", diags)
}

// planNew warns where the token already has what the configuration asks for: a run that was killed right after it
// made a key leaves one that no state knows.
func (r *keyResource) planNew(ctx context.Context, own claim, config, plan keyModel,
	resp *resource.ModifyPlanResponse) {
	chosen := plan.common().id() != nil
	token := r.check(ctx, own, config, plan, &resp.Diagnostics)
	if token == nil {
		return
	}
	if id := plan.common().id(); id != nil && !chosen { // it follows from the label
		if resp.Diagnostics.Append(r.client.want(object.FormatID(id), own)...); resp.Diagnostics.HasError() {
			return
		}
		resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("key_id"), plan.common().KeyID)...)
	}
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("usage"), plan.common().Usage)...)
	// Terraform hands nothing of a new key's plan to its apply. But it compares what the plan says with what the
	// provider plans at the start of the apply. So an apply that meets another token than the plan did makes nothing.
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("token_serial"), serialOf(token.Info()))...)
	a := plan.common()
	if a.Label.IsUnknown() {
		return
	}
	r.client.run(ctx, &resp.Diagnostics, r.kind.doing(diagnose.Plan), func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, readTime)
		defer cancel()
		found, err := r.client.unmanaged(ctx, token, r.kind.keyType, a.id(), a.Label.ValueString())
		if err == nil && own.mark == "" { // of a key that is replaced, its end has warned of the certificates
			err = r.besides(ctx, token, plan, "", &resp.Diagnostics)
		}
		if err != nil {
			r.unlisted(own, token, err, &resp.Diagnostics)
			return
		}
		var have []object.Object
		for _, key := range found.keys {
			have = append(have, key.Objects()...)
		}
		if err := token.AllowsLabel(a.Label.ValueString(), have); a.id() == nil && own.mark == "" && err != nil {
			resp.Diagnostics.Append(r.failure(diagnose.Plan, plan, token, err))
			return
		}
		if !found.empty() {
			resp.Diagnostics.Append(unmanagedWarning(r.kind, a, found, token.Command))
		}
	})
}

// lines lists what is on the token, one object or key on each line.
func lines(kind keyKind, found stock) string {
	var lines []string
	for _, key := range found.keys {
		line := "  - without an ID"
		if len(key.ID) > 0 {
			line = "  - key_id " + object.FormatID(key.ID)
		}
		if key.Fingerprint() != "" {
			line += fmt.Sprintf(", %s %s", kind.mark, key.Fingerprint())
		}
		if key.Unprotected() {
			line += ", not protected by the PIN"
		}
		lines = append(lines, line)
	}
	for _, o := range found.others {
		lines = append(lines, "  - "+o.Name().String())
	}
	return strings.Join(lines, "\n")
}

// unmanagedWarning tells of what a planned key may be meant to be. It says how to adopt a key, and what to check first.
func unmanagedWarning(kind keyKind, a *keyAttributes, found stock, command func(...string) string) diag.Diagnostic {
	if a.id() != nil && len(found.keys) == 0 {
		next := fmt.Sprintf("None of it is a whole %s of this type, so it cannot be imported here.\n\nWhat to do: choose another "+
			"key_id, or first give what uses this one another ID.", kind.noun)
		whole := slices.DeleteFunc(slices.Clone(found.whole), func(k object.Key) bool { return k.Unprotected() })
		if len(whole) > 0 {
			other := otherKey(whole[0], found.whole)
			next = fmt.Sprintf("It is a key of another type: %s.\n\nWhat to do: choose another key_id. Or, if this is the key "+
				"that you want, manage it by %s. %s Then:\n\n%s", other.Text, other.Resource, diagnose.CheckFirst,
				diagnose.HowToImport(other.Resource, other.ImportID))
		}
		return diag.NewAttributeWarningDiagnostic(path.Root("key_id"), "Key ID Already On The Token", fmt.Sprintf(
			"A new key %q is planned, but something on the token already uses its key_id:\n\n%s\n\nThe apply will be refused "+
				"and make nothing. %s", a.Label.ValueString(), lines(kind, found), next))
	}
	protected := slices.DeleteFunc(slices.Clone(found.keys), func(k object.Key) bool { return k.Unprotected() })
	adopt := "do not adopt it: " + diagnose.WhatUnprotectedMeans + "."
	if len(protected) > 0 {
		adopt = "if it is the key that you want, left by an interrupted apply for instance, adopt it instead of making a " +
			"second one. " + diagnose.CheckFirst
		if len(protected[0].ID) > 0 {
			adopt += " Then:\n\n" + diagnose.HowToImport(kind.typeName(), importIDOf(protected[0], found.keys))
		} else {
			adopt += " Then " + diagnose.HowToGiveAnID(command, kind.forMessages().Parts, a.Label.ValueString()) +
				"\n\nand import it by that ID."
		}
		if len(protected) < len(found.keys) {
			adopt += "\n\nDo not adopt one that is not protected by the PIN (CKA_PRIVATE=false): anyone who can open a session on " +
				"the token may have made it, and can use it."
		}
	}
	if a.id() != nil {
		return diag.NewAttributeWarningDiagnostic(path.Root("key_id"), "Key ID Already On The Token", fmt.Sprintf(
			"A new key %q is planned, but a %s on the token already uses its key_id:\n\n%s\n\nUnless that key is destroyed "+
				"first, the apply will be refused and make nothing. As far as this run has seen, no resource of this state "+
				"manages that key.\n\nWhat to do: %s\n\nOtherwise choose another key_id.\n\n"+
				"If it is so with all keys, the state may be lost: see the guide \"State lost\".",
			a.Label.ValueString(), kind.noun, lines(kind, found), adopt))
	}
	return diag.NewAttributeWarningDiagnostic(path.Root("label"), "Label Already On The Token", fmt.Sprintf(
		"A new key %q is planned, but the token already holds a %s with this label:\n\n%s\n\n"+
			"As far as this run has seen, no resource of this state manages that key. (An apply does not look at what it "+
			"does not change, so it may say this of a key that is managed.)\n\nWhat to do: %s\n\n"+
			"If you want one more key with this label, for a rotation for instance, go on. If it is so with all keys, the state "+
			"may be lost: see the guide \"State lost\".",
		a.Label.ValueString(), kind.noun, lines(kind, found), adopt))
}

// errUnknownAtApply does not happen with a Terraform that keeps to its protocol.
var errUnknownAtApply = errors.New("part of the plan is still unknown at apply time")
