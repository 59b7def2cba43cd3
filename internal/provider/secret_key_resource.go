package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

const secretUsages = object.Encrypt | object.Decrypt | object.Wrap | object.Unwrap | object.Sign | object.Verify

func newSecretKeyResource() *keyResource {
	return &keyResource{kind: keyKind{
		vocabulary: vocabulary{
			noun: "secret key", title: "Secret Key", parts: []string{"secrkey"}, secret: "key", uriNote: ", with `type=secret-key`",
			fingerprint: "key_check_value", mark: "check value", has: "it has the", excess: "`derive`",
		},
		name:    "secret_key",
		keyType: object.Secret,
		usages:  secretUsages,
		description: "A secret key, AES or for HMAC, that is generated in the token. It is made sensitive, and its " +
			"value never leaves the token unless it is `extractable` and another key wraps it. Neither the plan nor the " +
			"state has its value. It is in no JSON Web Key Set.\n\n" +
			"The provider tests a new key, if its `usage` allows it and the token offers it: a key that may `encrypt` and " +
			"`decrypt` decrypts a block that it has encrypted (`CKM_AES_ECB`), and a key that may `sign` and `verify` " +
			"verifies a MAC of its own (`CKM_AES_CMAC`, `CKM_SHA256_HMAC`, `CKM_SHA_1_HMAC`). Of any other key it checks " +
			"only the attributes.",
		attributes: map[string]schema.Attribute{
			"type": schema.StringAttribute{
				MarkdownDescription: "Type of the key: `aes`, or `generic` for HMAC. A change replaces the key.",
				Required:            true,
				Validators:          []validator.String{oneOf(object.AES, object.Generic)},
			},
			"bits": schema.Int64Attribute{
				MarkdownDescription: "Length of the key in bits: 128, 192 or 256 for `aes`; 128 to 4096 in steps of 8 for " +
					"`generic`; if the token offers it. A change replaces the key.",
				Required: true,
			},
			"key_check_value": computed("The key's check value in hexadecimal: the token's own (`CKA_CHECK_VALUE`), " +
				"otherwise for `aes` the first three bytes of an encrypted block of zeros, if the key may `encrypt`. It does " +
				"not reveal the key. By it, or by type and length, the provider notices when another key has taken the place of " +
				"this one under the same ID. Null if there is none yet."),
		},
		usageNote: "Keys of the type `generic` can only `sign` and `verify`.",
		newModel:  func() keyModel { return new(secretKeyModel) },
		validate:  validateSecret,
	}}
}

type secretKeyModel struct {
	keyAttributes
	Type          types.String `tfsdk:"type"`
	Bits          types.Int64  `tfsdk:"bits"`
	KeyCheckValue types.String `tfsdk:"key_check_value"`
}

func (m *secretKeyModel) known() bool { return !m.Type.IsUnknown() && !m.Bits.IsUnknown() }

func (m *secretKeyModel) fill(t *object.Template) {
	t.Kind, t.Bits = m.Type.ValueString(), int(m.Bits.ValueInt64())
}

func (m *secretKeyModel) excess() []excess { return nil }

func (m *secretKeyModel) fingerprint() string { return m.KeyCheckValue.ValueString() }

// movesCertificates: a secret key has no public key that a certificate could have.
func (m *secretKeyModel) movesCertificates() bool { return false }

// take keeps what the token does not tell, or does not tell any more: a key that may no longer encrypt is still the
// same key. One of another type or length is another key, and loses the check value.
func (m *secretKeyModel) take(key object.Key) error {
	if key.Differs(object.Ref{Kind: m.Type.ValueString(), Bits: int(m.Bits.ValueInt64())}) != nil {
		m.KeyCheckValue = types.StringNull()
	}
	m.Type = types.StringValue(key.Kind)
	if key.Bits > 0 {
		m.Bits = types.Int64Value(int64(key.Bits))
	}
	if key.Fingerprint() != "" || m.KeyCheckValue.IsUnknown() {
		m.KeyCheckValue = given(key.Fingerprint())
	}
	return nil
}

// forget lets a change of usage bring a check value. No set shows a secret key, so that its URI changes with its ID
// alone.
func (m *secretKeyModel) forget(c consequences) {
	m.keyAttributes.forget(consequences{newID: c.newID})
	if (c.newID || c.usage) && m.KeyCheckValue.IsNull() {
		m.KeyCheckValue = types.StringUnknown()
	}
}

func (m *secretKeyModel) replacing(prior keyModel) (paths []path.Path) {
	p := prior.(*secretKeyModel)
	if !m.Type.Equal(p.Type) {
		paths = append(paths, path.Root("type"))
	}
	if !m.Bits.Equal(p.Bits) && !p.Bits.IsNull() { // null after an import, if the token does not tell
		paths = append(paths, path.Root("bits"))
	}
	return paths
}

// validateSecret refuses sizes and usages that keys of the type cannot have.
func validateSecret(ctx context.Context, config tfsdk.Config) (diags diag.Diagnostics) {
	var m secretKeyModel
	diags.Append(config.GetAttribute(ctx, path.Root("type"), &m.Type)...)
	diags.Append(config.GetAttribute(ctx, path.Root("bits"), &m.Bits)...)
	diags.Append(config.GetAttribute(ctx, path.Root("usage"), &m.Usage)...)
	if diags.HasError() {
		return diags
	}
	tmpl := object.Template{Type: object.Secret}
	m.fill(&tmpl)
	may := tmpl.MayUse()
	if may == 0 {
		return diags // the type is not known yet, or is not one of ours
	}
	if excess := m.usage(ctx) & secretUsages &^ may; excess != 0 {
		diags.AddAttributeError(path.Root("usage"), "Usage Does Not Fit The Type", fmt.Sprintf(
			"Keys of the type %q are for %s, not for %s.\n\nWhat to do: take it out of usage, or choose another type.",
			tmpl.Kind, may, excess))
	}
	if err := tmpl.Fits(); err != nil && !m.Bits.IsUnknown() && !m.Bits.IsNull() {
		detail, asBits := diagnose.Sentence(err.Error()), tmpl
		if asBits.Bits *= 8; tmpl.Bits <= 32 && asBits.Fits() == nil {
			detail += fmt.Sprintf(" If bytes are meant, %d bytes are %d bits.", tmpl.Bits, asBits.Bits)
		}
		diags.AddAttributeError(path.Root("bits"), "Invalid Key Length", detail)
	}
	return diags
}
