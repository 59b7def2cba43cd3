package provider

import (
	"context"
	"crypto"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/x509cert"
)

func newSelfSignedCertResource() *signedResource { return &signedResource{kind: selfSignedCertKind} }

// What goes into every certificate, besides whose it is, and what comes out of it.
var (
	whoseItIs     = []string{"subject", "dns_names", "ip_addresses", "uris", "email_addresses"}
	certArguments = append(alike("allowed_uses", "is_ca_certificate", "name_constraints", "policies",
		"set_subject_key_id", "signature_algorithm"), signedArgument{"max_path_length", samePathLength},
		signedArgument{"validity_period_hours", sameDates}, signedArgument{"not_before", sameDates},
		signedArgument{"serial_number", sameSerial})
	certMade = []string{"cert_pem", "serial_number", "signature_algorithm", validityStart, validityEnd, readyForRenewal}
)

var selfSignedCertKind = signedKind{
	typeName: "hsm_self_signed_cert", called: "Certificate",
	schema: selfSignedCertSchema, newModel: func() signedModel { return &selfSignedCertModel{} },
	arguments: append(slices.Concat(certArguments, alike(whoseItIs...), alike("set_authority_key_id")),
		signedArgument{"public_key_pem", sameKeyIn("public_key_pem")}),
	made: append(slices.Clone(certMade), "key_algorithm"),
	ends: true, due: certificateDue, title: "Certificate Cannot Be Made",
}

func selfSignedCertSchema() schema.Schema {
	return schema.Schema{
		MarkdownDescription: "A certificate ([RFC 5280](https://www.rfc-editor.org/rfc/rfc5280)) that is signed by " +
			"the key that it is for, which stays on the token: that of a root CA, for instance. Its arguments are " +
			"those of `tls_self_signed_cert`, with `public_key_pem` in place of `private_key_pem`. A change " +
			"replaces it, except that of `early_renewal_hours`, or of arguments that only say otherwise what the " +
			"certificate has already." + inTheState + " `hsm_certificate` writes it to the token.",
		Attributes: with(certAttributes("", "the key"), map[string]schema.Attribute{
			"public_key_pem": publicKeyPEM("The certificate is for it."),
			"set_authority_key_id": defaultsToFalse("Whether the certificate has an authority key identifier: that " +
				"of its own key."),
			"key_algorithm": madeText("Algorithm of the key: `RSA`, `ECDSA` or `ED25519`."),
		}),
		Blocks: map[string]schema.Block{"subject": subjectBlock("Who the certificate is for, and issued by. That of " +
			"a CA must have one.")},
	}
}

type selfSignedCertModel struct {
	certModel

	PublicKeyPEM      types.String `tfsdk:"public_key_pem"`
	SetAuthorityKeyID types.Bool   `tfsdk:"set_authority_key_id"`
	KeyAlgorithm      types.String `tfsdk:"key_algorithm"`
}

func (m *selfSignedCertModel) work(ctx context.Context, now time.Time, _ signedModel) (work, diag.Diagnostics) {
	r := newReading()
	profile := r.profile(ctx, &m.certModel)
	r.know(m.SetAuthorityKeyID, m.NotBefore)
	profile.SetAuthorityKeyID = m.SetAuthorityKeyID.ValueBool()
	profile.NotBefore, profile.NotAfter = dates(now, m.NotBefore, m.ValidityPeriodHours, nil)
	w := work{key: r.key("public_key_pem", m.PublicKeyPEM), at: problemAt(atItself)}
	w.create = func(signer crypto.Signer) ([]byte, error) { return profile.Create(w.key, nil, signer) }
	if !r.diags.HasError() {
		w.check = r.checks(selfSignedCertKind, w, func() []x509cert.Problem { return profile.Check(w.key, nil) },
			func() []x509cert.Problem { return profile.Rehearse(w.key, nil) })
		w.advise(profile.AllowedUses, w.key)
		r.dueLater(m.EarlyRenewalHours, now, profile.NotAfter, "certificate", !m.NotBefore.IsNull())
	}
	return w, r.diags
}

func (m *selfSignedCertModel) algorithmOf(pub crypto.PublicKey) { m.KeyAlgorithm = keyAlgorithm(pub) }
