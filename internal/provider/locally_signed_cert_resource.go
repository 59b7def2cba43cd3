package provider

import (
	"context"
	"crypto"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/x509cert"
)

func newLocallySignedCertResource() *signedResource {
	return &signedResource{kind: locallySignedCertKind}
}

var locallySignedCertKind = signedKind{
	typeName: "hsm_locally_signed_cert", called: "Certificate",
	schema: locallySignedCertSchema, newModel: func() signedModel { return &locallySignedCertModel{} },
	arguments: slices.Concat(certArguments, alikeOrOfRequest(whoseItIs...),
		alike("crl_distribution_points", "ocsp_servers", "issuing_certificate_urls"),
		[]signedArgument{{"cert_request_pem", sameRequest}, {"ca_cert_pem", sameCA}, {"ca_public_key_pem", ofTheCA}}),
	made: append(slices.Clone(certMade), "ca_key_algorithm"),
	ends: true, due: certificateDue, title: "Certificate Cannot Be Made",
}

// caAttributes are those of a CA that signs, and what comes of its key.
func caAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"ca_cert_pem": requiredText("Certificate of the CA as PEM. The key pair on the token that has its public " +
			"key signs, under whatever ID and label. A certificate of the same CA (key, subject and subject key " +
			"identifier), such as a renewed one, changes in place, and nothing is signed. One that is made " +
			"in the same run is not known to the plan: then what it signs is signed anew."),
		"ca_public_key_pem": optionalText("Public key of the CA as PEM. Defaults to the key of `ca_cert_pem`, and " +
			"must be that."),
		"ca_key_algorithm": madeText("Algorithm of the CA's key: `RSA`, `ECDSA` or `ED25519`."),
	}
}

func locallySignedCertSchema() schema.Schema {
	const note = " Defaults to those of the request; an empty list leaves them out."
	all := with(certAttributes(note, "the key of the CA"),
		map[string]schema.Attribute{
			"cert_request_pem": requiredText("The certificate request as PEM, whose key and names the certificate " +
				"is for, and whose signature is checked. What it asks for besides those is not granted for that."),
			"crl_distribution_points":  listedTexts("URLs (`http` or `ldap`) of the CA's revocation list."),
			"ocsp_servers":             listedTexts("URLs of the CA's OCSP responders."),
			"issuing_certificate_urls": listedTexts("URLs of the CA's own certificate."),
		})
	return schema.Schema{
		MarkdownDescription: "A certificate ([RFC 5280](https://www.rfc-editor.org/rfc/rfc5280)) that a CA issues " +
			"for a request. The CA's key stays on the token. Its arguments are those of `tls_locally_signed_cert`, " +
			"with `ca_public_key_pem`, which may be left out, in place of `ca_private_key_pem`. It never lasts " +
			"longer than its CA, is none below a CA whose path length forbids it, and is never outside its CA's name " +
			"constraints: these are errors of the plan. Only the CA's own certificate is looked at, not those above " +
			"it. A change replaces it, except that of `early_renewal_hours`, or of arguments that only say " +
			"otherwise what the certificate has already." + inTheState + " Its destruction revokes nothing.",
		Attributes: with(all, caAttributes()),
		Blocks: map[string]schema.Block{"subject": subjectBlock("Who the certificate is for. Defaults to the " +
			"subject of the request, as it stands.")},
	}
}

type locallySignedCertModel struct {
	certModel

	CertRequestPEM         types.String `tfsdk:"cert_request_pem"`
	CACertPEM              types.String `tfsdk:"ca_cert_pem"`
	CAPublicKeyPEM         types.String `tfsdk:"ca_public_key_pem"`
	CRLDistributionPoints  types.List   `tfsdk:"crl_distribution_points"`
	OCSPServers            types.List   `tfsdk:"ocsp_servers"`
	IssuingCertificateURLs types.List   `tfsdk:"issuing_certificate_urls"`
	CAKeyAlgorithm         types.String `tfsdk:"ca_key_algorithm"`
}

