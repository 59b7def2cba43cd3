package provider

import (
	"github.com/hashicorp/terraform-plugin-framework/function"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/jwk"
)

func newKIDFunction() function.Function {
	return textFunction{
		name: "kid",
		definition: function.Definition{
			Summary: "Makes a kid from a key ID",
			MarkdownDescription: "The `kid` of a key's JWK, as in the resources: the bytes of the key ID as text if they are " +
				"printable UTF-8 (in Unicode's normal form C, like all of Terraform's texts), as in Hydra, otherwise the key ID " +
				"in lower case. It is the reverse of the function [`key_id`](key_id.md).",
			Parameters: []function.Parameter{
				function.StringParameter{Name: "key_id", MarkdownDescription: "The key ID (`CKA_ID`) in hexadecimal, in upper or lower case, 1 to 255 bytes."},
			},
		},
		result: ofOne(func(keyID string) (string, error) {
			id, err := object.ParseID(keyID)
			return jwk.KID(id), err
		}),
	}
}
