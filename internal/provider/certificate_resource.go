package provider

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/x509cert"
)

var (
	_ resource.ResourceWithConfigure   = (*certificateResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*certificateResource)(nil)
	_ resource.ResourceWithImportState = (*certificateResource)(nil)
	_ resource.ResourceWithIdentity    = (*certificateResource)(nil)
)

func newCertificateResource() resource.Resource { return &certificateResource{} }

// certificateResource is a certificate as an object on the token.
type certificateResource struct{ client *client }

// certificateType is the resource's name in configurations.
const certificateType = "hsm_certificate"

// certificateKind is what diagnostics say of it.
var certificateKind = diagnose.Kind{Resource: certificateType, Noun: diagnose.Certificate, Title: "Certificate"}

type certificateModel struct {
	certificateText

	CertificatePEM types.String   `tfsdk:"certificate_pem"`
	Label          types.String   `tfsdk:"label"`
	KeyID          types.String   `tfsdk:"key_id"`
	DeletionPolicy types.String   `tfsdk:"deletion_policy"`
	Timeouts       timeouts.Value `tfsdk:"timeouts"`

	URI         types.String `tfsdk:"uri"`
	TokenSerial types.String `tfsdk:"token_serial"`
}

func (r *certificateResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = certificateType
	resp.ResourceBehavior.MutableIdentity = true
}

var certificateTimes = times{
	create: changeTime, read: readTime, update: changeTime, delete: changeTime,
	creating: "writing the certificate", reading: "reading the certificate", updating: "changing the certificate",
	deleting: "destroying the certificate",
}

func (r *certificateResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "A certificate as an object on the token (`CKO_CERTIFICATE`), where programs look for " +
			"it beside its key. It says nothing of who made it: on many tokens anyone who can open a session can " +
			"write, change and destroy certificates without a PIN. What is on the token is read back by its " +
			"value.\n\n" +
			"A certificate that takes the place of another one is written before the old one is destroyed, so that " +
			"there is one at every moment. A certificate that is on the token already, with the same ID, label and " +
			"value, is taken as it is.",
		Attributes: map[string]schema.Attribute{
			"certificate_pem": schema.StringAttribute{
				MarkdownDescription: "The certificate: one PEM block `CERTIFICATE` ([RFC " +
					"7468](https://www.rfc-editor.org/rfc/rfc7468)). Another one takes its place in the same " +
					"resource. Blanks and line endings make no difference.",
				Required:      true,
				PlanModifiers: []planmodifier.String{sameCertificate{}},
				Validators:    []validator.String{certificatePEM},
			},
			"label": schema.StringAttribute{
				MarkdownDescription: "Label (`CKA_LABEL`): a name. It changes in place, and need not be unique.",
				Required:            true,
				Validators:          []validator.String{someText(), atMostBytes(255)},
			},
			"key_id": schema.StringAttribute{
				MarkdownDescription: "ID (`CKA_ID`) in hexadecimal, 1 to 255 bytes. Programs take a certificate for " +
					"that of the key with the same ID. Defaults to the ID of the key pair on the token that has the " +
					"certificate's public key; if there is no such pair, as for the certificate of another CA, give " +
					"one. It changes in place, and follows the pair if that gets another ID: in the same apply if " +
					"`certificate_pem` or `depends_on` makes it wait for the pair, otherwise in the next one.",
				Optional:      true,
				Computed:      true,
				PlanModifiers: []planmodifier.String{sameKeyID{}},
				Validators:    []validator.String{keyID},
			},
			"deletion_policy": schema.StringAttribute{
				MarkdownDescription: "What happens to the certificate on the token when the resource is destroyed, " +
					"and when the certificate is not on the token any more. Defaults to `delete`, since it can be " +
					"written again.\n" +
					"  - `delete`: the certificate is destroyed. One that is not on the token leaves the state with " +
					"a warning, and Terraform plans to write it again.\n" +
					"  - `abandon`: the resource leaves the state, and the certificate stays on the token. One that " +
					"is not on the token leaves the state as with `delete`.\n" +
					"  - `prevent`: a plan that would destroy the certificate fails. One that is not on the token is " +
					"an error.\n\n" +
					"  The policy in the state counts: a change of the policy takes effect once it is applied.",
				Optional:   true,
				Computed:   true,
				Default:    stringdefault.StaticString(policyDelete),
				Validators: []validator.String{oneOf(policyPrevent, policyAbandon, policyDelete)},
			},
			"timeouts": timeoutsOf(ctx, certificateTimes),

			"subject": computed("The subject as a text ([RFC 4514](https://www.rfc-editor.org/rfc/rfc4514)), such as " +
				"`CN=web,O=Example,C=DE`: the last part of the name comes first."),
			"issuer":        computed("The issuer, in the same form."),
			"serial_number": computed("The serial number, in lower-case hexadecimal."),
			"validity_start_time": computed("When the certificate begins ([RFC " +
				"3339](https://www.rfc-editor.org/rfc/rfc3339)), in UTC."),
			"validity_end_time": computed("When it ends, in the same form."),
			"fingerprint_sha256": computed("SHA-256 of the certificate in DER, in hexadecimal, as `openssl x509 " +
				"-fingerprint -sha256` has it without colons."),
			"uri": computed("PKCS#11 URI ([RFC 7512](https://www.rfc-editor.org/rfc/rfc7512)) of the certificate: " +
				"the token's label and the ID, with `type=cert`."),
			"token_serial": computed("Serial number of the token that the certificate is on. A change or destruction " +
				"on another token is refused."),
		},
	}
}

