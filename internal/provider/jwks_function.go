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
			MarkdownDescription: "One JSON Web Key Set ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)) of " +
				"public JWKs and JWK Sets, compact, with its keys ordered by `kid`, then thumbprint. Keys without a " +
				"`kid` come first, and of one `kid` those that have no thumbprint here. So the order of the list, " +
				"and of the keys in the sets, does not matter.\n\n" +
				"A key that is given twice is in the set once. Verifiers choose a key by `kid`, `kty` and `alg`. So " +
				"two JWKs of one `kid` are allowed if their `kty` differ, or if both have an `alg` and these differ. " +
				"Others are refused, even if they differ in one member only.\n\n" +
				"The members of a JWK keep the values that they have, an empty `kid` and members such as `x5c` too. " +
				"Members of a set other than `keys` are left out.\n\n" +
				"Private and symmetric keys are refused. Keys of the kinds that [`jwk_to_pem`](jwk_to_pem.md) knows " +
				"are checked. Keys of other kinds, such as `AKP` ([RFC " +
				"9964](https://www.rfc-editor.org/rfc/rfc9964)), X25519 and Ed448, pass as they are. A key of any kind is " +
				"refused if the name of a member, also of one inside of another, looks like that of a private one: the " +
				"private and symmetric members of all registered kinds (`d`, `k`, `priv`, ...), and names with a word such " +
				"as `secret`, `private` or `seed`. Inside of another member, `p`, `q` and `k` are refused in what looks like " +
				"a key.",
			Parameters: []function.Parameter{
				function.ListParameter{Name: "texts", ElementType: types.StringType, MarkdownDescription: "JWKs and " +
					"JWK Sets as JSON, in any mix. An error names the element at fault, counted from 0."},
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
