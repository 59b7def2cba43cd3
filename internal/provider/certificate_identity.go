package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/list"
	listschema "github.com/hashicorp/terraform-plugin-framework/list/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

var _ list.ListResourceWithConfigure = (*certificateResource)(nil)

// certificateIdentity tells a certificate from those of all tokens.
type certificateIdentity struct {
	TokenSerial types.String `tfsdk:"token_serial"`
	KeyID       types.String `tfsdk:"key_id"`
	Fingerprint types.String `tfsdk:"fingerprint_sha256"`
}

func (r *certificateResource) IdentitySchema(
	_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse,
) {
	resp.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"token_serial": identityOfToken,
		"key_id": identityschema.StringAttribute{
			Description:       "ID (CKA_ID) of the certificate in hexadecimal.",
			RequiredForImport: true,
		},
		"fingerprint_sha256": identityschema.StringAttribute{
			Description:       "SHA-256 of the certificate in hexadecimal.",
			RequiredForImport: true,
		},
	}}
}

// identifyCertificate sets a certificate's identity, in one form however the configuration writes key_id.
func identifyCertificate(
	ctx context.Context, identity *tfsdk.ResourceIdentity, diags *diag.Diagnostics, token hsm.TokenInfo,
	m *certificateModel,
) {
	diags.Append(identity.Set(ctx, certificateIdentity{
		TokenSerial: serialOf(token), KeyID: types.StringValue(object.FormatID(m.id())), Fingerprint: m.Fingerprint,
	})...)
}

func (r *certificateResource) ImportState(
	ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse,
) {
	asked, err := askedCertificate(ctx, req)
	if err != nil {
		resp.Diagnostics.AddError("Invalid Import ID", fmt.Sprintf(
			"%s\n\nImport a certificate by its key_id, or, where several have that, by KEY_ID@FINGERPRINT with the "+
				"SHA-256 fingerprint.\n\n%s", diagnose.Sentence(err.Error()),
			diagnose.HowToImport(certificateType, "6b65792d31")))
		return
	}
	m := certificateModel{KeyID: types.StringValue(object.FormatID(asked.id)), Label: types.StringNull()}
	r.client.run(ctx, &resp.Diagnostics, certificateKind.Doing(diagnose.Import), func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, readTime)
		defer cancel()
		token, err := r.client.token(ctx)
		var found object.Certificate
		if err == nil {
			found, err = findCertificate(ctx, token, asked)
		}
		if err != nil {
			resp.Diagnostics.Append(r.failure(diagnose.Import, &m, token, err))
			return
		}
		m.Fingerprint = types.StringValue(found.SHA256())
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("key_id"), object.FormatID(found.ID))...)
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("label"), printable(found.Label))...)
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("fingerprint_sha256"), found.SHA256())...)
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("deletion_policy"), policyPrevent)...)
		resp.Diagnostics.Append(mark(ctx, resp.Private)...)
		identifyCertificate(ctx, resp.Identity, &resp.Diagnostics, token.Info(), &m)
	})
}

// askedCertificate reads what to import from the ID, or from the identity where there is no ID.
func askedCertificate(ctx context.Context, req resource.ImportStateRequest) (importID, error) {
	if req.ID != "" || req.Identity.Raw.IsFullyNull() {
		asked, err := parseImportID(req.ID)
		if err == nil && asked.uri != nil {
			err = errors.New("a PKCS#11 URI does not tell the certificates of one ID apart")
		}
		return asked, err
	}
	var given certificateIdentity
	if diags := req.Identity.Get(ctx, &given); diags.HasError() {
		return importID{}, fmt.Errorf("%s: %s", diags[0].Summary(), diags[0].Detail())
	}
	asked, err := parseImportID(given.KeyID.ValueString() + "@" + given.Fingerprint.ValueString())
	asked.serial = given.TokenSerial.ValueString()
	return asked, err
}

