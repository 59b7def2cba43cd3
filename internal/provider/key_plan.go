package provider

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

// ModifyPlan refuses at plan time what deletion_policy forbids or the token does not offer, says which changes
// replace the key, and makes unknown what an update in place changes besides.
func (r *keyResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	own := claim{mark: markOf(ctx, req.Private)}
	if !req.State.Raw.IsNull() {
		own = r.claimOf(req.State.Raw, own.mark)
		own.leaves = req.Plan.Raw.IsNull() && own.policy == policyAbandon
		resp.Diagnostics.Append(r.client.claim(own)...)
		if unchanged(ctx, req) && !own.doubtful || resp.Diagnostics.HasError() {
			return
		}
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
		r.warnOf(state, refused(ctx, req.Private), &resp.Diagnostics)
	}
	if plan != nil {
		r.fresh(plan, state, &resp.Diagnostics)
	}
	switch {
	case plan == nil:
		r.planEnd(ctx, state, &resp.Diagnostics)
	case state == nil:
		own.resource, own.label = r.kind.typeName(), plan.common().Label.ValueString()
		if r.planForced(own.mark, plan, &resp.Diagnostics); resp.Diagnostics.HasError() {
			return
		}
		if id := plan.common().id(); id != nil {
			resp.Diagnostics.Append(r.client.want(object.FormatID(id), own)...)
		}
		if !resp.Diagnostics.HasError() {
			r.planNew(ctx, own, config, plan, resp)
		}
	default:
		if paths := replaced(plan, state); len(paths) > 0 {
			r.planReplacement(ctx, config, plan, state, paths, resp)
			return
		}
		r.asKept(ctx, config, plan, state, resp)
		r.algorithm(ctx, plan, state, &resp.Diagnostics)
		r.planUpdate(ctx, req, own, plan, state, resp)
	}
}

// unchanged says whether the plan is the same as the state, so that an apply would write nothing to the token. Most
// keys of most plans are like that, so it decodes nothing.
func unchanged(ctx context.Context, req resource.ModifyPlanRequest) bool {
	if !req.Plan.Raw.Equal(req.State.Raw) {
		return false
	}
	return noted(ctx, req.Private) == note{}
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
	from, to := state.common().Algorithm, plan.common().Algorithm
	if !from.IsNull() && !to.IsNull() && !from.Equal(to) {
		paths = append(paths, path.Root("algorithm"))
	}
	return paths
}

func (r *keyResource) planReplacement(ctx context.Context, config, plan, state keyModel, paths []path.Path, resp *resource.ModifyPlanResponse) {
	configured := config.common()
	id := configured.id()
	sameID := id != nil && bytes.Equal(id, state.common().id())
	switch policyOf(state) {
	case policyPrevent:
		resp.Diagnostics.Append(prevented(removal{key: keyName(state.common()), replacedBy: paths,
			has: values(state, paths), sameID: sameID, configured: configured.DeletionPolicy.ValueString()}))
		return
	case policyAbandon:
		if sameID {
			resp.Diagnostics.Append(staysTaken("The change of "+names(paths)+" replaces the key "+
				keyName(state.common())+" by a new one.", ""))
			return
		}
		resp.Diagnostics.Append(stays(state.common(), "A new key takes its place in the state, and in every set that is made of "+
			"the resource. But"))
	case policyDelete:
		if sameID {
			resp.Diagnostics.Append(r.oldID(keyName(state.common()), "is to be destroyed, and the new key in its place gets"))
		}
		r.warnOfCertificates(ctx, state, &resp.Diagnostics)
		r.forbidden(ctx, state, object.Change{}, path.Empty(), &resp.Diagnostics)
	}
	r.check(ctx, claim{}, config, plan, &resp.Diagnostics)
	resp.RequiresReplace = append(resp.RequiresReplace, paths...)
}