func (r *certificateResource) Configure(
	_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse,
) {
	if c, ok := req.ProviderData.(*client); ok {
		r.client = c
	}
}

// id is the certificate's CKA_ID, nil where it is unknown or null.
func (m *certificateModel) id() []byte { return (&keyAttributes{KeyID: m.KeyID}).id() }

// name names the certificate in messages.
func (m *certificateModel) name() string { return named(m.Label.ValueString(), m.KeyID.ValueString()) }

// parsed is the certificate of the model, nil where it is not known, or the validator refuses it.
func (m *certificateModel) parsed() *x509.Certificate {
	if m.CertificatePEM.IsNull() || m.CertificatePEM.IsUnknown() {
		return nil
	}
	c, err := x509cert.ParseCertificate(m.CertificatePEM.ValueString())
	if err != nil {
		return nil
	}
	return c
}

// ref is the certificate on the token that a state means.
func (m *certificateModel) ref() object.CertificateRef {
	if c := m.parsed(); c != nil {
		return object.NewCertificateRef(m.id(), m.Label.ValueString(), c.Raw)
	}
	// Of an import, the fingerprint is all that is known of it.
	return object.CertificateRef{ID: m.id(), Label: m.Label.ValueString(), SHA256: m.Fingerprint.ValueString()}
}

// place fills in what says where the certificate is.
func (m *certificateModel) place(token hsm.TokenInfo) {
	m.URI, m.TokenSerial = types.StringValue(pkcs11uri.OfCertificate(token, m.id())), serialOf(token)
}

// read takes what the token shows. A PEM text of the same certificate stays as it is.
func (m *certificateModel) read(found object.Certificate, token hsm.TokenInfo) error {
	parsed, err := found.Parse()
	if err != nil {
		return err
	}
	if had := m.parsed(); had == nil || !had.Equal(parsed) {
		m.CertificatePEM = types.StringValue(x509cert.CertificatePEM(parsed.Raw))
	}
	if text := object.FormatID(found.ID); !strings.EqualFold(text, m.KeyID.ValueString()) {
		m.KeyID = types.StringValue(text)
	}
	m.Label = types.StringValue(printable(found.Label))
	m.certificateText = certificateTextOf(parsed)
	m.place(token)
	return nil
}

// certificateText is what a certificate says of itself, in the form of attributes.
type certificateText struct {
	Subject           types.String `tfsdk:"subject"`
	Issuer            types.String `tfsdk:"issuer"`
	SerialNumber      types.String `tfsdk:"serial_number"`
	ValidityStartTime types.String `tfsdk:"validity_start_time"`
	ValidityEndTime   types.String `tfsdk:"validity_end_time"`
	Fingerprint       types.String `tfsdk:"fingerprint_sha256"`
}

func certificateTextOf(c *x509.Certificate) certificateText {
	return certificateText{
		Subject: types.StringValue(nameText(c.RawSubject)), Issuer: types.StringValue(nameText(c.RawIssuer)),
		SerialNumber:      types.StringValue(x509cert.FormatSerial(c.SerialNumber)),
		ValidityStartTime: timeText(c.NotBefore), ValidityEndTime: timeText(c.NotAfter),
		Fingerprint: types.StringValue(object.CertificateSHA256(c.Raw)),
	}
}

// failure tells of a failed operation on a certificate.
func (r *certificateResource) failure(doing string, m *certificateModel, token *hsm.Token, err error) diag.Diagnostic {
	return diagnose.Failure{
		Err: err, Doing: doing, Kind: &certificateKind, Token: token, Provider: r.client.forMessages(),
		KeyID: m.KeyID.ValueString(), Label: m.Label.ValueString(),
	}.Diagnostic()
}

