package provider

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/x509cert"
)

// ModifyPlan fills in what the certificate says of itself and the ID that it gets, and refuses what the apply would
// refuse, as far as that is known.
func (r *certificateResource) ModifyPlan(
	ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse,
) {
	mark := markOf(ctx, req.Private)
	var state *certificateModel
	if !req.State.Raw.IsNull() {
		state = &certificateModel{}
		resp.Diagnostics.Append(req.State.Get(ctx, state)...)
	}
	if req.Plan.Raw.IsNull() {
		if resp.Diagnostics.HasError() {
			return
		}
		r.planEnd(mark, state, &resp.Diagnostics)
		return
	}
	var plan, config certificateModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if parsed := plan.parsed(); parsed != nil {
		plan.certificateText = certificateTextOf(parsed)
		r.planPlace(ctx, &config, &plan, state, parsed, &resp.Diagnostics)
	} else {
		plan.forget(&config, state)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	if r.client != nil {
		resp.Diagnostics.Append(r.client.certs.plan(mark, &plan, state)...)
	}
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
}

// forget makes unknown what follows from a certificate that is not known yet.
func (m *certificateModel) forget(config, state *certificateModel) {
	unknown := types.StringUnknown()
	m.certificateText = certificateText{unknown, unknown, unknown, unknown, unknown, unknown}
	if config.KeyID.IsNull() {
		m.KeyID = unknown
	}
	m.URI = unknown
	if state == nil {
		return
	}
	if strings.EqualFold(m.KeyID.ValueString(), state.KeyID.ValueString()) {
		m.URI = state.URI
	}
	if !state.TokenSerial.IsNull() {
		m.TokenSerial = state.TokenSerial
	}
}

// planEnd refuses the end of a certificate that deletion_policy protects.
func (r *certificateResource) planEnd(mark string, state *certificateModel, diags *diag.Diagnostics) {
	switch state.DeletionPolicy.ValueString() {
	case policyPrevent:
		diags.Append(protectedCertificate(state))
	case policyAbandon:
		diags.AddWarning("Certificate Stays On The Token: "+state.name(), fmt.Sprintf(
			"The certificate %s leaves the state. Terraform says that it is destroyed. But its deletion_policy is "+
				"\"abandon\": it stays on the token.", state.name()))
	}
	if r.client != nil {
		r.client.certs.leave(mark)
	}
}

// planPlace plans the ID, and what follows from it. It looks at the token as little as it can.
func (r *certificateResource) planPlace(
	ctx context.Context, config, plan, state *certificateModel, parsed *x509.Certificate, diags *diag.Diagnostics,
) {
	same := state != nil && state.Fingerprint.Equal(plan.Fingerprint)
	plan.URI = types.StringUnknown() // where nobody can look
	if config.KeyID.IsNull() {
		plan.KeyID = types.StringUnknown()
		if same {
			plan.KeyID = state.KeyID // where nobody can tell
		}
	}
	r.look(ctx, plan, state, diags, func(ctx context.Context, token *hsm.Token) error {
		if !same {
			if err := token.AllowsCertificates(); err != nil {
				return err
			}
		}
		if config.KeyID.IsNull() {
			if err := r.planDefault(ctx, token, plan, state, same, parsed); err != nil {
				return err
			}
		}
		if state == nil {
			plan.place(token.Info())
		} else if !plan.KeyID.IsUnknown() {
			plan.URI = types.StringValue(pkcs11uri.OfCertificate(token.Info(), plan.id()))
		}
		if plan.KeyID.IsUnknown() {
			plan.URI = types.StringUnknown()
		}
		if same && strings.EqualFold(plan.KeyID.ValueString(), state.KeyID.ValueString()) || plan.id() == nil {
			return nil
		}
		found, err := token.Certificate(ctx, object.NewCertificateRef(plan.id(), plan.Label.ValueString(), parsed.Raw))
		// Where this look fails, the apply's tells.
		labelled := plan.Label.IsUnknown() || found.Label == plan.Label.ValueString()
		// One that this run has read is the resource's own, which is tainted or replaced, or another's: see certs.plan.
		read := r.client.certs.read.has(object.CertificateRef{ID: found.ID, SHA256: found.SHA256()})
		if err == nil && state == nil && !labelled && !read && bytes.Equal(found.ID, plan.id()) {
			return &hsm.CertificateExistsError{Found: found}
		}
		return nil
	})
	if state == nil {
		return
	}
	plan.TokenSerial = state.TokenSerial
	if plan.TokenSerial.IsNull() {
		plan.TokenSerial = types.StringUnknown()
		if !plan.writes(state) { // nothing is to be done
			plan.TokenSerial = types.StringNull()
		}
	}
	if strings.EqualFold(plan.KeyID.ValueString(), state.KeyID.ValueString()) && !plan.KeyID.IsUnknown() {
		plan.URI = state.URI
	}
}

// planDefault plans the ID of the pair that has the certificate's public key. Where this run's plan gives the pair
// another ID, it is not known: where nothing makes the certificate wait for the pair, the apply may come to the
// certificate first, and meet the pair under its old ID. Such a certificate follows in the next apply.
func (r *certificateResource) planDefault(
	ctx context.Context, token *hsm.Token, plan, state *certificateModel, same bool, parsed *x509.Certificate,
) error {
	ref, err := object.RefOfPublicKey(parsed.PublicKey)
	if err == nil && r.client.view.moves(ref.Fingerprint) {
		plan.KeyID = types.StringUnknown()
		return nil
	}
	if err == nil && state != nil { // most plans: the pair is where it was
		ref.ID = state.id()
		if key, err := token.Key(ctx, ref); err == nil && key.Fingerprint() == ref.Fingerprint {
			plan.KeyID = state.KeyID
			return nil
		}
	}
	pair, found, err := token.PairOf(ctx, parsed.PublicKey, time.Time{})
	switch {
	case err != nil:
		return err
	case found && len(pair.ID) > 0:
		plan.KeyID = types.StringValue(object.FormatID(pair.ID))
	case same: // the pair is gone, and its certificate stays where it is
		plan.KeyID = state.KeyID
	case found:
		return &diagnose.NoPairError{Label: &pair.Label}
	default:
		return &diagnose.NoPairError{}
	}
	return nil
}

// look looks at the token for a plan. What it cannot see, the apply sees; but a PIN that is refused is told, and so is
// what the apply would refuse, and, of a new certificate, a token that cannot be reached and does not come in this run.
func (r *certificateResource) look(ctx context.Context, plan, state *certificateModel, diags *diag.Diagnostics,
	at func(context.Context, *hsm.Token) error,
) {
	if !r.client.known() || r.client.waitsForPIN() {
		return
	}
	r.client.run(ctx, diags, certificateKind.Doing(diagnose.Plan), func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, readTime)
		defer cancel()
		token, err := r.client.token(ctx)
		unreached := err != nil && state == nil && !toCome(err)
		if err == nil {
			err = at(ctx, token)
		}
		var noPair *diagnose.NoPairError
		var exists *hsm.CertificateExistsError
		var refused *object.RefusedError
		told := errors.As(err, &noPair) || errors.As(err, &exists) || errors.As(err, &refused) || hsm.IsPINError(err)
		if !told && !unreached {
			return
		}
		failure := r.failure(diagnose.Plan, plan, token, err)
		if unreached && !r.client.view.first(failure.Summary()) { // of a thousand, the first tells it
			failure = diag.NewErrorDiagnostic(failure.Summary(), "This new certificate meets the same.\n\nWhat to "+
				"do: see the other error of this run that has the same title.")
		}
		diags.Append(failure)
	})
}