// findCertificate is the one certificate that an import asks for.
func findCertificate(ctx context.Context, token *hsm.Token, asked importID) (object.Certificate, error) {
	if asked.serial != "" && asked.serial != printable(token.Info().Serial) {
		return object.Certificate{}, &diagnose.SerialError{Asked: asked.serial, Token: token.Info()}
	}
	found, err := token.Certificates(ctx, asked.id)
	if err != nil {
		return object.Certificate{}, err
	}
	object.SortCertificates(found)
	var matches []object.Certificate
	different := map[string]bool{}
	for _, c := range found {
		if (asked.fingerprint == "" || asked.fingerprint == c.SHA256()) &&
			(asked.label == nil || *asked.label == c.Label) {
			matches = append(matches, c)
			different[c.Label+"\x00"+c.SHA256()] = true
		}
	}
	if len(different) != 1 {
		return object.Certificate{}, &diagnose.CertificateImportError{
			KeyID: object.FormatID(asked.id), Matches: len(different), Found: found,
		}
	}
	one := matches[0]
	if _, err := one.Parse(); err != nil {
		return object.Certificate{}, &object.MalformedError{Object: one.Name(), Handle: one.Handle, Err: err}
	}
	return one, nil
}

func (r *certificateResource) ListResourceConfigSchema(
	_ context.Context, _ list.ListResourceSchemaRequest, resp *list.ListResourceSchemaResponse,
) {
	resp.Schema = listschema.Schema{
		MarkdownDescription: "Lists the certificates on the token, ordered by ID, whether a state knows them or not. " +
			"It changes nothing on the token. Terraform lists 100 unless the block's `limit` says otherwise.",
		Attributes: map[string]listschema.Attribute{
			"label_prefix": listschema.StringAttribute{
				MarkdownDescription: "Lists only certificates whose label starts with this. Leave it out to list all.",
				Optional:            true,
			},
		},
	}
}

// List gives the certificates that can be managed, and warns of the others.
func (r *certificateResource) List(ctx context.Context, req list.ListRequest, stream *list.ListResultsStream) {
	stream.Results = listing(ctx, req, r.listed, r.result)
}

func (r *certificateResource) listed(ctx context.Context, prefix string, diags *diag.Diagnostics) (
	token *hsm.Token, all []object.Certificate,
) {
	r.client.run(ctx, diags, certificateKind.Doing(diagnose.List), func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, readTime)
		defer cancel()
		var found []object.Certificate
		var err error
		if token, err = r.client.token(ctx); err == nil {
			found, err = token.AllCertificates(ctx)
		}
		if err != nil {
			diags.Append(r.failure(diagnose.List, &certificateModel{}, token, err))
			return
		}
		var left []string
		for _, c := range found {
			_, err := c.Parse()
			switch {
			case !strings.HasPrefix(c.Label, prefix):
			case len(c.ID) == 0:
				left = append(left, fmt.Sprintf("  - %s: it has no ID", c.Name()))
			case err != nil:
				left = append(left, fmt.Sprintf("  - %s: it cannot be read: %v", c.Name(), err))
			default:
				all = append(all, c)
			}
		}
		if len(left) > 0 {
			diags.AddWarning("Left Out Of The List: "+certificateType, fmt.Sprintf(
				"No resource can manage these certificates on the token:\n\n%s\n\nAll else is listed.\n\nWhat to do: "+
					"look at them with another tool:\n\n  %s",
				strings.Join(left, "\n"), token.Command("--list-objects", "--type", "cert")))
		}
	})
	return token, all
}

// result is a certificate as an import brings it into the state.
func (r *certificateResource) result(
	ctx context.Context, req list.ListRequest, token hsm.TokenInfo, c object.Certificate,
) list.ListResult {
	result := req.NewListResult(ctx)
	result.DisplayName = fmt.Sprintf("%s (%s)", printable(c.Label), object.FormatID(c.ID))
	m := certificateModel{KeyID: types.StringValue(object.FormatID(c.ID))}
	m.Fingerprint = types.StringValue(c.SHA256())
	identifyCertificate(ctx, result.Identity, &result.Diagnostics, token, &m)
	if !req.IncludeResource {
		return result
	}
	result.Diagnostics.Append(result.Resource.SetAttribute(ctx, path.Root("deletion_policy"), policyPrevent)...)
	result.Diagnostics.Append(result.Resource.Get(ctx, &m)...)
	if result.Diagnostics.HasError() {
		return result
	}
	if err := m.read(c, token); err != nil {
		result.Diagnostics.Append(r.failure(diagnose.List, &m, nil, err))
		return result
	}
	result.Diagnostics.Append(result.Resource.Set(ctx, m)...)
	return result
}