// planForced looks at a new key that takes the place of one without a change of the configuration. For -replace and
// replace_triggered_by Terraform plans a second time, without the state, but with the mark that the first plan had.
// Of a tainted resource it gives neither, so that only the ID tells, which must be one that this run has read.
func (r *keyResource) planForced(mark string, plan keyModel, diags *diag.Diagnostics) {
	id := plan.common().id()
	text := ""
	if id != nil {
		text = object.FormatID(id)
	}
	old, ok, tainted := r.client.replacedBy(mark, text)
	if !ok {
		return
	}
	sameID := strings.EqualFold(old.keyID, text)
	switch {
	case old.policy == policyPrevent:
		diags.Append(prevented(removal{key: old.name(), forced: !tainted, tainted: tainted, sameID: sameID,
			configured: plan.common().DeletionPolicy.ValueString()}))
	case old.policy == policyAbandon && sameID && tainted:
		diags.Append(staysTaken("Terraform plans a new key with the key_id of the key "+old.name()+": either the "+
			"resource is tainted, or the key is that of another resource.", "If the resource is tainted, run "+
			"terraform untaint with its address first, before terraform destroy too. If it has a new name or index, tell "+
			"Terraform the old address with a moved block. For a new key: "))
	case old.policy == policyAbandon && sameID:
		diags.Append(staysTaken("-replace or replace_triggered_by replaces the key "+old.name()+" by a new one.", ""))
	case old.policy == policyDelete && tainted: // what a second plan warns of, Terraform does not show
		diags.Append(r.oldID(old.name(), "is to be destroyed, and the new key in its place gets"))
	}
}

// staysTaken refuses a new key with the ID of one that stays on the token. first is what to do before all else.
func staysTaken(happens, first string) diag.Diagnostic {
	return diag.NewAttributeErrorDiagnostic(path.Root("key_id"), "Key ID Stays Taken", happens+" With "+
		"deletion_policy = \"abandon\" the old key stays on the token and keeps its key_id, so the new key cannot "+
		"have the same one.\n\nOn the token: nothing has been changed.\n\n"+
		"What to do: "+first+"leave this resource as it was, and add a second resource with another key_id for the "+
		"new key. Let those who verify or decrypt have both, and take the old one away later. Another key_id in "+
		"this resource would take the old key out of the state, and a pair's public key out of every set that is made "+
		"of it, in the same apply. The guide \"Replace and rotate\" shows the steps.")
}

// stays warns that an abandoned key stays where it is.
func stays(a *keyAttributes, what string) diag.Diagnostic {
	return diag.NewWarningDiagnostic("Key Stays On The Token", fmt.Sprintf("The key %s leaves the state. %s its deletion_policy "+
		"is \"abandon\": it stays on the token, and whoever has the PIN can go on using it.", keyName(a), what))
}

// values are those of a key's attributes, as a configuration writes them: "modulus_bits = 2048 and public_exponent = 3".
func values(m keyModel, paths []path.Path) string {
	v, texts := reflect.ValueOf(m).Elem(), make([]string, len(paths))
	for i, p := range paths {
		for _, field := range reflect.VisibleFields(v.Type()) {
			if field.Tag.Get("tfsdk") == p.String() {
				texts[i] = fmt.Sprintf("%s = %s", p, v.FieldByIndex(field.Index).Interface())
			}
		}
	}
	return strings.Join(texts, " and ")
}

// oldID warns of a new key under the ID of one that is destroyed.
func (r *keyResource) oldID(old, happens string) diag.Diagnostic {
	text := "Whoever finds keys by their IDs takes the new one for the old one: what was made with the old key " +
		"cannot be decrypted or verified with it."
	if r.kind.keyType != object.Secret {
		text = "Verifiers keep public keys by their kid, which follows key_id. Those that know the old key check " +
			"the new key's signatures against it, and refuse them."
	}
	return diag.NewAttributeWarningDiagnostic(path.Root("key_id"), "New Key Under An Old ID", fmt.Sprintf(
		"The key %s %s the same key_id. %s\n\nWhat to do: give the new key another key_id, unless nobody has seen the old "+
			"one.", old, happens, text))
}

