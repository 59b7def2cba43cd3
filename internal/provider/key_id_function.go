package provider

import (
	"github.com/hashicorp/terraform-plugin-framework/function"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

func newKeyIDFunction() function.Function {
	return textFunction{
		name: "key_id",
		definition: function.Definition{
			Summary: "Makes a key ID from a text",
			MarkdownDescription: "The bytes of a text in UTF-8, as hexadecimal digits in lower case: a `key_id` whose `kid` " +
				"is that text. Terraform's own language has no function for that.\n\n" +
				"The function [`kid`](kid.md) is the reverse, except for a text with characters that cannot be printed, such as " +
				"a newline: of that it gives the digits.",
			Parameters: []function.Parameter{
				function.StringParameter{Name: "text", MarkdownDescription: "The text, 1 to 255 bytes of UTF-8."},
			},
		},
		result: ofOne(func(text string) (string, error) {
			id, err := object.TextID(text)
			return object.FormatID(id), err
		}),
	}
}
