package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

var (
	_ resource.ResourceWithConfigure      = (*keyResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*keyResource)(nil)
	_ resource.ResourceWithValidateConfig = (*keyResource)(nil)
	_ resource.ResourceWithImportState    = (*keyResource)(nil)
)

// keyResource is each of the resources of keys. What differs between them is in their kind.
type keyResource struct {
	kind   keyKind
	client *client
}

// How long operations may take where the configuration does not say. Generating a large RSA key on a small token
// takes minutes.
const (
	createTime = 20 * time.Minute
	readTime   = 5 * time.Minute
	changeTime = 5 * time.Minute
)

func (r *keyResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = r.kind.typeName()
	resp.ResourceBehavior.MutableIdentity = true
}

func (r *keyResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{MarkdownDescription: r.kind.description, Attributes: r.kind.schemaAttributes(ctx)}
}

func (r *keyResource) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	if c, ok := req.ProviderData.(*client); ok {
		r.client = c
	}
}

// ValidateConfig refuses what does not fit together.
func (r *keyResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	if r.kind.validate != nil {
		resp.Diagnostics.Append(r.kind.validate(ctx, req.Config)...)
	}
}

// failure tells of a failed operation on the key of a model.
func (r *keyResource) failure(doing string, m labelled, token *hsm.Token, err error) diag.Diagnostic {
	return r.failed(doing, m, token, err).Diagnostic()
}

func (r *keyResource) failed(doing string, m labelled, token *hsm.Token, err error) diagnose.Failure {
	a, kind := m.common(), r.kind.forMessages()
	return diagnose.Failure{
		Err: err, Doing: doing, Kind: &kind, Token: token, Provider: r.client.forMessages(), KeyID: a.KeyID.ValueString(),
		Label: a.Label.ValueString(), Managed: r.client.has(a.KeyID.ValueString()),
	}
}

// within runs an operation with a time limit, on the open token.
func (r *keyResource) within(ctx context.Context, diags *diag.Diagnostics, doing string, m labelled,
	timeout func(context.Context, time.Duration) (time.Duration, diag.Diagnostics), otherwise time.Duration,
	operation func(context.Context, *hsm.Token) error,
) {
	limit, ds := timeout(ctx, otherwise)
	diags.Append(ds...)
	if diags.HasError() {
		return
	}
	if limit <= 0 { // in the state of a provider that took it
		limit = otherwise
	}
	r.client.within(ctx, diags, limit, r.kind.doing(doing), doing == diagnose.Read, operation,
		func(token *hsm.Token, err error) diag.Diagnostic { return r.failure(doing, m, token, err) })
}

// within runs a resource's operation with a time limit, on the open token. reads says that it changes nothing, so that
// there is nothing to be cautious about, and nothing to do while the token's PIN is to come.
func (c *client) within(
	ctx context.Context, diags *diag.Diagnostics, limit time.Duration, doing string, reads bool,
	operation func(context.Context, *hsm.Token) error, failure func(*hsm.Token, error) diag.Diagnostic,
) {
	c.run(ctx, diags, doing, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		token, err := c.token(ctx)
		if reads && errors.Is(err, diagnose.ErrPINToCome) {
			c.notRead(diags)
			return
		}
		if err == nil {
			err = operation(ctx, token)
		}
		if err != nil {
			diags.Append(failure(token, err))
		}
		if token != nil && !reads {
			diags.Append(c.cautions(token)...)
		}
	})
}

