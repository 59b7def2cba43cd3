package provider

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

func TestStringValidators(t *testing.T) {
	cases := []struct {
		name      string // of the validator
		validator validator.String
		good, bad []string
		summary   string
	}{
		{"not empty", notEmpty{envPIN}, []string{"x", " "}, []string{""}, "Empty Provider Setting @ x"},
		{"slot ID", slotID, []string{"", "0", "17", "0x1f", "0X1F", "18446744073709551615"}, []string{"x", "-1", "0x", "1.0", " 1", "0b1", "18446744073709551616"}, "Invalid Slot ID @ x"},
		{"key ID", keyID, []string{"00", "6b31", "6B31", strings.Repeat("ff", 255)}, []string{"", "0", "0x6b", "6b 31", "key", strings.Repeat("ff", 256)}, "Invalid Key ID @ x"},
		{"PKCS#11 URI", pkcs11URI, []string{"pkcs11:id=%01", "pkcs11:token=a;object=b", "PKCS11:object=x"},
			[]string{"", "6b31", "pkcs11:id=", "pkcs11:library-version=3", "pkcs11:id=%01;id=%02", "pkcs11:type=cert"}, "Invalid PKCS#11 URI @ x"},
		// Terraform would show the line that the attribute stands in.
		{"PKCS#11 URI with a PIN", pkcs11URI, nil, []string{
			"pkcs11:pin-value=1", "pkcs11:?pin-source=1", "pkcs11:object=a?pin=1", "pkcs11:object=a?pins",
			"pkcs11:a=b;pin_value=1",
			"pkcs11:object=a;pin=1", "pkcs11:object=a;userpin=1", "pkcs11:object=a;pin - value = 1",
			"pkcs11:object=a;pin-value:1", "pkcs11:object=a;pin:1", "pkcs11:object=a%3Bpin%5Fvalue%3D1;b",
		}, "Invalid PKCS#11 URI"},
		{"key ID that is a URI with a PIN", keyID, nil, []string{"pkcs11:id=a?pin=1", "pin_value=1"}, "Invalid Key ID"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			check := func(value types.String) []string {
				var resp validator.StringResponse
				c.validator.ValidateString(context.Background(), validator.StringRequest{Path: path.Root("x"), ConfigValue: value}, &resp)
				return summarised(resp.Diagnostics)
			}
			for _, good := range []types.String{types.StringNull(), types.StringUnknown()} {
				if says := check(good); says != nil {
					t.Errorf("%s: %v", good, says)
				}
			}
			for _, good := range c.good {
				if says := check(types.StringValue(good)); says != nil {
					t.Errorf("%q: %v", good, says)
				}
			}
			for _, bad := range c.bad {
				if says := check(types.StringValue(bad)); !slices.Equal(says, []string{c.summary}) {
					t.Errorf("%q: %v", bad, says)
				}
			}
			if c.validator.Description(context.Background()) == "" {
				t.Error("it has no description")
			}
		})
	}
}

func TestNumberValidators(t *testing.T) {
	cases := []struct {
		name      string
		validator validator.Int64
		good, bad []int64
	}{
		{"a multiple of 8", multipleOf(8), []int64{0, 8, 2048, 4096}, []int64{1, 7, 2047, 2052}},
		{"odd", odd, []int64{1, 3, 65537, -1}, []int64{0, 2, 65536, 65538}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			check := func(value types.Int64) []string {
				var resp validator.Int64Response
				c.validator.ValidateInt64(context.Background(), validator.Int64Request{Path: path.Root("x"), ConfigValue: value}, &resp)
				return summarised(resp.Diagnostics)
			}
			for _, good := range []types.Int64{types.Int64Null(), types.Int64Unknown()} {
				if says := check(good); says != nil {
					t.Errorf("%s: %v", good, says)
				}
			}
			for _, good := range c.good {
				if says := check(types.Int64Value(good)); says != nil {
					t.Errorf("%d: %v", good, says)
				}
			}
			for _, bad := range c.bad {
				if says := check(types.Int64Value(bad)); !slices.Equal(says, []string{"Invalid Number @ x"}) {
					t.Errorf("%d: %v", bad, says)
				}
			}
		})
	}
}
