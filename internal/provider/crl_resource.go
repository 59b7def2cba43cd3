package provider

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/x509cert"
)

func newCRLResource() *signedResource { return &signedResource{kind: crlKind} }

var crlKind = signedKind{
	typeName: "hsm_crl", called: "Revocation List",
	schema: crlSchema, newModel: func() signedModel { return &crlModel{} },
	arguments: append(alike("signature_algorithm"), signedArgument{"ca_cert_pem", sameCA},
		signedArgument{"ca_public_key_pem", ofTheCA}, signedArgument{"validity_period_hours", sameDates},
		signedArgument{"revoked", sameRevocations}),
	made: []string{"crl_pem", "crl_number", "signature_algorithm", "ca_key_algorithm", validityStart, validityEnd,
		readyForRenewal},
	ends: true, inPlace: true, due: listDue, title: "Revocation List Cannot Be Made",
}

func crlSchema() schema.Schema {
	all := with(datesAttributes("list", "the list"), caAttributes())
	return schema.Schema{
		MarkdownDescription: "A revocation list ([RFC 5280](https://www.rfc-editor.org/rfc/rfc5280#section-5), 5) " +
			"of a CA whose key stays on the token. Whatever changes, and a list that is due, is signed anew in " +
			"place, under a higher number. A revocation that was published is not dropped before its certificate " +
			"ends. What was published goes on being valid where it is, whatever happens to the resource." + inTheState,
		Attributes: with(all, map[string]schema.Attribute{
			"revoked": schema.ListNestedAttribute{
				MarkdownDescription: "The revoked certificates, in any order. An empty list, or none, revokes nothing.",
				Optional:            true,
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"serial_number": schema.StringAttribute{
						MarkdownDescription: "Serial number of the certificate in hexadecimal, such as the " +
							"attribute `serial_number` of an `hsm_locally_signed_cert`.",
						Required: true, Validators: []validator.String{serialNumber},
					},
					"time": schema.StringAttribute{
						MarkdownDescription: "When it was revoked ([RFC " +
							"3339](https://www.rfc-editor.org/rfc/rfc3339)). It stays as it was published.",
						Required: true, Validators: []validator.String{timestamp},
					},
					"reason": optionalText("Why: one of "+listed(x509cert.Reasons())+". None is given by default. It "+
						"stays as it was published, unless that was `unspecified`, `certificate_hold` or nothing.",
						oneOf(x509cert.Reasons()...)),
					"expires": optionalText("When the certificate ends ([RFC "+
						"3339](https://www.rfc-editor.org/rfc/rfc3339)), such as its attribute `validity_end_time`. "+
						"It is not written to the list: it says from when on the entry may be left out, once a list "+
						"was signed after that. An entry without it stays for ever, but for one of "+
						"`certificate_hold`, which may be lifted at any time.", timestamp),
				}},
			},
			"signature_algorithm": signatureAlgorithm("the key of the CA"),
			"crl_pem":             madeText("The list as PEM, with a line end after it."),
			"crl_number": schema.Int64Attribute{
				MarkdownDescription: "Number of the list (CRL number). It only rises: it is the time of its " +
					"signature in milliseconds since 1970, or one more than the last where the clock went back. So " +
					"it rises even after a state was lost.",
				Computed: true,
			},
		}),
	}
}

type crlModel struct {
	CACertPEM           types.String `tfsdk:"ca_cert_pem"`
	CAPublicKeyPEM      types.String `tfsdk:"ca_public_key_pem"`
	CAKeyAlgorithm      types.String `tfsdk:"ca_key_algorithm"`
	Revoked             types.List   `tfsdk:"revoked"`
	ValidityPeriodHours types.Int64  `tfsdk:"validity_period_hours"`
	EarlyRenewalHours   types.Int64  `tfsdk:"early_renewal_hours"`
	SignatureAlgorithm  types.String `tfsdk:"signature_algorithm"`
	CRLPEM              types.String `tfsdk:"crl_pem"`
	CRLNumber           types.Int64  `tfsdk:"crl_number"`
	ReadyForRenewal     types.Bool   `tfsdk:"ready_for_renewal"`
	ValidityStartTime   types.String `tfsdk:"validity_start_time"`
	ValidityEndTime     types.String `tfsdk:"validity_end_time"`
}