// within runs an operation with a time limit, on the open token.
func (r *certificateResource) within(ctx context.Context, diags *diag.Diagnostics, doing string, m *certificateModel,
	timeout func(context.Context, time.Duration) (time.Duration, diag.Diagnostics), otherwise time.Duration,
	operation func(context.Context, *hsm.Token) error,
) {
	limit, ds := timeout(ctx, otherwise)
	if diags.Append(ds...); diags.HasError() {
		return
	}
	r.client.within(ctx, diags, limit, certificateKind.Doing(doing), doing == diagnose.Read, operation,
		func(token *hsm.Token, err error) diag.Diagnostic { return r.failure(doing, m, token, err) })
}

// settled is the ID of a certificate that is about to be written, which the plan may not have known.
func (r *certificateResource) settled(ctx context.Context, token *hsm.Token, m *certificateModel) error {
	if !m.KeyID.IsUnknown() {
		return nil
	}
	pair, found, err := token.PairOf(ctx, m.parsed().PublicKey, time.Now()) // an alias may have made it
	if err == nil && !found {
		err = &diagnose.NoPairError{}
	}
	if err == nil && len(pair.ID) == 0 {
		err = &diagnose.NoPairError{Label: &pair.Label}
	}
	if err != nil {
		return err
	}
	m.KeyID = types.StringValue(object.FormatID(pair.ID))
	return nil
}

func (m *certificateModel) template() object.CertificateTemplate {
	return object.CertificateTemplate{ID: m.id(), Label: m.Label.ValueString(), DER: m.parsed().Raw}
}

func (r *certificateResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m certificateModel
	if resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	r.within(ctx, &resp.Diagnostics, diagnose.Create, &m, m.Timeouts.Create, certificateTimes.create,
		func(ctx context.Context, token *hsm.Token) error {
			if err := r.settled(ctx, token, &m); err != nil {
				return err
			}
			release := r.client.certs.work(m.ref())
			defer release()
			made, err := token.WriteCertificate(ctx, m.template())
			if err != nil {
				return err
			}
			r.client.certs.made.add(m.ref())
			if err := m.read(made, token.Info()); err != nil {
				return err
			}
			identifyCertificate(ctx, resp.Identity, &resp.Diagnostics, token.Info(), &m)
			resp.Diagnostics.Append(mark(ctx, resp.Private)...)
			resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
			return nil
		})
}

func (r *certificateResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m certificateModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(markMissing(ctx, req.Private, resp.Private)...)
	r.client.certs.read.add(m.ref())
	r.within(ctx, &resp.Diagnostics, diagnose.Read, &m, m.Timeouts.Read, certificateTimes.read,
		func(ctx context.Context, token *hsm.Token) error {
			found, err := token.Certificate(ctx, m.ref())
			// Even if it is gone: the framework wants an identity there too.
			identifyCertificate(ctx, resp.Identity, &resp.Diagnostics, token.Info(), &m)
			if errors.Is(err, object.ErrNoCertificate) && m.DeletionPolicy.ValueString() != policyPrevent {
				r.gone(ctx, &m, token, resp)
				return nil
			}
			if unseen, ok := errors.AsType[*hsm.UnseenError](err); ok {
				resp.Diagnostics.Append(keptUnseen("certificate "+m.name(), unseen))
				return nil
			}
			if err != nil {
				return err
			}
			before := m
			if err := m.read(found, token.Info()); err != nil {
				return err
			}
			identifyCertificate(ctx, resp.Identity, &resp.Diagnostics, token.Info(), &m)
			// Otherwise resp.State is right already, and writing it costs more than reading the certificate.
			if !reflect.DeepEqual(m, before) {
				resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
			}
			return nil
		})
	if resp.Identity.Raw.IsNull() && !resp.Diagnostics.HasError() { // the token was not looked at
		token := hsm.TokenInfo{Serial: m.TokenSerial.ValueString()}
		identifyCertificate(ctx, resp.Identity, &resp.Diagnostics, token, &m)
	}
}

// gone takes out of the state what is proven not to be on the token.
func (r *certificateResource) gone(
	ctx context.Context, m *certificateModel, token *hsm.Token, resp *resource.ReadResponse,
) {
	besides := ""
	if others, err := token.Certificates(ctx, m.id()); err == nil && len(others) > 0 { // it only helps the message
		var lines []string
		for _, other := range others {
			lines = append(lines, fmt.Sprintf("  - %q, SHA-256 fingerprint %s", other.Label, other.SHA256()))
		}
		besides = "Other certificates have its ID, and stay as they are:\n\n" + strings.Join(lines, "\n") + "\n\n"
	}
	if was := m.TokenSerial.ValueString(); was != "" && was != token.Info().Serial {
		besides = fmt.Sprintf("This is another token than the one that it was on, which has the serial number %q.\n\n"+
			"%s",
			was, besides)
	}
	resp.Diagnostics.AddWarning("Certificate Not On The Token: "+m.name(), fmt.Sprintf(
		"The certificate %s with the SHA-256 fingerprint %s is not on the token in %s. Its deletion_policy is %q, so "+
			"it leaves the state, and Terraform plans to write it again.\n\n%sWhat to do: if this is the wrong "+
			"token, do not apply, and correct the provider's configuration. If you did not destroy it, find out who "+
			"did: on many tokens that takes no PIN.",
		m.name(), m.Fingerprint.ValueString(), token.Info(), m.DeletionPolicy.ValueString(), besides))
	resp.State.RemoveResource(ctx)
}

