package provider

import (
	"github.com/hashicorp/terraform-plugin-framework/function"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/jwk"
)

func newJWKToPEMFunction() function.Function {
	return textFunction{
		name: "jwk_to_pem",
		definition: function.Definition{
			Summary: "Makes PEM of a JWK",
			MarkdownDescription: "The public key of a JWK in PEM (`PUBLIC KEY`, a SubjectPublicKeyInfo), with a newline at its end. The way back is the function [`pem_to_jwk`](pem_to_jwk.md); " +
				"`kid`, `use` and `alg` have no place in PEM.",
			Parameters: []function.Parameter{jwkParameter},
		},
		result: ofOne(jwk.ToPEM),
	}
}
