package provider

import (
	"crypto/rsa"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

func newRSAKeyPairResource() *keyResource {
	return &keyResource{kind: keyKind{
		vocabulary: pairVocabulary,
		name:       "rsa_keypair",
		keyType:    object.RSA,
		usages:     object.Sign | object.Decrypt | object.Unwrap,
		usage:      []string{"sign"},
		description: "An RSA key pair that is generated in the token. The private key is made sensitive, and never " +
			"leaves the token unless it is `extractable` and another key wraps it. The state holds only names, usages and " +
			"the public key.",
		attributes: pairSchema(map[string]schema.Attribute{
			"modulus_bits": schema.Int64Attribute{
				MarkdownDescription: "Length of the modulus in bits. Of a new key: 2048 to 16384, in steps of 8, if the token " +
					"offers it. A key that was imported keeps its own, from 512 bits on. Defaults to 4096. A change replaces the key pair.",
				Optional:   true,
				Computed:   true,
				Default:    int64default.StaticInt64(4096),
				Validators: []validator.Int64{between(512, 16384)},
			},
			"public_exponent": schema.Int64Attribute{
				MarkdownDescription: "Public exponent: odd, and of a new key at least 65537 and less than 2^31 ([FIPS 186-5](https://doi.org/10.6028/NIST.FIPS.186-5), A.1.1). " +
					"A key that was imported keeps its own, from 3 on. Defaults to 65537. A change replaces the key pair.",
				Optional:   true,
				Computed:   true,
				Default:    int64default.StaticInt64(65537),
				Validators: []validator.Int64{between(3, 1<<31-1), odd},
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

// excess are the sizes of keys that other tools made. They are no limits of the schema, since a configuration has to be
// able to name them.
func (m *rsaKeyPairModel) excess() (all []excess) {
	if bits := m.ModulusBits.ValueInt64(); !m.ModulusBits.IsNull() && !m.ModulusBits.IsUnknown() && (bits < 2048 || bits%8 != 0) {
		all = append(all, excess{"modulus_bits", fmt.Sprintf("has a modulus of %d bits; that of a new key has 2048 to 16384 bits, "+
			"in steps of 8", bits)})
	}
	if e := m.PublicExponent.ValueInt64(); !m.PublicExponent.IsNull() && !m.PublicExponent.IsUnknown() && e < 65537 {
		all = append(all, excess{"public_exponent", fmt.Sprintf("has the public exponent %d; that of a new key is 65537 or more", e)})
	}
	return all
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
