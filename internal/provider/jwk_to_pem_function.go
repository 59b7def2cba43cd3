package provider

import (
	"github.com/hashicorp/terraform-plugin-framework/function"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/jwk"
)

func newJWKToPEMFunction() function.Function {
	return textFunction{
		name: "jwk_to_pem",
		definition: function.Definition{
			Summary: "Converts a JWK to PEM",
			MarkdownDescription: "The public key of a JWK in PEM (`PUBLIC KEY`, a SubjectPublicKeyInfo), with a newline at " +
				"the end. PEM has no place for `kid`, `use` and `alg`. The function [`pem_to_jwk`](pem_to_jwk.md) is the reverse.",
			Parameters: []function.Parameter{jwkParameter},
		},
		result: ofOne(jwk.ToPEM),
	}
}
