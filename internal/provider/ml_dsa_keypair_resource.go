package provider

import (
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

func newMLDSAKeyPairResource() *keyResource {
	return &keyResource{kind: keyKind{
		vocabulary: pairVocabulary,
		name:       "ml_dsa_keypair",
		keyType:    object.MLDSA,
		usages:     object.Sign,
		usage:      []string{"sign"},
		description: "A key pair of ML-DSA ([FIPS 204](https://doi.org/10.6028/NIST.FIPS.204)), whose signatures " +
			"withstand quantum computers, that is generated in the token. The token must have ML-DSA of PKCS#11 3.2, which " +
			"few have; the plan says so where it has not. The private key is made sensitive, and never leaves the token " +
			"unless it is `extractable` and another key wraps it. The state holds only names, usages and the public key. " +
			"Ory Hydra takes no such keys, and OpenSSH has no form for them.",
		attributes: pairSchema(map[string]schema.Attribute{
			"parameter_set": schema.StringAttribute{
				MarkdownDescription: fmt.Sprintf("Parameter set, by its name in FIPS 204, which is the JOSE name of the "+
					"signature algorithm too: `%s`. A change replaces the key pair.",
					strings.Join(publickey.ParameterSets(), "`, `")),
				Required:   true,
				Validators: []validator.String{oneOf(publickey.ParameterSets()...)},
			},
		}),
		newModel: func() keyModel { return new(mlDSAKeyPairModel) },
	}}
}

type mlDSAKeyPairModel struct {
	keyPairAttributes
	ParameterSet types.String `tfsdk:"parameter_set"`
}

func (m *mlDSAKeyPairModel) known() bool { return !m.ParameterSet.IsUnknown() }

func (m *mlDSAKeyPairModel) fill(t *object.Template) { t.ParameterSet = m.ParameterSet.ValueString() }

func (m *mlDSAKeyPairModel) take(pair object.Key) error {
	m.ParameterSet = types.StringValue(publickey.ParameterSet(pair.PublicKey))
	return m.keyPairAttributes.take(pair)
}

func (m *mlDSAKeyPairModel) replacing(prior keyModel) []path.Path {
	if m.ParameterSet.Equal(prior.(*mlDSAKeyPairModel).ParameterSet) {
		return nil
	}
	return []path.Path{path.Root("parameter_set")}
}
