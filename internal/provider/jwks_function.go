package provider

import (
	"context"
	"errors"
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
				"are checked, also that an `alg` is not one of other kinds of key. Keys of other kinds, such as `AKP` ([RFC " +
				"9964](https://www.rfc-editor.org/rfc/rfc9964)), X25519 and Ed448, pass as they are. A key of any kind is " +
				"refused if the name of a member, also of one inside of another, looks like that of a private one: the " +
				"private and symmetric members of all registered kinds (`d`, `k`, `priv`, ...), and names with a word such " +
				"as `secret`, `private` or `seed`. Inside of another member, `p`, `q` and `k` are refused in what looks like " +
				"a key.",
			Parameters: []function.Parameter{
				function.ListParameter{Name: "texts", ElementType: types.StringType, MarkdownDescription: "JWKs and " +
					"JWK Sets as JSON, in any mix. An error names the one at fault as a configuration does: `texts[0]` is the first."},
			},
			VariadicParameter: function.BoolParameter{
				Name: "allow_empty", AllowNullValue: true,
				MarkdownDescription: "At most one: whether the set may be empty, as in `jwks(texts, true)`. By default, " +
					"and where it is null, a set without keys is an error, as in [`hsm_jwks`](../data-sources/jwks.md).",
			},
		},
		result: func(ctx context.Context, arguments function.ArgumentsData) (string, *function.FuncError) {
			var elements []*string
			var options []types.Bool // allow_empty is variadic because that makes it optional
			if err := arguments.Get(ctx, &elements, &options); err != nil {
				return "", err
			}
			if len(options) > 1 {
				return "", atArgument(2, errors.New("allow_empty is given more than once; true or false is enough"))
			}
			texts := make([]string, len(elements))
			for i, element := range elements {
				if element == nil {
					return "", atArgument(0, fmt.Errorf("texts[%d] is null; leave it out", i))
				}
				texts[i] = *element
			}
			set, err := jwk.Merge(texts)
			if err == nil && set == jwk.Empty && (len(options) == 0 || !options[0].ValueBool()) {
				err = errors.New("there is no key in it, and an empty set that is published by accident stops every " +
					"verifier; if the set may be empty, say so with true as the last argument, as in jwks(texts, true)")
			}
			return set, atArgument(0, err)
		},
	}
}