// sameCertificate keeps the state's text where the configuration has the same certificate in another one.
type sameCertificate struct{}

func (sameCertificate) Description(context.Context) string {
	return "blanks and line endings make no difference"
}

func (m sameCertificate) MarkdownDescription(ctx context.Context) string { return m.Description(ctx) }

func (sameCertificate) PlanModifyString(
	_ context.Context, req planmodifier.StringRequest, resp *planmodifier.StringResponse,
) {
	if req.StateValue.IsNull() || req.PlanValue.IsUnknown() || req.StateValue.Equal(req.PlanValue) {
		return
	}
	was, wasErr := x509cert.ParseCertificate(req.StateValue.ValueString())
	is, isErr := x509cert.ParseCertificate(req.PlanValue.ValueString())
	if wasErr == nil && isErr == nil && was.Equal(is) {
		resp.PlanValue = req.StateValue
	}
}

// certificateClaims are the resources hsm_certificate that a process has been asked about, and what it has written.
// Terraform plans them one by one and at the same time, so that the one that comes later finds what is wrong with both.
type certificateClaims struct {
	mu     sync.Mutex
	held   map[string][]string // by certificate: the marks of the resources that have it, or are to get it
	leaves map[string]bool     // the marks of those that are to leave the state
	busy   map[string]*sync.Mutex

	made certificateSet // those that this run has written
	read certificateSet // those that this run has read for their resources
}

