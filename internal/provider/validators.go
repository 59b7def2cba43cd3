package provider

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
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

// parsed accepts what a parser accepts.
type parsed struct {
	is, title string // what it accepts, and the summary of the error
	parse     func(string) error
	hint      string // after the parser's own words
	emptyToo  bool   // accepts "" too: notEmpty, which stands beside it, refuses that
}

var (
	slotID = parsed{
		is: "a slot ID, decimal or hexadecimal with 0x in front", title: "Invalid Slot ID", emptyToo: true,
		parse: func(s string) error { _, err := hsm.ParseSlot(s); return err },
	}
	keyID = parsed{
		is: "the hexadecimal digits of CKA_ID, two for each byte, 1 to 255 bytes", title: "Invalid Key ID",
		parse: func(s string) error { _, err := object.ParseID(s); return err },
		hint:  " The text \"key-1\", for example, is 6b65792d31.",
	}
	pkcs11URI = parsed{
		is: "a PKCS#11 URI (RFC 7512) without a PIN, such as pkcs11:object=web;id=%6B31", title: "Invalid PKCS#11 URI",
		parse: func(s string) error { _, err := pkcs11uri.Parse(s); return err },
	}
)

func (v parsed) Description(context.Context) string { return v.is }

func (v parsed) MarkdownDescription(context.Context) string { return v.is }

func (v parsed) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	s := req.ConfigValue
	if s.IsUnknown() || s.IsNull() || v.emptyToo && s.ValueString() == "" {
		return
	}
	err := v.parse(s.ValueString())
	switch {
	case err == nil:
	case errors.Is(err, pkcs11uri.ErrPIN), pkcs11uri.MayHavePIN(s.ValueString()):
		// without the path: Terraform shows the line that it leads to
		resp.Diagnostics.AddError(v.title, fmt.Sprintf("%s: %s%s", req.Path, diagnose.Sentence(err.Error()), v.hint))
	default:
		resp.Diagnostics.AddAttributeError(req.Path, v.title, diagnose.Sentence(err.Error())+v.hint)
	}
}

// number accepts the numbers that fit.
type number struct {
	is   string
	fits func(int64) bool
}

var odd = number{"an odd number", func(n int64) bool { return n%2 != 0 }}

// multipleOf accepts whole multiples of a number.
func multipleOf(unit int64) number {
	return number{fmt.Sprintf("a multiple of %d", unit), func(n int64) bool { return n%unit == 0 }}
}

func (v number) Description(context.Context) string { return v.is }

func (v number) MarkdownDescription(context.Context) string { return v.is }

func (v number) ValidateInt64(_ context.Context, req validator.Int64Request, resp *validator.Int64Response) {
	n := req.ConfigValue
	if n.IsUnknown() || n.IsNull() || v.fits(n.ValueInt64()) {
		return
	}
	resp.Diagnostics.AddAttributeError(req.Path, "Invalid Number", fmt.Sprintf("%s is %d. It must be %s.", req.Path, n.ValueInt64(), v.is))
}
