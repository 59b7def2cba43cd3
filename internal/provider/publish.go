package provider

import (
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

// allowUnprotected is the argument of the data sources that publish keys.
func allowUnprotected() schema.BoolAttribute {
	return schema.BoolAttribute{
		MarkdownDescription: "Whether the private half may be one that is not protected by the PIN " +
			"(`CKA_PRIVATE=false`). By default that is an error: anyone who can open a session on the token may have made " +
			"such a key, and can sign with it. Set it to `true` only if you know who can, and trust them all.",
		Optional: true,
	}
}

// protected is a *diagnose.UnprotectedError where the PIN does not protect the private halves of pairs that are to be
// published.
func protected(pairs []object.Key, allowed types.Bool) error {
	if allowed.ValueBool() {
		return nil
	}
	var open []object.Name
	for _, pair := range pairs {
		if pair.Unprotected() {
			open = append(open, pair.Private.Name())
		}
	}
	if len(open) > 0 {
		return &diagnose.UnprotectedError{Keys: open}
	}
	return nil
}

// nameOf names a key: "web" (key_id 6b31), or "web" (without an ID).
func nameOf(label string, id []byte) string {
	if len(id) == 0 {
		return fmt.Sprintf("%q (without an ID)", label)
	}
	return named(label, object.FormatID(id))
}

// named names a key by its formatted ID: `"web" (key_id 6b31)`.
func named(label, keyID string) string { return fmt.Sprintf("%q (key_id %s)", label, keyID) }
