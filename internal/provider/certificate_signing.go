package provider

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/x509cert"
)

var (
	_ resource.ResourceWithConfigure  = (*signedResource)(nil)
	_ resource.ResourceWithModifyPlan = (*signedResource)(nil)
)

// signedResource is each of the resources of what a key on the token signs: requests, certificates and revocation
// lists. All that there is of one is in the state. So a refresh and a plan touch no token, only what is signed does.
type signedResource struct {
	kind   signedKind
	client *client
}

// signedKind is what differs between them.
type signedKind struct {
	typeName string
	called   string // in summaries: "Certificate"
	schema   func() schema.Schema
	newModel func() signedModel

	arguments []signedArgument // what goes into it: where one changes, it is signed anew
	made      []string         // what comes out of it: attributes that stay as they are until it is signed anew
	ends      bool             // it has dates, and comes to be due
	inPlace   bool             // it is signed anew in place, and not replaced

	title string                                      // of an error about its profile
	due   func(d renewal, was fields) diag.Diagnostic // warns that it is due
}

// signedModel is the model of one.
type signedModel interface {
	// work is what is to be signed, as far as a plan knows it, and what is wrong with it. before is the model of the
	// state, nil where it is new.
	work(ctx context.Context, now time.Time, before signedModel) (work, diag.Diagnostics)
	// took makes the model say what was signed.
	took(der []byte) error
	// algorithmOf has the model say of which algorithm the key is that signs.
	algorithmOf(pub crypto.PublicKey)
}

// work is what is to be signed.
type work struct {
	key    crypto.PublicKey                           // whose private half signs; nil where it is not known yet
	create func(signer crypto.Signer) ([]byte, error) // gives DER; nil where something is not known yet
	at     func(problem x509cert.Problem) path.Path   // where a problem is shown
	check  func() diag.Diagnostics                    // of a plan, before anything is signed; nil for none
}

func (r *signedResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = r.kind.typeName
}

func (r *signedResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = r.kind.schema()
}

func (r *signedResource) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	if c, ok := req.ProviderData.(*client); ok {
		r.client = c
	}
}

// now is the time of the provider's clock.
func (r *signedResource) now() time.Time {
	now := time.Now
	if r.client != nil {
		now = r.client.now
	}
	return now().UTC()
}

// ModifyPlan has what is wrong found before anything is signed, and plans what is due anew. Whatever did not change
// costs one comparison.
func (r *signedResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest,
	resp *resource.ModifyPlanResponse) {
	switch {
	case req.Plan.Raw.IsNull(): // nothing but the state ends
	case req.State.Raw.IsNull():
		r.planSigning(ctx, req, resp)
	default:
		r.planChange(ctx, req, resp)
	}
}

// planSigning checks what is to be signed, and plans what is known of it.
func (r *signedResource) planSigning(ctx context.Context, req resource.ModifyPlanRequest,
	resp *resource.ModifyPlanResponse) {
	m, before := r.kind.newModel(), signedModel(nil)
	resp.Diagnostics.Append(resp.Plan.Get(ctx, m)...)
	if !req.State.Raw.IsNull() {
		before = r.kind.newModel()
		resp.Diagnostics.Append(req.State.Get(ctx, before)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	w, diags := m.work(ctx, r.now(), before)
	resp.Diagnostics.Append(diags...)
	if w.check != nil {
		resp.Diagnostics.Append(w.check()...)
	}
	if w.key != nil {
		m.algorithmOf(w.key)
		resp.Diagnostics.Append(resp.Plan.Set(ctx, m)...)
	}
	if r.kind.ends {
		setRaw(&resp.Plan.Raw, fields{readyForRenewal: isFalse})
	}
}

// planChange plans whether a change wants another signature.
func (r *signedResource) planChange(ctx context.Context, req resource.ModifyPlanRequest,
	resp *resource.ModifyPlanResponse) {
	is, was := fieldsOf(req.Plan.Raw), fieldsOf(req.State.Raw)
	same := req.Plan.Raw.Equal(req.State.Raw)
	var changed []path.Path
	if !same {
		changed = r.kind.changed(is, was, fieldsOf(req.Config.Raw))
	}
	if len(changed) == 0 && r.kind.ends {
		if d, ok := r.renewalOf(is, was); ok && d.due() {
			resp.Diagnostics.Append(r.kind.due(d, was))
			changed = []path.Path{path.Root(readyForRenewal)}
		}
	}
	if len(changed) == 0 {
		if !same {
			setRaw(&resp.Plan.Raw, r.kept(is, was))
		}
		return
	}
	anew, config := fields{}, fieldsOf(req.Config.Raw)
	resp.Diagnostics.Append(r.kind.givenTwice(is, was, config, changed)...)
	for _, name := range r.kind.made { // Terraform has them unknown already, unless nothing but the time has changed
		if config[name].IsNull() {
			anew[name] = tftypes.NewValue(is[name].Type(), tftypes.UnknownValue)
		}
	}
	setRaw(&resp.Plan.Raw, anew)
	if !r.kind.inPlace {
		resp.RequiresReplace = append(resp.RequiresReplace, changed...) // Terraform plans it as a new one after this
		return
	}
	r.planSigning(ctx, req, resp)
}

// kept is what a change leaves as it is.
func (r *signedResource) kept(is, was fields) fields {
	kept := fields{}
	for _, name := range r.kind.made {
		if !is[name].IsKnown() {
			kept[name] = was[name]
		}
	}
	if r.kind.ends {
		if d, ok := r.renewalOf(is, was); ok {
			kept[readyForRenewal] = tftypes.NewValue(tftypes.Bool, d.due())
		} else {
			delete(kept, readyForRenewal) // until it is known how early it is due
		}
	}
	return kept
}

func (r *signedResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	r.sign(ctx, req.Plan, nil, &resp.State, &resp.Diagnostics)
}

// sign makes the signature, and then the state of it. What fails leaves the state as it is.
func (r *signedResource) sign(ctx context.Context, plan tfsdk.Plan, before signedModel, state *tfsdk.State,
	diags *diag.Diagnostics) {
	m := r.kind.newModel()
	diags.Append(plan.Get(ctx, m)...)
	if diags.HasError() {
		return
	}
	w, found := m.work(ctx, r.now(), before)
	diags.Append(found...)
	if diags.HasError() {
		return
	}
	doing := "Sign " + r.kind.called
	r.client.run(ctx, diags, doing, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, changeTime)
		defer cancel()
		failure := diagnose.Failure{Doing: doing, Provider: r.client.forMessages(), Err: errUnknownAtApply}
		if w.key == nil || w.create == nil {
			diags.Append(failure.Diagnostic())
			return
		}
		token, signer, err := r.client.signer(ctx, w.key)
		var der []byte
		if err == nil {
			der, err = w.create(signer)
		}
		if err == nil {
			m.algorithmOf(w.key)
			err = m.took(der)
		}
		if problems, ok := errors.AsType[*x509cert.ProblemError](err); ok {
			diags.Append(r.kind.problems(problems.Problems, w.at)...)
			return
		}
		if err != nil {
			failure.Token, failure.Err = token, err
			failed := failure.Diagnostic()
			if ofSigner(err) {
				failed = diag.WithPath(keyArgument(plan), failed)
			}
			diags.Append(failed)
			return
		}
		diags.Append(state.Set(ctx, m)...)
	})
}

