package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/x509cert"
)

var _ datasource.DataSourceWithConfigure = (*certificatesDataSource)(nil)

func newCertificatesDataSource() datasource.DataSource { return &certificatesDataSource{} }

// certificatesDataSource lists the certificates on the token.
type certificatesDataSource struct{ tokenReader }

type certificatesModel struct {
	KeyID        types.String             `tfsdk:"key_id"`
	Label        types.String             `tfsdk:"label"`
	Subject      types.String             `tfsdk:"subject"`
	Certificates []certificateObjectModel `tfsdk:"certificates"`
}

type certificateObjectModel struct {
	certificateText

	CertificatePEM types.String `tfsdk:"certificate_pem"`
	Label          types.String `tfsdk:"label"`
	KeyID          types.String `tfsdk:"key_id"`
	IsCA           types.Bool   `tfsdk:"is_ca"`
	HasPrivateKey  types.Bool   `tfsdk:"has_private_key"`
	Problem        types.String `tfsdk:"problem"`
}

func (d *certificatesDataSource) Metadata(
	_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse,
) {
	resp.TypeName = "hsm_certificates"
}

func (d *certificatesDataSource) Schema(
	_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse,
) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "The certificates on the token, whoever wrote them: on many tokens anyone who can open " +
			"a session can do that, without a PIN. So none is to be trusted because it is there. A certificate must " +
			"match all of `key_id`, `label` and `subject` that are given.\n\n" +
			"Terraform reads a data source whose arguments are known while it plans, which is before new " +
			"certificates are written. If the list should have those too, add `depends_on`.",
		Attributes: map[string]schema.Attribute{
			"key_id": schema.StringAttribute{
				MarkdownDescription: "Lists only certificates with this ID (`CKA_ID`), in hexadecimal.",
				Optional:            true,
				Validators:          []validator.String{keyID},
			},
			"label": schema.StringAttribute{
				MarkdownDescription: "Lists only certificates with this label.",
				Optional:            true,
				Validators:          []validator.String{someText()},
			},
			"subject": schema.StringAttribute{
				MarkdownDescription: "Lists only certificates with this subject, as the attribute `subject` has it.",
				Optional:            true,
				Validators:          []validator.String{someText()},
			},
			"certificates": schema.ListNestedAttribute{
				MarkdownDescription: "The certificates, ordered by ID, label and value, so that the list is the same " +
					"from run to run.",
				Computed: true,
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"certificate_pem": computedString("The certificate as a PEM block `CERTIFICATE`; null if the " +
						"token does not show its value."),
					"label":  computedString("Label of the certificate."),
					"key_id": computedString("ID (`CKA_ID`) in hexadecimal; null if it has none."),
					"subject": computedString("The subject as a text ([RFC " +
						"4514](https://www.rfc-editor.org/rfc/rfc4514)), such as `CN=web,O=Example,C=DE`: the last " +
						"part of the name comes first."),
					"issuer":        computedString("The issuer, in the same form."),
					"serial_number": computedString("The serial number, in lower-case hexadecimal."),
					"validity_start_time": computedString("When the certificate begins ([RFC " +
						"3339](https://www.rfc-editor.org/rfc/rfc3339)), in UTC."),
					"validity_end_time":  computedString("When it ends, in the same form."),
					"fingerprint_sha256": computedString("SHA-256 of the certificate in DER, in hexadecimal."),
					"is_ca":              computedBool("Whether it is the certificate of a CA, as it says itself."),
					"has_private_key": computedBool("Whether the token has a key pair with its public key, under " +
						"whatever ID. It is not proven that the private half belongs to it."),
					"problem": computedString("Why the certificate cannot be read, so that the attributes from " +
						"`subject` on are null; null for most certificates."),
				}},
			},
		},
	}
}

func (d *certificatesDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m certificatesModel
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	d.readToken(ctx, &resp.Diagnostics, "Read Certificates", func(ctx context.Context, token *hsm.Token) error {
		all, err := m.candidates(ctx, token)
		if err != nil {
			return err
		}
		pairs, err := pairsOf(ctx, token)
		if err != nil {
			return err
		}
		m.Certificates = []certificateObjectModel{}
		var unread []string
		for _, c := range all {
			row := certificateObjectOf(c, pairs)
			switch {
			case !m.Label.IsNull() && c.Label != m.Label.ValueString():
			case !m.Subject.IsNull() && !row.Problem.IsNull():
				unread = append(unread, fmt.Sprintf("  - %s: %s", c.Name(), row.Problem.ValueString()))
			case m.Subject.IsNull() || m.Subject.Equal(row.Subject):
				m.Certificates = append(m.Certificates, row)
			}
		}
		if len(unread) > 0 {
			resp.Diagnostics.Append(notListed(unread, token))
		}
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
		return nil
	})
}

// candidates reads the certificates that may be listed.
func (m *certificatesModel) candidates(ctx context.Context, token *hsm.Token) ([]object.Certificate, error) {
	if m.KeyID.IsNull() {
		return token.AllCertificates(ctx)
	}
	id, err := object.ParseID(m.KeyID.ValueString())
	if err != nil {
		return nil, err // which the validator has refused
	}
	all, err := token.Certificates(ctx, id)
	object.SortCertificates(all)
	return all, err
}

// pairsOf are the fingerprints of the key pairs on the token.
func pairsOf(ctx context.Context, token *hsm.Token) (map[string]bool, error) {
	inventory, err := token.Inventory(ctx)
	if err != nil {
		return nil, err
	}
	keys, _ := inventory.Keys()
	pairs := map[string]bool{}
	for _, key := range keys {
		if key.PublicKey != nil {
			pairs[key.Fingerprint()] = true
		}
	}
	return pairs, nil
}

func certificateObjectOf(c object.Certificate, pairs map[string]bool) certificateObjectModel {
	m := certificateObjectModel{Label: types.StringValue(printable(c.Label)), KeyID: given(object.FormatID(c.ID))}
	m.Fingerprint = given(c.SHA256())
	if len(c.DER()) > 0 {
		m.CertificatePEM = types.StringValue(x509cert.CertificatePEM(c.DER()))
	}
	parsed, err := c.Parse()
	if err != nil {
		m.Problem = types.StringValue(diagnose.Sentence(printable(err.Error())))
		return m
	}
	m.certificateText = certificateTextOf(parsed)
	m.IsCA = types.BoolValue(parsed.BasicConstraintsValid && parsed.IsCA)
	m.HasPrivateKey = types.BoolValue(c.KeyFingerprint() != "" && pairs[c.KeyFingerprint()])
	return m
}

// notListed warns of certificates that may have the subject that is asked for.
func notListed(unread []string, token *hsm.Token) diag.Diagnostic {
	return diag.NewWarningDiagnostic("Certificates That Cannot Be Read", fmt.Sprintf(
		"The list leaves out certificates of which nobody can tell the subject:\n\n%s\n\nWhat to do: look at them "+
			"with another tool, and destroy what nobody needs:\n\n  %s",
		strings.Join(unread, "\n"), token.Command("--list-objects", "--type", "cert")))
}
