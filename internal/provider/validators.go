package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
)

// notEmpty refuses "" for a setting that the environment can give.
type notEmpty struct{ variable string }

func (v notEmpty) Description(context.Context) string {
	return fmt.Sprintf("not empty: leave it out to take %s from the environment", v.variable)
}

func (v notEmpty) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v notEmpty) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsUnknown() || req.ConfigValue.IsNull() || req.ConfigValue.ValueString() != "" {
		return
	}
	resp.Diagnostics.Append(emptyAttribute(req.Path, v.variable))
}

// slotID takes what hsm.ParseSlot takes.
type slotID struct{}

func (v slotID) Description(context.Context) string {
	return "a slot ID, decimal or hexadecimal with 0x in front"
}

func (v slotID) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v slotID) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	s := req.ConfigValue
	if s.IsUnknown() || s.ValueString() == "" {
		return
	}
	if _, err := hsm.ParseSlot(s.ValueString()); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid Slot ID", sentence(err.Error()))
	}
}

// keyID takes what hsm.ParseID takes.
type keyID struct{}

func (v keyID) Description(context.Context) string {
	return "the hexadecimal digits of CKA_ID, two a byte, 1 to 255 bytes"
}

func (v keyID) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v keyID) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	s := req.ConfigValue
	if s.IsUnknown() || s.IsNull() {
		return
	}
	if _, err := hsm.ParseID(s.ValueString()); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid Key ID",
			fmt.Sprintf("%s The text \"key-1\", for example, is 6b65792d31.", sentence(err.Error())))
	}
}

// multipleOf takes whole multiples of a number.
type multipleOf int64

func (v multipleOf) Description(context.Context) string {
	return fmt.Sprintf("a multiple of %d", int64(v))
}

func (v multipleOf) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v multipleOf) ValidateInt64(_ context.Context, req validator.Int64Request, resp *validator.Int64Response) {
	n := req.ConfigValue
	if n.IsUnknown() || n.IsNull() || n.ValueInt64()%int64(v) == 0 {
		return
	}
	resp.Diagnostics.AddAttributeError(req.Path, "Invalid Number", fmt.Sprintf("%s is %d. It must be %s.", req.Path, n.ValueInt64(), v.Description(context.Background())))
}

// odd takes odd numbers.
type odd struct{}

func (v odd) Description(context.Context) string { return "an odd number" }

func (v odd) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v odd) ValidateInt64(_ context.Context, req validator.Int64Request, resp *validator.Int64Response) {
	n := req.ConfigValue
	if n.IsUnknown() || n.IsNull() || n.ValueInt64()%2 != 0 {
		return
	}
	resp.Diagnostics.AddAttributeError(req.Path, "Invalid Number", fmt.Sprintf("%s is %d. It must be %s.", req.Path, n.ValueInt64(), v.Description(context.Background())))
}

// pkcs11URI takes what hsm.ParseURI takes.
type pkcs11URI struct{}

func (v pkcs11URI) Description(context.Context) string {
	return "a PKCS#11 URI (RFC 7512) without a PIN, such as pkcs11:object=web;id=%6B31"
}

func (v pkcs11URI) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v pkcs11URI) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	s := req.ConfigValue
	if s.IsUnknown() || s.IsNull() {
		return
	}
	if _, err := hsm.ParseURI(s.ValueString()); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid PKCS#11 URI", sentence(err.Error()))
	}
}