// certificateSet is a set of certificates.
type certificateSet struct{ names sync.Map }

func (s *certificateSet) add(ref object.CertificateRef) { s.names.Store(certificateName(ref), nil) }

func (s *certificateSet) has(ref object.CertificateRef) bool {
	_, has := s.names.Load(certificateName(ref))
	return has
}

// certificateName is who a certificate is.
func certificateName(ref object.CertificateRef) string {
	return object.FormatID(ref.ID) + "@" + ref.SHA256
}

// plan notes what a resource has and is to get, and is an error where another resource has that, or is to get it.
func (c *certificateClaims) plan(mark string, plan, state *certificateModel) (diags diag.Diagnostics) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	if state != nil {
		names = append(names, certificateName(state.ref()))
	}
	if plan.parsed() != nil && plan.id() != nil && (state == nil || plan.writes(state)) {
		names = append(names, certificateName(plan.ref()))
	}
	if c.held == nil {
		c.held = map[string][]string{}
	}
	for _, name := range slices.Compact(names) {
		rival := slices.ContainsFunc(c.held[name], func(other string) bool {
			return !c.leaves[other] && (other != mark || mark == "")
		})
		c.held[name] = append(c.held[name], mark)
		if rival {
			diags.AddAttributeError(path.Root("certificate_pem"), "Certificate Has Another Resource", fmt.Sprintf(
				"Two resources have the certificate %s, or are to get it. The end of one would destroy what the "+
					"other one has.\n\nOn the token: nothing has been changed.\n\nWhat to do: leave one of them out "+
					"of the configuration and, if it has been applied, take it out of the state with terraform state "+
					"rm. If a resource has a new name or index, tell Terraform the old address with a moved "+
					"block.", plan.name()))
		}
	}
	return diags
}

// leave notes that a resource is to leave the state.
func (c *certificateClaims) leave(mark string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaves == nil {
		c.leaves = map[string]bool{}
	}
	c.leaves[mark] = mark != ""
}

// work waits until no other resource of this process writes one of the certificates.
func (c *certificateClaims) work(refs ...object.CertificateRef) (release func()) {
	names := make([]string, len(refs))
	for i, ref := range refs {
		names[i] = certificateName(ref)
	}
	slices.Sort(names)
	var locks []*sync.Mutex
	c.mu.Lock()
	if c.busy == nil {
		c.busy = map[string]*sync.Mutex{}
	}
	for _, name := range slices.Compact(names) {
		if c.busy[name] == nil {
			c.busy[name] = &sync.Mutex{}
		}
		locks = append(locks, c.busy[name])
	}
	c.mu.Unlock()
	for _, lock := range locks {
		lock.Lock()
	}
	return func() {
		for _, lock := range locks {
			lock.Unlock()
		}
	}
}
