package provider

import (
	"context"
	"crypto"
	"crypto/x509"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/x509cert"
)

func newCertRequestResource() *signedResource { return &signedResource{kind: certRequestKind} }

var certRequestKind = signedKind{
	typeName: "hsm_cert_request", called: "Certificate Request",
	schema: certRequestSchema, newModel: func() signedModel { return &certRequestModel{} },
	arguments: append(slices.Concat(alike(whoseItIs...), alike("allowed_uses", "is_ca_certificate",
		"signature_algorithm")), signedArgument{"public_key_pem", sameKeyIn("public_key_pem")}),
	made:  []string{"cert_request_pem", "key_algorithm", "signature_algorithm"},
	title: "Request Cannot Be Made",
}

func certRequestSchema() schema.Schema {
	return schema.Schema{
		MarkdownDescription: "A certificate request ([RFC 2986](https://www.rfc-editor.org/rfc/rfc2986)), which a " +
			"key pair on the token signs. Its arguments are those of `tls_cert_request`, with `public_key_pem` in " +
			"place of `private_key_pem`. A change of any other than a public key that is only written otherwise " +
			"replaces it." + inTheState,
		Attributes: with(namesAttributes(""), map[string]schema.Attribute{
			"public_key_pem": publicKeyPEM("The request is for it."),
			"allowed_uses": listedTexts("What the certificate is to be good for, as requested extensions."+usesAre+
				listed(x509cert.Uses())+".", oneOf(x509cert.Uses()...)),
			"is_ca_certificate": defaultsToFalse("Whether the certificate of a CA is asked for, as a requested " +
				"extension."),
			"signature_algorithm": signatureAlgorithm("the key"),
			"key_algorithm":       madeText("Algorithm of the key: `RSA`, `ECDSA` or `ED25519`."),
			"cert_request_pem":    madeText("The request as PEM, with a line end after it."),
		}),
		Blocks: map[string]schema.Block{"subject": subjectBlock("Who the certificate is for. All of it may be left " +
			"out.")},
	}
}

type certRequestModel struct {
	namesModel

	PublicKeyPEM       types.String `tfsdk:"public_key_pem"`
	Subject            types.Object `tfsdk:"subject"`
	AllowedUses        types.List   `tfsdk:"allowed_uses"`
	IsCACertificate    types.Bool   `tfsdk:"is_ca_certificate"`
	SignatureAlgorithm types.String `tfsdk:"signature_algorithm"`
	KeyAlgorithm       types.String `tfsdk:"key_algorithm"`
	CertRequestPEM     types.String `tfsdk:"cert_request_pem"`
}

func (m *certRequestModel) work(ctx context.Context, _ time.Time, _ signedModel) (work, diag.Diagnostics) {
	r := newReading()
	r.know(m.IsCACertificate)
	request := x509cert.Request{
		Subject: r.subject(ctx, m.Subject), Names: r.names(m.namesModel),
		AllowedUses: r.texts("allowed_uses", m.AllowedUses, ""),
		IsCA:        m.IsCACertificate.ValueBool(), SignatureAlgorithm: m.SignatureAlgorithm.ValueString(),
	}
	w := work{key: r.key("public_key_pem", m.PublicKeyPEM), create: request.Create, at: problemAt(atItself)}
	if !r.diags.HasError() {
		w.check = r.checks(certRequestKind, w, func() []x509cert.Problem { return request.Check(w.key) }, nil)
		w.advise(request.AllowedUses, w.key)
	}
	return w, r.diags
}

func (m *certRequestModel) took(der []byte) error {
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return err
	}
	m.CertRequestPEM = types.StringValue(x509cert.RequestPEM(der))
	if m.SignatureAlgorithm.IsUnknown() {
		m.SignatureAlgorithm = types.StringValue(request.SignatureAlgorithm.String())
	}
	return nil
}

func (m *certRequestModel) algorithmOf(pub crypto.PublicKey) { m.KeyAlgorithm = keyAlgorithm(pub) }
