package provider

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/x509cert"
)

// subjectModel is the block subject.
type subjectModel struct {
	CommonName         types.String `tfsdk:"common_name"`
	Organization       types.String `tfsdk:"organization"`
	OrganizationalUnit types.String `tfsdk:"organizational_unit"`
	StreetAddress      types.List   `tfsdk:"street_address"`
	Locality           types.String `tfsdk:"locality"`
	Province           types.String `tfsdk:"province"`
	Country            types.String `tfsdk:"country"`
	PostalCode         types.String `tfsdk:"postal_code"`
	EmailAddress       types.String `tfsdk:"email_address"`
	SerialNumber       types.String `tfsdk:"serial_number"`
	DomainComponents   types.List   `tfsdk:"domain_components"`
}

// namesModel is the names besides the subject.
type namesModel struct {
	DNSNames       types.List `tfsdk:"dns_names"`
	IPAddresses    types.List `tfsdk:"ip_addresses"`
	URIs           types.List `tfsdk:"uris"`
	EmailAddresses types.List `tfsdk:"email_addresses"`
}

// nameConstraintsModel is name_constraints.
type nameConstraintsModel struct {
	PermittedDNS    types.List `tfsdk:"permitted_dns_domains"`
	ExcludedDNS     types.List `tfsdk:"excluded_dns_domains"`
	PermittedIPs    types.List `tfsdk:"permitted_ip_ranges"`
	ExcludedIPs     types.List `tfsdk:"excluded_ip_ranges"`
	PermittedEmails types.List `tfsdk:"permitted_email_addresses"`
	ExcludedEmails  types.List `tfsdk:"excluded_email_addresses"`
	PermittedURIs   types.List `tfsdk:"permitted_uri_domains"`
	ExcludedURIs    types.List `tfsdk:"excluded_uri_domains"`
}

// certModel is what both resources of certificates have.
type certModel struct {
	namesModel

	Subject             types.Object `tfsdk:"subject"`
	ValidityPeriodHours types.Int64  `tfsdk:"validity_period_hours"`
	EarlyRenewalHours   types.Int64  `tfsdk:"early_renewal_hours"`
	NotBefore           types.String `tfsdk:"not_before"`
	AllowedUses         types.List   `tfsdk:"allowed_uses"`
	IsCACertificate     types.Bool   `tfsdk:"is_ca_certificate"`
	MaxPathLength       types.Int64  `tfsdk:"max_path_length"`
	NameConstraints     types.Object `tfsdk:"name_constraints"`
	Policies            types.List   `tfsdk:"policies"`
	SerialNumber        types.String `tfsdk:"serial_number"`
	SetSubjectKeyID     types.Bool   `tfsdk:"set_subject_key_id"`
	SignatureAlgorithm  types.String `tfsdk:"signature_algorithm"`
	CertPEM             types.String `tfsdk:"cert_pem"`
	ReadyForRenewal     types.Bool   `tfsdk:"ready_for_renewal"`
	ValidityStartTime   types.String `tfsdk:"validity_start_time"`
	ValidityEndTime     types.String `tfsdk:"validity_end_time"`
}

// took makes the model say what the certificate says.
func (m *certModel) took(der []byte) error {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	m.CertPEM = types.StringValue(x509cert.CertificatePEM(der))
	m.ValidityStartTime, m.ValidityEndTime = timeText(cert.NotBefore), timeText(cert.NotAfter)
	m.ReadyForRenewal = types.BoolValue(false)
	if m.SerialNumber.IsUnknown() {
		m.SerialNumber = types.StringValue(x509cert.FormatSerial(cert.SerialNumber))
	}
	if m.SignatureAlgorithm.IsUnknown() {
		m.SignatureAlgorithm = types.StringValue(cert.SignatureAlgorithm.String())
	}
	return nil
}

// reading makes values of x509cert of those of a model, and remembers what a plan does not know yet.
type reading struct {
	diags   diag.Diagnostics
	unknown map[string]bool // arguments in whose place stands something: "subject", "subject.country", "dns_names[1]"
	blind   bool            // so much is unknown that no check makes sense
}

func newReading() *reading { return &reading{unknown: map[string]bool{}} }

// What stands in the place of what is not known yet.
const (
	someWord    = "unknown"
	someDNSName = "unknown.invalid"
	someEmail   = "unknown@unknown.invalid"
)

// text is a text, or what stands for it where it is not known yet. Nothing can stand for it where that is "".
func (r *reading) text(argument string, v types.String, instead string) string {
	if !v.IsUnknown() {
		return v.ValueString()
	}
	r.unknown[argument] = true
	r.blind = r.blind || instead == ""
	return instead
}

