package provider

import (
	"github.com/hashicorp/terraform-plugin-framework/function"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/jwk"
)

func newJWKSPKISHA256Function() function.Function {
	return textFunction{
		name: "jwk_spki_sha256",
		definition: function.Definition{
			Summary: "Computes the SHA-256 of a JWK's SubjectPublicKeyInfo",
			MarkdownDescription: "The SHA-256 of the public key as DER (SubjectPublicKeyInfo, [RFC 5280, " +
				"4.1.2.7](https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.7)), in base64url without padding. " +
				"Kubernetes names the keys of its service accounts so. It depends on the key alone, not on `kid`, " +
				"`use` and `alg`. `hsm_jwks` names keys by it if `kid_format` is `spki_sha256`.",
			Parameters: []function.Parameter{jwkParameter},
		},
		result: ofOne(jwk.SPKISHA256JSON),
	}
}
