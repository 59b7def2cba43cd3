package provider

import (
	"crypto/rsa"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

func newRSAKeyPairResource() resource.Resource {
	return &keyResource{kind: keyKind{
		vocabulary: pairVocabulary,
		name:       "rsa_keypair",
		keyType:    object.RSA,
		usages:     object.Sign | object.Decrypt | object.Unwrap,
		usage:      []string{"sign"},
		description: "An RSA key pair that is generated in the token. The private key is always sensitive, and never " +
			"leaves the token unless it is `extractable` and another key wraps it. The state holds only names, usages and " +
			"the public key.",
		attributes: pairSchema(map[string]schema.Attribute{
			"modulus_bits": schema.Int64Attribute{
				MarkdownDescription: "Length of the modulus in bits: 2048 to 16384, in steps of 8, if the token offers it. " +
					"Defaults to 4096. A change replaces the key pair.",
				Optional:   true,
				Computed:   true,
				Default:    int64default.StaticInt64(4096),
				Validators: []validator.Int64{int64validator.Between(2048, 16384), multipleOf(8)},
			},
			"public_exponent": schema.Int64Attribute{
				MarkdownDescription: "Public exponent: odd, at least 65537 and less than 2^31 ([FIPS 186-5](https://doi.org/10.6028/NIST.FIPS.186-5), A.1.1). " +
					"Defaults to 65537. A change replaces the key pair.",
				Optional:   true,
				Computed:   true,
				Default:    int64default.StaticInt64(65537),
				Validators: []validator.Int64{int64validator.Between(65537, 1<<31-1), odd},
			},
		}),
		newModel: func() keyModel { return new(rsaKeyPairModel) },
	}}
}

type rsaKeyPairModel struct {
	keyPairAttributes
	ModulusBits    types.Int64 `tfsdk:"modulus_bits"`
	PublicExponent types.Int64 `tfsdk:"public_exponent"`
}

func (m *rsaKeyPairModel) known() bool {
	return !m.ModulusBits.IsUnknown() && !m.PublicExponent.IsUnknown()
}

func (m *rsaKeyPairModel) fill(t *object.Template) {
	t.ModulusBits, t.PublicExponent = int(m.ModulusBits.ValueInt64()), m.PublicExponent.ValueInt64()
}

func (m *rsaKeyPairModel) take(pair object.Key) error {
	key := pair.PublicKey.(*rsa.PublicKey)
	m.ModulusBits, m.PublicExponent = types.Int64Value(int64(key.N.BitLen())), types.Int64Value(int64(key.E))
	return m.keyPairAttributes.take(pair)
}

func (m *rsaKeyPairModel) replacing(prior keyModel) (paths []path.Path) {
	p := prior.(*rsaKeyPairModel)
	if !m.ModulusBits.Equal(p.ModulusBits) {
		paths = append(paths, path.Root("modulus_bits"))
	}
	if !m.PublicExponent.Equal(p.PublicExponent) {
		paths = append(paths, path.Root("public_exponent"))
	}
	return paths
}