// texts are those of a list.
func (r *reading) texts(argument string, v types.List, instead string) (all []string) {
	if v.IsUnknown() {
		return []string{r.text(argument, types.StringUnknown(), instead)}
	}
	for i, element := range v.Elements() {
		text, _ := element.(types.String)
		all = append(all, r.text(fmt.Sprintf("%s[%d]", argument, i), text, instead))
	}
	return all
}

// know is blind where one of the values is not known yet.
func (r *reading) know(values ...attr.Value) {
	for _, v := range values {
		r.blind = r.blind || v.IsUnknown()
	}
}

// object decodes an object that is there.
func (r *reading) object(ctx context.Context, v types.Object, into any) (ok bool) {
	r.know(v)
	if v.IsNull() || v.IsUnknown() {
		return false
	}
	r.diags.Append(v.As(ctx, into, basetypes.ObjectAsOptions{})...)
	return !r.diags.HasError()
}

func (r *reading) subject(ctx context.Context, v types.Object) x509cert.Subject {
	var m subjectModel
	if !r.object(ctx, v, &m) {
		return x509cert.Subject{}
	}
	return x509cert.Subject{
		CommonName:         r.text("subject.common_name", m.CommonName, someWord),
		Organization:       r.text("subject.organization", m.Organization, someWord),
		OrganizationalUnit: r.text("subject.organizational_unit", m.OrganizationalUnit, someWord),
		Locality:           r.text("subject.locality", m.Locality, someWord),
		Province:           r.text("subject.province", m.Province, someWord),
		Country:            r.text("subject.country", m.Country, "ZZ"),
		PostalCode:         r.text("subject.postal_code", m.PostalCode, someWord),
		SerialNumber:       r.text("subject.serial_number", m.SerialNumber, someWord),
		EmailAddress:       r.text("subject.email_address", m.EmailAddress, someEmail),
		StreetAddress:      r.texts("subject.street_address", m.StreetAddress, someWord),
		DomainComponents:   r.texts("subject.domain_components", m.DomainComponents, someWord),
	}
}

func (r *reading) names(m namesModel) x509cert.Names {
	return x509cert.Names{
		DNS:    r.texts("dns_names", m.DNSNames, someDNSName),
		IPs:    r.texts("ip_addresses", m.IPAddresses, "192.0.2.1"),
		URIs:   r.texts("uris", m.URIs, "https://unknown.invalid/"),
		Emails: r.texts("email_addresses", m.EmailAddresses, someEmail),
	}
}

// profile is the certificate that the model asks for, but for its dates.
func (r *reading) profile(ctx context.Context, m *certModel) x509cert.Profile {
	r.know(m.IsCACertificate, m.MaxPathLength, m.ValidityPeriodHours, m.SetSubjectKeyID)
	p := x509cert.Profile{
		Subject:            r.subject(ctx, m.Subject),
		Names:              r.names(m.namesModel),
		AllowedUses:        r.texts("allowed_uses", m.AllowedUses, ""),
		IsCA:               m.IsCACertificate.ValueBool(),
		Policies:           r.texts("policies", m.Policies, ""),
		SetSubjectKeyID:    m.SetSubjectKeyID.ValueBool(),
		SignatureAlgorithm: m.SignatureAlgorithm.ValueString(), // unknown where it is left to the key
	}
	if n := m.MaxPathLength.ValueInt64(); !m.MaxPathLength.IsNull() && n >= 0 && p.IsCA {
		length := int(n)
		p.MaxPathLength = &length
	}
	if text := m.SerialNumber.ValueString(); text != "" {
		p.Serial, _ = x509cert.ParseSerial(text) // validated
	}
	var c nameConstraintsModel
	if r.object(ctx, m.NameConstraints, &c) {
		list := func(name string, v types.List) []string { return r.texts("name_constraints."+name, v, "") }
		p.NameConstraints = x509cert.NameConstraints{
			PermittedDNS:    list("permitted_dns_domains", c.PermittedDNS),
			ExcludedDNS:     list("excluded_dns_domains", c.ExcludedDNS),
			PermittedIPs:    list("permitted_ip_ranges", c.PermittedIPs),
			ExcludedIPs:     list("excluded_ip_ranges", c.ExcludedIPs),
			PermittedEmails: list("permitted_email_addresses", c.PermittedEmails),
			ExcludedEmails:  list("excluded_email_addresses", c.ExcludedEmails),
			PermittedURIs:   list("permitted_uri_domains", c.PermittedURIs),
			ExcludedURIs:    list("excluded_uri_domains", c.ExcludedURIs),
		}
	}
	return p
}

// key is a public key in PEM, nil where it is not known yet or cannot be read.
func (r *reading) key(argument string, v types.String) crypto.PublicKey {
	if v.IsUnknown() || v.IsNull() {
		return nil
	}
	pub, err := publickey.ParsePEM(v.ValueString())
	if err != nil {
		r.diags.AddAttributeError(path.Root(argument), "Invalid Public Key",
			diagnose.Sentence(err.Error())+"\n\nWhat to do: give the public key as PEM, such as the attribute "+
				"public_key_pem of a key pair's resource.")
		return nil
	}
	return pub
}

