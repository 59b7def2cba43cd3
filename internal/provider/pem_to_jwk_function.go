package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/jwk"
)

func newPEMToJWKFunction() function.Function {
	return textFunction{
		name: "pem_to_jwk",
		definition: function.Definition{
			Summary: "Converts a public key in PEM to a JWK",
			MarkdownDescription: "A public key in PEM as a JSON Web Key ([RFC " +
				"7517](https://www.rfc-editor.org/rfc/rfc7517)): RSA, EC on P-256, P-384, P-521 or secp256k1, " +
				"Ed25519, or ML-DSA. It has no `use` and no `alg`, since PEM has none, with two exceptions: a key of ML-DSA " +
				"has the `alg` that is a part of it ([RFC 9964](https://www.rfc-editor.org/rfc/rfc9964)); and a key for " +
				"RSASSA-PSS alone (id-RSASSA-PSS, [RFC 4055](https://www.rfc-editor.org/rfc/rfc4055)) has `kty` `RSA` and the " +
				"`alg` that its parameters name, `PS256`, `PS384` or `PS512`, so that nobody takes it for `RS256`. " +
				"Where it has no parameters, any of the three may be used, and its `alg` is `PS256`; `merge` can set " +
				"another.\n\n" +
				"The function [`jwk_to_pem`](jwk_to_pem.md) is the reverse.",
			Parameters: []function.Parameter{
				function.StringParameter{Name: "pem", MarkdownDescription: "One PEM block, with nothing but white " +
					"space around it: `PUBLIC KEY`, `RSA PUBLIC KEY` or `CERTIFICATE`. Its lines may be indented, " +
					"and a byte order mark may stand before it. Of a certificate only the key is read; whether it is " +
					"valid is not checked. A private key is refused."},
				function.StringParameter{
					Name: "kid", AllowNullValue: true,
					MarkdownDescription: "The `kid` of the JWK; null or an empty text for none.",
				},
			},
		},
		result: func(ctx context.Context, arguments function.ArgumentsData) (string, *function.FuncError) {
			var pem string
			var kid types.String
			if err := arguments.Get(ctx, &pem, &kid); err != nil {
				return "", err
			}
			text, err := jwk.FromPEM(pem, kid.ValueString())
			return text, atArgument(0, err)
		},
	}
}