// keyArgument is the argument that says whose key signs.
func keyArgument(plan tfsdk.Plan) path.Path {
	given := fieldsOf(plan.Raw)
	for _, name := range []string{"public_key_pem", "ca_public_key_pem"} {
		if value, ok := given[name]; ok && !value.IsNull() {
			return path.Root(name)
		}
	}
	return path.Root("ca_cert_pem")
}

// problems are the errors of a profile, at their arguments.
func (k signedKind) problems(problems []x509cert.Problem,
	at func(x509cert.Problem) path.Path) (diags diag.Diagnostics) {
	for _, p := range problems {
		says := diagnose.Sentence(p.Says)
		if p.Index >= 0 { // Terraform shows the list as a whole
			says = fmt.Sprintf("%s[%d]: %s", p.Argument, p.Index, says)
		}
		diags.AddAttributeError(at(p), k.title, says)
	}
	return diags
}

// Read looks at the clock alone: all that there is to read is in the state.
func (r *signedResource) Read(_ context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	if !r.kind.ends {
		return
	}
	was := fieldsOf(req.State.Raw)
	d, ok := r.renewalOf(was, was)
	if due := tftypes.NewValue(tftypes.Bool, ok && d.due()); !due.Equal(was[readyForRenewal]) {
		setRaw(&resp.State.Raw, fields{readyForRenewal: due})
	}
}

// Update signs what is signed anew in place. Everything else changes in the state alone.
func (r *signedResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	is, was := fieldsOf(req.Plan.Raw), fieldsOf(req.State.Raw)
	signs := false
	for _, name := range r.kind.made {
		signs = signs || name != readyForRenewal && !is[name].IsKnown()
	}
	if signs {
		before := r.kind.newModel()
		resp.Diagnostics.Append(req.State.Get(ctx, before)...)
		if !resp.Diagnostics.HasError() {
			r.sign(ctx, req.Plan, before, &resp.State, &resp.Diagnostics)
		}
		return
	}
	resp.State.Raw = req.Plan.Raw
	if r.kind.ends && !is[readyForRenewal].IsKnown() {
		d, ok := r.renewalOf(is, was)
		setRaw(&resp.State.Raw, fields{readyForRenewal: tftypes.NewValue(tftypes.Bool, ok && d.due())})
	}
}

// Delete leaves the token alone: nothing of this is on it.
func (r *signedResource) Delete(context.Context, resource.DeleteRequest, *resource.DeleteResponse) {}

// fields are the attributes of a plan or a state that is not decoded: most of what is planned did not change.
type fields map[string]tftypes.Value

// fieldsOf gives none of what is null.
func fieldsOf(raw tftypes.Value) fields {
	var all map[string]tftypes.Value
	_ = raw.As(&all) // the framework has made sure that it is an object
	return all
}

// setRaw gives attributes other values.
func setRaw(raw *tftypes.Value, values fields) {
	all := maps.Clone(fieldsOf(*raw))
	maps.Copy(all, values)
	*raw = tftypes.NewValue(raw.Type(), map[string]tftypes.Value(all))
}