type revokedModel struct {
	SerialNumber types.String `tfsdk:"serial_number"`
	Time         types.String `tfsdk:"time"`
	Reason       types.String `tfsdk:"reason"`
	Expires      types.String `tfsdk:"expires"`
}

// revocation is an entry of the list, and when its certificate ends: the zero time where that is not said.
type revocation struct {
	x509cert.Revocation
	expires time.Time
}

// revoked are the entries, as far as they are known. It is blind where a list of which some are missing would say
// something else.
func (r *reading) revoked(ctx context.Context, v types.List) (all []revocation) {
	r.know(v)
	if v.IsNull() || v.IsUnknown() {
		return nil
	}
	r.know(v.Elements()...)
	if r.blind {
		return nil
	}
	var entries []revokedModel
	r.diags.Append(v.ElementsAs(ctx, &entries, false)...)
	for _, e := range entries {
		r.know(e.SerialNumber, e.Time, e.Reason)
		serial, _ := x509cert.ParseSerial(e.SerialNumber.ValueString()) // validated, as are the times
		at, _ := time.Parse(time.RFC3339, e.Time.ValueString())
		expires, _ := time.Parse(time.RFC3339, e.Expires.ValueString())
		all = append(all, revocation{x509cert.Revocation{Serial: serial, Time: at.UTC().Truncate(time.Second),
			Reason: e.Reason.ValueString()}, expires})
	}
	return all
}

func (m *crlModel) work(ctx context.Context, now time.Time, before signedModel) (work, diag.Diagnostics) {
	r := newReading()
	r.know(m.ValidityPeriodHours)
	issuer := r.ca(m.CACertPEM, m.CAPublicKeyPEM)
	revoked := r.revoked(ctx, m.Revoked)
	l := x509cert.List{Number: big.NewInt(now.UnixMilli()), SignatureAlgorithm: m.SignatureAlgorithm.ValueString()}
	for _, e := range revoked {
		l.Revoked = append(l.Revoked, e.Revocation)
	}
	last, _ := before.(*crlModel)
	l.ThisUpdate = thisUpdate(now, issuer, l.Revoked)
	if last != nil {
		m.follow(ctx, r, &l, last, revoked)
	}
	l.NextUpdate = l.ThisUpdate.Add(hours(m.ValidityPeriodHours.ValueInt64()))
	w := work{at: problemAt(atItself)}
	if issuer == nil || r.diags.HasError() {
		return w, r.diags
	}
	w.key = issuer.PublicKey
	w.create = func(signer crypto.Signer) ([]byte, error) { return l.Create(issuer, signer) }
	w.check = r.checks(crlKind, w, func() []x509cert.Problem { return l.Check(issuer) },
		func() []x509cert.Problem { return l.Rehearse(issuer) })
	r.dueLater(m.EarlyRenewalHours, now, l.NextUpdate, "list", false)
	return w, r.diags
}

// thisUpdate is a minute ago, for clocks that are slow, but neither before the CA begins nor before a revocation.
func thisUpdate(now time.Time, issuer *x509.Certificate, revoked []x509cert.Revocation) time.Time {
	begins := now.Add(-time.Minute).Truncate(time.Second)
	later := func(t time.Time) {
		if t.After(begins) && !t.After(now) {
			begins = t.UTC()
		}
	}
	if issuer != nil {
		later(issuer.NotBefore)
	}
	for _, e := range revoked {
		later(e.Time)
	}
	return begins
}

// follow makes the list one that comes after another: nothing in it goes back, and nothing is lost. Another CA's list
// has nothing to follow but the number.
func (m *crlModel) follow(ctx context.Context, r *reading, l *x509cert.List, last *crlModel, revoked []revocation) {
	if number := big.NewInt(last.CRLNumber.ValueInt64() + 1); number.Cmp(l.Number) > 0 {
		l.Number = number
	}
	same := m.CACertPEM.Equal(last.CACertPEM) || sameCAIn(m.CACertPEM.ValueString(), last.CACertPEM.ValueString())
	published, err := time.Parse(time.RFC3339, last.ValidityStartTime.ValueString())
	if !same || err != nil {
		return
	}
	if published.After(l.ThisUpdate) {
		l.ThisUpdate = published
	}
	if r.blind {
		return
	}
	r.diags.Append(lostRevocations(newReading().revoked(ctx, last.Revoked), revoked, published)...)
}