// writes says that an apply of the plan writes to the token: deletion_policy and timeouts are not on it.
func writes(plan, state *keyAttributes) bool {
	return !plan.Label.Equal(state.Label) || !plan.Usage.Equal(state.Usage) || newID(plan, state) ||
		!plan.Extractable.Equal(state.Extractable)
}

func newID(plan, state *keyAttributes) bool {
	return plan.KeyID.IsUnknown() || !bytes.Equal(plan.id(), state.id())
}

// consequencesOf says what the planned change changes besides.
func consequencesOf(ctx context.Context, plan, state *keyAttributes, left object.Usage) consequences {
	c := consequences{newID: newID(plan, state)}
	if plan.Usage.IsUnknown() {
		c.usage, c.use = true, true
		return c
	}
	was, is := state.usage(ctx)|left, plan.usage(ctx)
	c.usage, c.use = was != is, use(was) != use(is)
	return c
}

// planUpdate makes unknown what changes with usages and the ID, and nothing that does not: what depends on that would
// be replaced for nothing.
func (r *keyResource) planUpdate(ctx context.Context, req resource.ModifyPlanRequest, own claim, plan, state keyModel,
	resp *resource.ModifyPlanResponse,
) {
	p, s := plan.common(), state.common()
	n, rises := noted(ctx, req.Private), raises(ctx, state, req.Private)
	if !writes(p, s) && !rises && n == (note{}) {
		return
	}
	at := path.Root("extractable")
	for _, attribute := range []struct {
		name    string
		changes bool
	}{{"usage", !p.Usage.Equal(s.Usage) || n != note{}}, {"label", !p.Label.Equal(s.Label)}, {"key_id", newID(p, s)}} {
		if attribute.changes {
			at = path.Root(attribute.name)
		}
	}
	r.forbidden(ctx, state, changeOf(ctx, p, s), at, &resp.Diagnostics)
	p.forgetUntold() // of a state of before these attributes, the update says them
	if rises {       // unknown, since some tokens do not take it
		p.Sensitive = types.BoolUnknown()
	}
	if n != (note{}) {
		// The configuration and the state agree, so that Terraform sees nothing to apply unless something is unknown. This is
		// a claim that nobody publishes; a JWK or a URI would replace what depends on it.
		p.Local = types.BoolUnknown()
	}
	if newID(p, s) {
		r.planNewID(ctx, own, plan, state, &resp.Diagnostics)
		if resp.Diagnostics.HasError() {
			return
		}
	}
	switch uri := p.URI.ValueString(); {
	case uri == "" || p.Label.Equal(s.Label):
	case p.Label.IsUnknown(): // sets show labels
		p.URI = types.StringUnknown()
	default: // one of an earlier version has the old label
		p.URI = types.StringValue(pkcs11uri.Unlabelled(uri))
	}
	if fingerprint := state.fingerprint(); fingerprint != "" && !p.Label.IsUnknown() && r.client != nil {
		r.client.view.relabel(fingerprint, p.Label.ValueString())
	}
	plan.forget(consequencesOf(ctx, p, s, n.leftOut))
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
}

