package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

const ecUsages = object.Sign | object.Derive

func newECKeyPairResource() *keyResource {
	return &keyResource{kind: keyKind{
		vocabulary: pairVocabulary,
		name:       "ec_keypair",
		keyType:    object.EC,
		usages:     ecUsages,
		usage:      []string{"sign"},
		description: "A key pair on an elliptic curve that is generated in the token. The private key is made " +
			"sensitive, and never leaves the token unless it is `extractable` and another key wraps it. The state holds only " +
			"names, usages and the public key.",
		attributes: pairSchema(map[string]schema.Attribute{
			"curve": schema.StringAttribute{
				MarkdownDescription: fmt.Sprintf("Curve, by its JOSE name: `%s`, if the token offers it. The signature "+
					"algorithms of these curves are ES256, ES384, ES512, ES256K and EdDSA, in this "+
					"order. A change replaces the key pair.", strings.Join(publickey.Curves(), "`, `")),
				Required:   true,
				Validators: []validator.String{oneOf(publickey.Curves()...)},
			},
		}),
		usageNote: "Keys on `Ed25519` cannot `derive` (ECDH).",
		newModel:  func() keyModel { return new(ecKeyPairModel) },
		validate:  validateCurve,
	}}
}

type ecKeyPairModel struct {
	keyPairAttributes
	Curve types.String `tfsdk:"curve"`
}

func (m *ecKeyPairModel) known() bool { return !m.Curve.IsUnknown() }

func (m *ecKeyPairModel) fill(t *object.Template) { t.Curve = m.Curve.ValueString() }

func (m *ecKeyPairModel) take(pair object.Key) error {
	m.Curve = types.StringValue(publickey.Curve(pair.PublicKey))
	return m.keyPairAttributes.take(pair)
}

func (m *ecKeyPairModel) replacing(prior keyModel) []path.Path {
	if m.Curve.Equal(prior.(*ecKeyPairModel).Curve) {
		return nil
	}
	return []path.Path{path.Root("curve")}
}

// validateCurve refuses usages that keys on the curve cannot have.
func validateCurve(ctx context.Context, config tfsdk.Config) (diags diag.Diagnostics) {
	var m ecKeyPairModel
	diags.Append(config.GetAttribute(ctx, path.Root("curve"), &m.Curve)...)
	diags.Append(config.GetAttribute(ctx, path.Root("usage"), &m.Usage)...)
	if diags.HasError() {
		return diags
	}
	may := object.Template{Type: object.EC, Curve: m.Curve.ValueString()}.MayUse()
	if excess := m.usage(ctx) & ecUsages &^ may; may != 0 && excess != 0 {
		diags.AddAttributeError(path.Root("usage"), "Usage Does Not Fit The Curve", fmt.Sprintf(
			"Keys on %s are for %s, not for %s.\n\nWhat to do: take it out of usage, or choose another curve.",
			m.Curve.ValueString(), may, excess))
	}
	return diags
}