// ca is a CA's certificate, nil where it is not known yet or cannot be read, and the key that signs for it.
func (r *reading) ca(certificate, key types.String) *x509.Certificate {
	pub := r.key("ca_public_key_pem", key)
	if certificate.IsUnknown() {
		return nil
	}
	cert, err := x509cert.ParseCertificate(certificate.ValueString())
	if err != nil {
		r.diags.AddAttributeError(path.Root("ca_cert_pem"), "Invalid CA Certificate",
			diagnose.Sentence(err.Error())+"\n\nWhat to do: give the certificate of the CA as one PEM block, such as "+
				"the attribute cert_pem of an hsm_self_signed_cert.")
		return nil
	}
	if pub != nil && !publickey.Equal(pub, cert.PublicKey) {
		r.diags.AddAttributeError(path.Root("ca_public_key_pem"), "Not The Key Of The CA", "The public key in "+
			"ca_public_key_pem is not the one in ca_cert_pem. What it signs would not be the CA's.\n\nWhat to do: "+
			"leave ca_public_key_pem out. Then the key that signs is that of ca_cert_pem.")
	}
	return cert
}

// checks gives a check of a plan, which takes those problems that are about what is known. rehearse makes the product
// with a throw-away key, and is for what is known as a whole; nil: there is no more to it than check.
func (r *reading) checks(k signedKind, w work, check, rehearse func() []x509cert.Problem) func() diag.Diagnostics {
	if r.blind {
		return func() diag.Diagnostics { return nil }
	}
	return func() diag.Diagnostics {
		if rehearse != nil && len(r.unknown) == 0 {
			return k.problems(rehearse(), w.at)
		}
		var about []x509cert.Problem
		for _, p := range check() {
			root, _, _ := strings.Cut(p.Argument, ".")
			if !r.unknown[root] && !r.unknown[p.Argument] && !r.unknown[fmt.Sprintf("%s[%d]", p.Argument, p.Index)] {
				about = append(about, p)
			}
		}
		return k.problems(about, w.at)
	}
}

// advise adds to a plan's check what is signed all the same.
func (w *work) advise(allowed []string, pub crypto.PublicKey) {
	check := w.check
	w.check = func() diag.Diagnostics {
		diags := check()
		for _, p := range x509cert.Advice(allowed, pub) {
			diags.AddAttributeWarning(w.at(p), "Use Without A Meaning", diagnose.Sentence(p.Says))
		}
		return diags
	}
}

// problemAt is where a problem is shown: at the argument that it names, or at another one where the resource has none
// of that name, or another one gives its value.
func problemAt(instead func(argument string) string) func(x509cert.Problem) path.Path {
	return func(p x509cert.Problem) path.Path {
		root, rest, _ := strings.Cut(p.Argument, ".")
		if other := instead(root); other != "" {
			return path.Root(other)
		}
		at := path.Root(root)
		if rest != "" {
			at = at.AtName(rest)
		}
		if p.Index >= 0 {
			at = at.AtListIndex(p.Index)
		}
		return at
	}
}

func atItself(string) string { return "" }

// dates are when a certificate begins and ends. One that is told nothing else begins a minute ago, for clocks that are
// slow, or with its CA where that is younger. In the first hour of its CA it begins with it where it would otherwise
// outlive it: both can be made in one run, for equally long.
func dates(now time.Time, notBefore types.String, length types.Int64, issuer *x509.Certificate) (start, end time.Time) {
	lasts := hours(length.ValueInt64())
	if text := notBefore.ValueString(); text != "" {
		start, _ = time.Parse(time.RFC3339, text) // validated
		start = start.UTC().Truncate(time.Second)
		return start, start.Add(lasts)
	}
	start = now.Add(-time.Minute).Truncate(time.Second)
	if issuer == nil || issuer.NotBefore.After(now) {
		return start, start.Add(lasts)
	}
	if begins := issuer.NotBefore.UTC(); begins.After(start) || start.Add(lasts).After(issuer.NotAfter) &&
		now.Sub(begins) < time.Hour && !begins.Add(lasts).After(issuer.NotAfter) {
		start = begins
	}
	return start, start.Add(lasts)
}

// keyAlgorithm is what the tls provider calls a key's algorithm.
func keyAlgorithm(pub crypto.PublicKey) types.String {
	switch pub.(type) {
	case *rsa.PublicKey:
		return types.StringValue("RSA")
	case *ecdsa.PublicKey:
		return types.StringValue("ECDSA")
	case ed25519.PublicKey:
		return types.StringValue("ED25519")
	}
	return types.StringUnknown() // the check refuses it
}