func (m *locallySignedCertModel) work(ctx context.Context, now time.Time, _ signedModel) (work, diag.Diagnostics) {
	r := newReading()
	const url = "http://unknown.invalid/"
	profile := r.profile(ctx, &m.certModel)
	profile.CRLDistributionPoints = r.texts("crl_distribution_points", m.CRLDistributionPoints, url)
	profile.OCSPServers = r.texts("ocsp_servers", m.OCSPServers, url)
	profile.IssuerURLs = r.texts("issuing_certificate_urls", m.IssuingCertificateURLs, url)
	r.know(m.NotBefore)
	issuer := r.ca(m.CACertPEM, m.CAPublicKeyPEM)
	pub := r.request(m, &profile)
	profile.NotBefore, profile.NotAfter = dates(now, m.NotBefore, m.ValidityPeriodHours, issuer)
	w := work{at: problemAt(m.instead)}
	if issuer != nil {
		w.key = issuer.PublicKey
	}
	if issuer != nil && pub != nil {
		w.create = func(signer crypto.Signer) ([]byte, error) { return profile.Create(pub, issuer, signer) }
	}
	if r.diags.HasError() {
		return w, r.diags
	}
	w.check = r.checks(locallySignedCertKind, w, profile.CheckAlone, nil)
	if issuer != nil {
		w.check = r.checks(locallySignedCertKind, w, func() []x509cert.Problem { return profile.Check(pub, issuer) },
			func() []x509cert.Problem { return profile.Rehearse(pub, issuer) })
	}
	w.advise(profile.AllowedUses, pub)
	r.dueLater(m.EarlyRenewalHours, now, profile.NotAfter, "certificate", !m.NotBefore.IsNull())
	return w, r.diags
}

// request gives the profile what it has of the request, and the key that that is for: nil where it is not known yet,
// and then something stands in place of its names.
func (r *reading) request(m *locallySignedCertModel, p *x509cert.Profile) crypto.PublicKey {
	const argument = "cert_request_pem"
	names := x509cert.Names{DNS: []string{someDNSName}}
	var pub crypto.PublicKey
	switch {
	case m.CertRequestPEM.IsUnknown():
		for _, name := range whoseItIs {
			if m.instead(name) == argument {
				r.unknown[name] = true
			}
		}
		if m.Subject.IsNull() {
			p.Subject.CommonName = someWord
		}
	default:
		request, err := x509cert.ParseRequest(m.CertRequestPEM.ValueString())
		if err != nil {
			r.diags.AddAttributeError(path.Root(argument), "Invalid Certificate Request",
				diagnose.Sentence(err.Error())+"\n\nWhat to do: give a certificate request as PEM, such as the "+
					"attribute cert_request_pem of an hsm_cert_request.")
			return nil
		}
		if _, names, err = x509cert.RequestNames(request); err != nil {
			r.diags.AddAttributeError(path.Root(argument), "Invalid Certificate Request",
				diagnose.Sentence(err.Error())+"\n\nWhat to do: have the request made without that name.")
			return nil
		}
		if m.Subject.IsNull() {
			p.RawSubject = request.RawSubject
		}
		pub = request.PublicKey
	}
	for _, part := range []struct {
		here    types.List
		to      *[]string
		request []string
	}{
		{m.DNSNames, &p.Names.DNS, names.DNS},
		{m.IPAddresses, &p.Names.IPs, names.IPs},
		{m.URIs, &p.Names.URIs, names.URIs},
		{m.EmailAddresses, &p.Names.Emails, names.Emails},
	} {
		if part.here.IsNull() {
			*part.to = part.request
		}
	}
	return pub
}

// instead is the request, for what the certificate has of it.
func (m *locallySignedCertModel) instead(argument string) string {
	root, _, _ := strings.Cut(argument, ".")
	ofRequest := map[string]bool{
		"public_key_pem": true, "subject": m.Subject.IsNull(), "dns_names": m.DNSNames.IsNull(),
		"ip_addresses": m.IPAddresses.IsNull(), "uris": m.URIs.IsNull(), "email_addresses": m.EmailAddresses.IsNull(),
	}
	if ofRequest[root] {
		return "cert_request_pem"
	}
	return ""
}

func (m *locallySignedCertModel) algorithmOf(pub crypto.PublicKey) {
	m.CAKeyAlgorithm = keyAlgorithm(pub)
}