func (r *certificateResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var m, state certificateModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if resp.Identity.Raw.IsFullyNull() {
		token := hsm.TokenInfo{Serial: state.TokenSerial.ValueString()}
		identifyCertificate(ctx, resp.Identity, &resp.Diagnostics, token, &state)
	}
	if !m.writes(&state) && !m.URI.IsUnknown() && !m.TokenSerial.IsUnknown() {
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
		return
	}
	r.within(ctx, &resp.Diagnostics, diagnose.Update, &state, m.Timeouts.Update, certificateTimes.update,
		func(ctx context.Context, token *hsm.Token) error {
			if r.anotherToken(&state, token, &resp.Diagnostics) {
				return nil
			}
			if err := r.settled(ctx, token, &m); err != nil {
				return err
			}
			release := r.client.certs.work(state.ref(), m.ref())
			defer release()
			changed, err := token.ChangeCertificate(ctx, state.ref(), m.template())
			if err != nil {
				return err
			}
			r.client.certs.made.add(m.ref())
			if err := m.read(changed, token.Info()); err != nil {
				return err
			}
			identifyCertificate(ctx, resp.Identity, &resp.Diagnostics, token.Info(), &m)
			resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
			return nil
		})
}

// writes says that an apply of the plan writes to the token: deletion_policy and timeouts are not on it.
func (m *certificateModel) writes(state *certificateModel) bool {
	return !m.Fingerprint.Equal(state.Fingerprint) || !m.Label.Equal(state.Label) || m.KeyID.IsUnknown() ||
		!strings.EqualFold(m.KeyID.ValueString(), state.KeyID.ValueString())
}

func (r *certificateResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m certificateModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	switch m.DeletionPolicy.ValueString() {
	case policyAbandon:
		return
	case policyDelete:
	default: // a tainted resource: no plan has asked us
		resp.Diagnostics.Append(protectedCertificate(&m))
		return
	}
	r.within(ctx, &resp.Diagnostics, diagnose.Delete, &m, m.Timeouts.Delete, certificateTimes.delete,
		func(ctx context.Context, token *hsm.Token) error {
			if r.anotherToken(&m, token, &resp.Diagnostics) {
				return nil
			}
			release := r.client.certs.work(m.ref())
			defer release()
			if r.client.certs.made.has(m.ref()) { // by create_before_destroy: the new one is this one
				return nil
			}
			return token.DestroyCertificate(ctx, m.ref())
		})
}

// protectedCertificate is the error for a destruction that deletion_policy forbids.
func protectedCertificate(m *certificateModel) diag.Diagnostic {
	return diag.NewErrorDiagnostic("Certificate Is Protected From Destruction", fmt.Sprintf(
		"Terraform would destroy the certificate %s, whose deletion_policy is \"prevent\".\n\nOn the token: the "+
			"certificate has not been touched.\n\n"+
			"What to do: put its resource block back. Or set deletion_policy = \"delete\" to destroy the "+
			"certificate, or \"abandon\" to leave it on the token, run terraform apply, then destroy the resource. "+
			"If the resource is tainted, run terraform untaint with its address.", m.name()))
}

// anotherToken refuses to touch a certificate on another token than the one that it was last read on.
func (r *certificateResource) anotherToken(state *certificateModel, token *hsm.Token, diags *diag.Diagnostics) bool {
	was := state.TokenSerial
	if was.IsNull() || was.IsUnknown() || was.Equal(serialOf(token.Info())) {
		return false
	}
	diags.AddError("Another Token Than Planned", fmt.Sprintf(
		"The plan is about the certificate %s on the token with the serial number %q. This apply has found another "+
			"token, in %s.\n\nOn the token: no certificate has been touched.\n\n"+
			"What to do: plan again in the environment in which you apply. If this token has taken the other one's "+
			"place, plan without -refresh=false.", state.name(), was.ValueString(), token.Info()))
	return true
}

// nameText is a name in DER as a text (RFC 4514), in the order of the certificate, the last part first; in hexadecimal
// where it makes no sense.
func nameText(der []byte) string {
	var name pkix.RDNSequence
	if _, err := asn1.Unmarshal(der, &name); err != nil {
		return hex.EncodeToString(der)
	}
	return printable(name.String())
}
