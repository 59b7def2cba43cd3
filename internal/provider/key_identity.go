package provider

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

var _ resource.ResourceWithIdentity = (*keyResource)(nil)

// keyIdentity tells a key from the keys of all tokens. It may change: key_id changes in place, and a replica that
// takes a token's place has its own serial number. Terraform does not compare it with what it was. Whether a key is
// still the same, its fingerprint tells.
type keyIdentity struct {
	TokenSerial types.String `tfsdk:"token_serial"`
	KeyID       types.String `tfsdk:"key_id"`
}

func (r *keyResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"token_serial": identityOfToken,
		"key_id": identityschema.StringAttribute{
			Description:       "ID (CKA_ID) of the key in hexadecimal.",
			RequiredForImport: true,
		},
	}}
}

// identityOfToken is the part of an identity that says which token it is on.
var identityOfToken = identityschema.StringAttribute{
	Description: "Serial number of the token. An import that gives it is refused on every other token. Null if the " +
		"token has none.",
	OptionalForImport: true,
}

// identify sets a key's identity, in one form however the configuration writes key_id. Terraform before 1.12
// neither keeps nor sends identities, but the framework wants one from every operation that succeeds.
func identify(ctx context.Context, identity *tfsdk.ResourceIdentity, diags *diag.Diagnostics, token hsm.TokenInfo, id []byte) {
	wanted := keyIdentity{TokenSerial: serialOf(token), KeyID: types.StringValue(object.FormatID(id))}
	if !wanted.is(identity.Raw) {
		diags.Append(identity.Set(ctx, wanted)...)
	}
}

// serialOf is a token's serial number, null where it has none.
func serialOf(token hsm.TokenInfo) types.String { return given(printable(token.Serial)) }

// is says whether a raw identity is this one already. That is so for most keys that are read.
func (k keyIdentity) is(raw tftypes.Value) bool {
	var values map[string]tftypes.Value
	if raw.IsNull() || raw.As(&values) != nil {
		return false
	}
	has := func(name string, want types.String) bool {
		var have *string
		return values[name].IsFullyKnown() && values[name].As(&have) == nil && types.StringPointerValue(have).Equal(want)
	}
	return has("token_serial", k.TokenSerial) && has("key_id", k.KeyID)
}

// importIdentity is what an import block with an identity asks for.
func importIdentity(ctx context.Context, identity *tfsdk.ResourceIdentity) (importID, error) {
	var given keyIdentity
	if diags := identity.Get(ctx, &given); diags.HasError() {
		return importID{}, fmt.Errorf("%s: %s", diags[0].Summary(), diags[0].Detail())
	}
	text := given.KeyID.ValueString()
	id, err := object.ParseID(text)
	switch {
	case err != nil && mayHavePIN(text):
		return importID{}, errors.New("the identity's key_id is not a key ID in hexadecimal (it is not repeated here, because a " +
			"PIN may be in it)")
	case err != nil:
		return importID{}, fmt.Errorf("the identity's key_id %q is not a key ID in hexadecimal: %w", text, err)
	}
	return importID{id: id, serial: given.TokenSerial.ValueString(), text: text}, nil
}
