package provider

import (
	"github.com/hashicorp/terraform-plugin-framework/function"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/jwk"
)

func newJWKThumbprintFunction() function.Function {
	return textFunction{
		name: "jwk_thumbprint",
		definition: function.Definition{
			Summary: "Computes the thumbprint of a JWK",
			MarkdownDescription: "The SHA-256 thumbprint ([RFC 7638](https://www.rfc-editor.org/rfc/rfc7638)) of a public " +
				"JWK, in base64url. It depends on the key alone, not on `kid`, `use` " +
				"and `alg`. `hsm_jwks` names keys by it if `kid_format` is `thumbprint`.",
			Parameters: []function.Parameter{jwkParameter},
		},
		result: ofOne(jwk.ThumbprintJSON),
	}
}

// jwkParameter is the argument of the functions that take one JWK.
var jwkParameter = function.StringParameter{
	Name: "jwk",
	MarkdownDescription: "The JWK ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)) as JSON, such as the attribute `jwk` of a key pair's resource: RSA, EC on P-256, P-384, P-521 or secp256k1, Ed25519, or ML-DSA. " +
		"A JWK with a private or symmetric member is refused.",
}