func (r *keyResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	m := r.kind.newModel()
	resp.Diagnostics.Append(req.Plan.Get(ctx, m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	r.within(ctx, &resp.Diagnostics, diagnose.Create, m, m.common().Timeouts.Create, createTime,
		func(ctx context.Context, token *hsm.Token) error {
			tmpl, ok := r.kind.template(ctx, m)
			if !ok {
				return errUnknownAtApply
			}
			if r.fresh(m, nil, &resp.Diagnostics); resp.Diagnostics.HasError() {
				return nil // what the plan did not know yet
			}
			key, err := token.Generate(ctx, tmpl)
			if err != nil {
				return err
			}
			if old, was := r.client.view.noteMade(key); was {
				resp.Diagnostics.Append(r.oldID(old, "was destroyed, and the new key in its place has"))
			}
			r.client.noteManaged(object.FormatID(key.ID))
			planned := copyOf(m)
			if err := r.kind.read(m, key, token.Info()); err != nil {
				return err
			}
			keepPlanned(m, planned)
			identify(ctx, resp.Identity, &resp.Diagnostics, token.Info(), key.ID)
			resp.Diagnostics.Append(mark(ctx, resp.Private)...)
			resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
			return nil
		})
}

// The keys in private state under which Read notes what an apply is to write, although the state shows no difference
// from the configuration.
const (
	halvesDiffer  = "halves_differ"  // true: the public half has another label or usage than the private half
	usagesLeftOut = "usage_left_out" // the words of leftOut
)

// note is what Read has noted, and no apply has written yet.
type note struct {
	halves  bool
	leftOut object.Usage
}

// noteOf is the note of a key. It has nothing that no apply can write.
func noteOf(key object.Key, token *hsm.Token) (n note) {
	if fixed(key) {
		return note{}
	}
	label, usage := token.Changeable(key)
	n.halves = label && key.Label != key.PublicLabel || usage && !usagesAgree(key)
	if usage {
		n.leftOut = leftOut(key)
	}
	return n
}

func (n note) keep(ctx context.Context, private privateState) diag.Diagnostics {
	words, _ := json.Marshal(n.leftOut.Words()) // of strings
	return append(private.SetKey(ctx, halvesDiffer, fmt.Appendf(nil, "%t", n.halves)),
		private.SetKey(ctx, usagesLeftOut, words)...)
}

// noted is empty where a state of before has no note.
func noted(ctx context.Context, private privateState) (n note) {
	differ, _ := private.GetKey(ctx, halvesDiffer)
	left, _ := private.GetKey(ctx, usagesLeftOut)
	var words []string
	_ = json.Unmarshal(left, &words)
	n.leftOut, _ = object.ParseUsage(words)
	n.halves = string(differ) == "true"
	return n
}

func (r *keyResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	m := r.kind.newModel()
	resp.Diagnostics.Append(req.State.Get(ctx, m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	a := m.common()
	r.client.noteManaged(a.KeyID.ValueString())
	resp.Diagnostics.Append(markMissing(ctx, req.Private, resp.Private)...)
	r.within(ctx, &resp.Diagnostics, diagnose.Read, m, a.Timeouts.Read, readTime, func(ctx context.Context,
		token *hsm.Token) error {
		key, err := token.Key(ctx, r.kind.ref(m))
		// Even if the key is gone: the framework wants an identity there too.
		identify(ctx, resp.Identity, &resp.Diagnostics, token.Info(), a.id())
		if errors.Is(err, object.ErrNotFound) {
			return r.gone(ctx, m, token, resp, err)
		}
		if unseen, ok := errors.AsType[*hsm.UnseenError](err); ok {
			resp.Diagnostics.Append(keptUnseen("key "+keyName(a), unseen))
			return nil
		}
		if err != nil {
			return err
		}
		r.client.met(r.claimOf(req.State.Raw, ""))
		if different := key.Differs(r.kind.ref(m)); different != nil {
			has, now, was := r.kind.has+" "+r.kind.mark, different.Found, different.Want
			if different.FoundKind != "" {
				has, now, was = "it is of the type", different.FoundKind, different.WantKind
			}
			resp.Diagnostics.AddWarning("Another Key Behind The Same ID", fmt.Sprintf(
				"The key %s on the token is not the key in the state: %s\n\n  %s\n\nThe state has\n\n  %s\n\n"+
					"Someone has made a new key in its place, or the provider looks at another token. The state takes what the "+
					"token holds.\n\nWhat to do: if you did not expect this, do not apply, and find out why. The "+
					"next apply takes the new key into the state and into every set that is made of it, and then "+
					"nothing warns any more.",
				nameOf(key.Label, key.ID), has, now, was))
		}
		warnOfStrays(key, &resp.Diagnostics)
		resp.Diagnostics.Append(noteFixed(ctx, key, !key.Is(r.kind.ref(m)), resp.Private)...)
		warnOfUnwritten(key, token, &resp.Diagnostics)
		resp.Diagnostics.Append(noteOf(key, token).keep(ctx, resp.Private)...)
		before := copyOf(m)
		if err := r.kind.read(m, key, token.Info()); err != nil {
			return err
		}
		r.warnOf(m, refused(ctx, resp.Private), &resp.Diagnostics)
		// Otherwise resp.State is right already, and writing it costs more than reading the key.
		if !reflect.DeepEqual(m, before) {
			resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
		}
		return nil
	})
	if resp.Identity.Raw.IsNull() && !resp.Diagnostics.HasError() { // the token was not looked at
		identify(ctx, resp.Identity, &resp.Diagnostics, hsm.TokenInfo{Serial: a.TokenSerial.ValueString()}, a.id())
	}
}

// warnOfUnwritten says what an apply is to write, although the state shows no difference from the configuration.
func warnOfUnwritten(key object.Key, token *hsm.Token, diags *diag.Diagnostics) {
	const no = "The key must not be changed (CKA_MODIFIABLE is false), so that no apply can mend that. Leave it, or " +
		"let a new key take its place: see the guide \"Replace and rotate\"."
	mended := "terraform apply writes both halves as the configuration says."
	taken := "terraform apply takes that away from the key."
	if fixed(key) {
		mended, taken = no, no
	}
	label, usage := token.Changeable(key)
	if !usage { // usages are the token's own affair, and so may labels be
		key.Usage &= key.MayUse()
		key.PublicUsage = key.Usage
	}
	if token.NamesHalves() {
		key.PublicLabel = key.Label
	}
	if !label && !fixed(key) {
		mended = "The token does not let this be changed, so that no apply can mend it."
	}
	if key.Label != key.PublicLabel || !usagesAgree(key) {
		diags.AddWarning("The Two Halves Of A Key Pair Differ", fmt.Sprintf(
			"The two halves of the key %s differ: the private half has the usage %s, and the public half is "+
				"labelled %q and marked for the counterparts of %s. A public half that was written anew is like that. "+
				"%s", nameOf(key.Label, key.ID), key.Usage, key.PublicLabel, key.PublicUsage, mended))
	}
	if left := leftOut(key); left != 0 {
		if left == key.Usage&^object.SignRecover {
			taken = "Nothing else is left: write into usage what the key is to do, such as sign or derive."
		}
		diags.AddWarning("Usage The Key Cannot Have", fmt.Sprintf(
			"On the token, the key %s is marked for %s, which keys of its type cannot do. Other tools mark keys "+
				"like that. So usage in the state, and in a configuration that Terraform generates, leaves it out. %s",
			nameOf(key.Label, key.ID), flags(left), taken))
	}
}

// flags is such as `decrypt (CKA_DECRYPT)`.
func flags(u object.Usage) string {
	var all []string
	for _, word := range u.Words() {
		all = append(all, fmt.Sprintf("%s (CKA_%s)", word, strings.ToUpper(word)))
	}
	return strings.Join(all, ", ")
}

// warnOfStrays names the public halves that somebody has put beside those of the key.
func warnOfStrays(key object.Key, diags *diag.Diagnostics) {
	if len(key.Strays) == 0 {
		return
	}
	var lines []string
	for _, o := range key.Strays {
		line := "  - " + o.Name().String()
		if o.Err != nil {
			line += ", of which no public key can be made"
		} else if fingerprint := object.SpecOf(o.CKK).Fingerprint(o); fingerprint != "" {
			line += ", SHA-256 fingerprint " + fingerprint
		}
		lines = append(lines, line)
	}
	diags.AddWarning("Other Public Halves Beside The Key", fmt.Sprintf(
		"The token holds other public halves with the ID of the key %s:\n\n%s\n\nOn many tokens anyone can make "+
			"such halves without a PIN. The key is the one in the state, and its own public half is labelled %q, "+
			"with the fingerprint %s. The provider does not touch the others. But data sources refuse the ID "+
			"as long as they are there.\n\n"+
			"What to do: find out who made them, and destroy them with a tool that shows each object's handle or label: "+
			"pkcs11-tool --delete-object takes any public half of an ID, unless you also give it a label "+
			"that only one of them has.",
		nameOf(key.Label, key.ID), strings.Join(lines, "\n"), key.PublicLabel, key.Fingerprint()))
}

// copyOf makes another model with the same values. A shallow copy will do: a model's values are replaced, never
// changed.
func copyOf(m keyModel) keyModel {
	other := reflect.New(reflect.TypeOf(m).Elem())
	other.Elem().Set(reflect.ValueOf(m).Elem())
	return other.Interface().(keyModel)
}

// gone decides what happens to the state of a key that is proven not to be on the token.
func (r *keyResource) gone(ctx context.Context, m keyModel, token *hsm.Token, resp *resource.ReadResponse, absence error) error {
	a := m.common()
	if err := r.moved(ctx, m, token); err != nil {
		return err
	}
	policy := a.DeletionPolicy.ValueString()
	if policy != policyAbandon && policy != policyDelete {
		return absence
	}
	resp.Diagnostics.AddWarning("Key Not On The Token", strings.TrimSpace(fmt.Sprintf(
		"The key %s is not on the token in %s. Its deletion_policy is %q, so it leaves the state, and "+
			"Terraform plans a new key in its place.\n\nWhat to do: if this is the wrong token, do not apply, and correct the "+
			"provider's configuration. If the key is lost, let Terraform make a new one. %s",
		keyName(a), token.Info(), policy, r.kind.forMessages().AnotherID())))
	resp.State.RemoveResource(ctx)
	return nil
}

// moved is an error where the key that the state means is on the token under another ID.
func (r *keyResource) moved(ctx context.Context, m keyModel, token *hsm.Token) error {
	a := m.common()
	if m.fingerprint() == "" {
		return nil
	}
	doubtful := r.kind.keyType == object.Secret // a check value is short, and another resource's key may have the same
	key, found, err := token.KeyByFingerprint(ctx, r.kind.ref(m), func(id []byte) bool {
		return doubtful && r.client.isManaged(id)
	})
	if err != nil || !found {
		return err
	}
	return &diagnose.MovedError{From: strings.ToLower(a.KeyID.ValueString()), To: object.FormatID(key.ID),
		Label: key.Label, Noun: r.kind.noun, Doubtful: doubtful}
}

func (r *keyResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	m, state := r.kind.newModel(), r.kind.newModel()
	resp.Diagnostics.Append(req.Plan.Get(ctx, m)...)
	resp.Diagnostics.Append(req.State.Get(ctx, state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	plan, prior := m.common(), state.common()
	if resp.Identity.Raw.IsFullyNull() { // a state from before there were identities, and -refresh=false
		identify(ctx, resp.Identity, &resp.Diagnostics, hsm.TokenInfo{}, prior.id())
	}
	planned := copyOf(m)
	if !writes(plan, prior) && !slices.ContainsFunc(attributesOf(planned), isUnknown) {
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
		return
	}
	r.client.view.relabelled(state.fingerprint())
	r.within(ctx, &resp.Diagnostics, diagnose.Update, state, plan.Timeouts.Update, changeTime, func(ctx context.Context,
		token *hsm.Token) error {
		if anotherToken(prior, token, &resp.Diagnostics) {
			return nil
		}
		label, usage := plan.Label.ValueString(), plan.usage(ctx)
		change := object.Change{Label: &label, Usage: &usage, Certificates: m.movesCertificates()}
		if id := plan.id(); !bytes.Equal(id, prior.id()) {
			change.ID = id
		}
		if !plan.Extractable.Equal(prior.Extractable) {
			extractable := plan.Extractable.ValueBool()
			change.Extractable = &extractable
		}
		key, err := token.Change(ctx, r.kind.ref(state), change)
		failed, ok := errors.AsType[*hsm.OperationError](err)
		if ok && failed.Holds == hsm.HoldsUntouched && errors.Is(err, object.ErrNotFound) {
			if moved, ok := errors.AsType[*diagnose.MovedError](r.moved(ctx, state, token)); ok {
				failed.Err = moved
			}
		}
		if err != nil {
			return err
		}
		r.client.noteManaged(object.FormatID(key.ID))
		if plan.Sensitive.IsUnknown() {
			key, err = r.raise(ctx, token, state, key, resp)
		}
		if err := r.kind.read(m, key, token.Info()); err != nil {
			return err
		}
		keepPlanned(m, planned)
		identify(ctx, resp.Identity, &resp.Diagnostics, token.Info(), key.ID)
		resp.Diagnostics.Append(note{}.keep(ctx, resp.Private)...)
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
		return err
	})
}

func (r *keyResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	m := r.kind.newModel()
	resp.Diagnostics.Append(req.State.Get(ctx, m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	a := m.common()
	r.client.noteManaged(a.KeyID.ValueString()) // so that a plan in its place does not warn of it
	switch a.DeletionPolicy.ValueString() {
	case policyAbandon:
		return
	case policyDelete:
		own := r.claimOf(req.State.Raw, markOf(ctx, req.Private))
		if resp.Diagnostics.Append(r.client.destroying(own)...); resp.Diagnostics.HasError() {
			return
		}
	default: // a tainted resource: no plan has asked us
		resp.Diagnostics.Append(prevented(removal{key: keyName(a), applied: true,
			successor: r.client.succeeded(r.kind.keyType, a)}))
		return
	}
	r.within(ctx, &resp.Diagnostics, diagnose.Delete, m, a.Timeouts.Delete, changeTime, func(ctx context.Context,
		token *hsm.Token) error {
		if anotherToken(a, token, &resp.Diagnostics) {
			return nil
		}
		_, err := token.Key(ctx, r.kind.ref(m))
		if half, ok := errors.AsType[*object.HalfPairError](err); ok && half.Other != nil {
			return err
		}
		if errors.Is(err, object.ErrNotFound) {
			return r.moved(ctx, m, token) // nil: it is gone
		}
		left, err := token.Destroy(ctx, r.kind.ref(m))
		if err == nil {
			r.client.view.noteDestroyed(a.KeyID.ValueString(), keyName(a))
		}
		if err == nil && len(left) > 0 {
			var lines []string
			for _, o := range left {
				lines = append(lines, "  - "+o.String())
			}
			resp.Diagnostics.AddWarning("Others Use The Key ID", fmt.Sprintf(
				"The key %s is destroyed. The token still holds other key objects with the same ID, which this resource did not "+
					"manage:\n\n%s\n\nWhat to do: nothing, if you know them. Otherwise find out who made them.", keyName(a), strings.Join(lines, "\n")))
		}
		return err
	})
}

// anotherToken refuses to touch a key on another token than the one that it was last read on: that is the one which
// the plan was made for.
func anotherToken(state *keyAttributes, token *hsm.Token, diags *diag.Diagnostics) bool {
	was := state.TokenSerial
	if was.IsNull() || was.IsUnknown() || was.Equal(serialOf(token.Info())) {
		return false
	}
	diags.AddError("Another Token Than Planned", fmt.Sprintf(
		"The plan is about the key %s on the token with the serial number %q. This apply has found another token, "+
			"in %s.\n\nOn the token: nothing of this key has been touched.\n\nWhat to do: compare the provider's "+
			"environment (HSM_LIBRARY, HSM_TOKEN_LABEL, HSM_TOKEN_SERIAL and the module's own configuration) with "+
			"that of the plan. Plan again in the environment in which you apply. If this token has taken "+
			"the other one's place, plan without -refresh=false.",
		keyName(state), was.ValueString(), token.Info()))
	return true
}

func keyName(a *keyAttributes) string {
	return named(a.Label.ValueString(), a.KeyID.ValueString())
}
