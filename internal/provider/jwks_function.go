package provider

import (
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/jwk"
)

func newJWKSFunction() function.Function {
	return textFunction{
		name: "jwks",
		definition: function.Definition{
			Summary: "Merges JWKs and JWK Sets into one JWK Set",
			MarkdownDescription: "One JSON Web Key Set ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)) of public JWKs " +
				"and JWK Sets, compact, with its keys ordered by `kid`, then thumbprint. Keys " +
				"without a `kid` come first. So the order of the list, and of the keys in the sets, does not matter.\n\n" +
				"A key that is given twice is in the set once. Two JWKs with the same `kid` are refused if they differ, even in " +
				"one member, since verifiers choose by `kid`. Private and symmetric keys are refused too, and keys of an " +
				"unknown kind (see [`jwk_to_pem`](jwk_to_pem.md)). Other public members of a JWK, such as `x5c`, are kept. " +
				"Members of a set other than `keys` are left out.",
			Parameters: []function.Parameter{
				function.ListParameter{Name: "texts", ElementType: types.StringType, MarkdownDescription: "JWKs and JWK Sets as " +
					"JSON, in any mix. An error names the element at fault, counted from 0."},
			},
		},
		result: ofOne(func(elements []*string) (string, error) {
			texts := make([]string, len(elements))
			for i, element := range elements {
				if element == nil {
					return "", fmt.Errorf("text %d: it is null", i)
				}
				texts[i] = *element
			}
			return jwk.Merge(texts)
		}),
	}
}