// planNewID warns of what a new ID of a key means, and where it is taken; see look. It is an error where it is the ID
// of another resource's key.
func (r *keyResource) planNewID(ctx context.Context, own claim, plan, state keyModel, diags *diag.Diagnostics) {
	a, to := plan.common(), ""
	if a.id() != nil {
		to = object.FormatID(a.id())
		if diags.Append(r.client.want(to, own)...); diags.HasError() {
			return
		}
	}
	if fingerprint := state.fingerprint(); r.client != nil && fingerprint != "" && r.kind.keyType != object.Secret {
		r.client.view.move(fingerprint) // its certificate follows
	}
	diags.Append(r.movingID(state.common(), to))
	r.look(ctx, plan, diags, func(ctx context.Context, token *hsm.Token) error {
		if r.kind.keyType != object.Secret {
			warning, err := r.stayBehind(ctx, token, plan, state)
			if err != nil {
				return err
			}
			appendSome(diags, warning)
		}
		if a.id() == nil {
			return nil
		}
		if err := r.besides(ctx, token, plan, state.fingerprint(), diags); err != nil {
			return err
		}
		found, err := r.client.unmanaged(ctx, token, r.kind.keyType, a.id(), "")
		if err != nil {
			return err
		}
		// A change that was interrupted may have given the key its new ID, or half of it.
		mine := func(fingerprint string) bool { return fingerprint != "" && fingerprint == state.fingerprint() }
		found.keys = slices.DeleteFunc(found.keys, func(k object.Key) bool { return mine(k.Fingerprint()) })
		found.others = slices.DeleteFunc(found.others, func(o object.Object) bool {
			spec := object.SpecOf(o.CKK)
			return spec != nil && mine(spec.Fingerprint(o))
		})
		if !found.empty() {
			diags.AddAttributeWarning(path.Root("key_id"), "Key ID Already On The Token", fmt.Sprintf(
				"The key %s is to get the key_id %s, but something else on the token already uses that ID:\n\n%s\n\n"+
					"The apply would be refused, and the key would keep its old ID.\n\nWhat to do: choose another "+
					"key_id for the key. Or find out who made what uses the ID, and give that another ID, or destroy "+
					"it, before you apply.",
				keyName(state.common()), to, lines(r.kind, found)))
		}
		return nil
	})
}

// besides warns of certificates that have the ID that a pair is to get. own is the fingerprint of a pair that is there.
func (r *keyResource) besides(ctx context.Context, token *hsm.Token, plan keyModel, own string,
	diags *diag.Diagnostics) error {
	if r.kind.keyType == object.Secret || plan.common().id() == nil {
		return nil
	}
	warning, err := r.already(ctx, token, plan, own)
	appendSome(diags, warning)
	return err
}

func appendSome(diags *diag.Diagnostics, warning diag.Diagnostic) {
	if warning != nil {
		diags.Append(warning)
	}
}

// planEnd refuses the end of a key that deletion_policy protects, and warns of certificates that would be left.
func (r *keyResource) planEnd(ctx context.Context, state keyModel, diags *diag.Diagnostics) {
	switch policyOf(state) {
	case policyPrevent:
		a := state.common()
		made := r.client.succeeded(r.kind.keyType, a) // an apply comes here with what create_before_destroy has left
		diags.Append(prevented(removal{key: keyName(a), applied: made, successor: made}))
	case policyAbandon:
		diags.Append(stays(state.common(), "Terraform says that it is destroyed. But"))
	case policyDelete:
		r.warnOfCertificates(ctx, state, diags)
		r.forbidden(ctx, state, object.Change{}, path.Empty(), diags)
	}
}

func (r *keyResource) warnOfCertificates(ctx context.Context, state keyModel, diags *diag.Diagnostics) {
	if r.kind.keyType == object.Secret {
		return
	}
	r.look(ctx, state, diags, func(ctx context.Context, token *hsm.Token) error {
		warning, err := r.leftWithout(ctx, token, state)
		appendSome(diags, warning)
		return err
	})
}

// look looks at the token for warnings. If it cannot, it says so only of a PIN: the apply looks again.
func (r *keyResource) look(ctx context.Context, m labelled, diags *diag.Diagnostics,
	at func(context.Context, *hsm.Token) error,
) {
	if !r.client.known() {
		return
	}
	r.client.run(ctx, diags, r.kind.doing(diagnose.Plan), func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, readTime)
		defer cancel()
		token, err := r.client.token(ctx)
		if err == nil {
			err = at(ctx, token)
		}
		if hsm.IsPINError(err) {
			diags.Append(r.failure(diagnose.Plan, m, token, err))
		}
	})
}