// Reasons that say so little that another one may follow.
func vague(reason string) bool { return reason == "" || reason == "unspecified" || reason == onHold }

const onHold = "certificate_hold"

// lostRevocations says which published revocations would be dropped too early, or say something else.
func lostRevocations(published, revoked []revocation, last time.Time) (diags diag.Diagnostics) {
	const changes, dropped = "Published Revocation Changes", "Published Revocation Dropped"
	now := map[string]int{}
	for i, e := range revoked {
		now[e.Serial.String()] = i
	}
	all := path.Root("revoked")
	for _, e := range published {
		serial := x509cert.FormatSerial(e.Serial)
		i, still := now[e.Serial.String()]
		switch {
		case still && !revoked[i].Time.Equal(e.Time):
			diags.AddAttributeError(all.AtListIndex(i).AtName("time"), changes, fmt.Sprintf(
				"The revocation of the certificate with the serial number %s was published with the time %s.\n\n"+
					"What to do: give it that time again.", serial, e.Time.Format(time.RFC3339)))
		case still && revoked[i].Reason != e.Reason && !vague(e.Reason):
			diags.AddAttributeError(all.AtListIndex(i).AtName("reason"), changes, fmt.Sprintf(
				"The revocation of the certificate with the serial number %s was published with the reason %s. Only "+
					"unspecified, certificate_hold and no reason at all may change.\n\nWhat to do: give it that "+
					"reason again.", serial, e.Reason))
		case still, e.Reason == onHold:
		case e.expires.IsZero():
			diags.AddAttributeError(all, dropped, fmt.Sprintf(
				"The revocation of the certificate with the serial number %s was published, and is missing now. "+
					"Whoever fetches the new list would trust the certificate again.\n\nWhat to do: put the entry "+
					"back. Once its certificate has ended, give it expires, the end of the certificate. A list that "+
					"is signed after that still has it, and the one after that need not (RFC 5280, 3.3).", serial))
		case !last.After(e.expires):
			diags.AddAttributeError(all, dropped, fmt.Sprintf(
				"The revocation of the certificate with the serial number %s was published, and is missing now. The "+
					"certificate ends at %s, and no list has had the entry since then: the last one is of %s. Whoever "+
					"fetches the new list might trust the certificate again.\n\nWhat to do: put the entry back, "+
					"until a list that was signed after that has it (RFC 5280, 3.3).",
				serial, e.expires.UTC().Format(time.RFC3339), last.Format(time.RFC3339)))
		}
	}
	return diags
}

// sameRevocations compares what two lists say, in whatever order and however it is written.
func sameRevocations(is, was fields) bool {
	a, okA := is.revocations()
	b, okB := was.revocations()
	return okA && okB && maps.Equal(a, b)
}

// revocations are the entries by their numbers, with time and reason. It is not ok where one is not known, or is there
// twice.
func (f fields) revocations() (all map[string]string, ok bool) {
	entries, ok := elementsOf(f["revoked"])
	all = map[string]string{}
	for _, e := range entries {
		entry := fieldsOf(e)
		serial, errSerial := x509cert.ParseSerial(entry.text("serial_number"))
		at, errTime := time.Parse(time.RFC3339, entry.text("time"))
		if errSerial != nil || errTime != nil || !entry["reason"].IsKnown() || all[serial.String()] != "" {
			return nil, false
		}
		all[serial.String()] = at.UTC().Format(time.RFC3339) + " " + strings.TrimPrefix(entry.text("reason"),
			"unspecified")
	}
	return all, ok
}

func (m *crlModel) took(der []byte) error {
	l, err := x509.ParseRevocationList(der)
	if err != nil {
		return err
	}
	m.CRLPEM, m.CRLNumber = types.StringValue(x509cert.ListPEM(der)), types.Int64Value(l.Number.Int64())
	m.ValidityStartTime, m.ValidityEndTime = timeText(l.ThisUpdate), timeText(l.NextUpdate)
	m.ReadyForRenewal = types.BoolValue(false)
	if m.SignatureAlgorithm.IsUnknown() {
		m.SignatureAlgorithm = types.StringValue(l.SignatureAlgorithm.String())
	}
	return nil
}

func (m *crlModel) algorithmOf(pub crypto.PublicKey) { m.CAKeyAlgorithm = keyAlgorithm(pub) }
