package provider

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
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

// TestWhatTheFrameworkRefusesIsToldInOurWords: its own words have no way out, and no section in the guide.
func TestWhatTheFrameworkRefusesIsToldInOurWords(t *testing.T) {
	ctx, text := context.Background(), func(s ...string) (all []attr.Value) {
		for _, word := range s {
			all = append(all, types.StringValue(word))
		}
		return all
	}
	list := func(values ...attr.Value) types.List { return types.ListValueMust(types.StringType, values) }
	set := func(values ...attr.Value) types.Set { return types.SetValueMust(types.StringType, values) }
	dict := func(key string, value attr.Value) types.Map {
		return types.MapValueMust(types.StringType, map[string]attr.Value{key: value})
	}
	null := types.StringNull()
	for _, c := range []struct {
		name  string
		value attr.Value
		valid any
		want  []string // summary @ path: detail; none where it is accepted
	}{
		{"one of the words", types.StringValue("sig"), oneOf("sig", "enc"), nil},
		{"another word", types.StringValue("x"), oneOf("sig", "enc"), []string{
			`Unknown Word @ x: x is "x". It must be "sig" or "enc".`}},
		{"a word where there is one", types.StringValue("x"), oneOf("hydra"), []string{`Unknown Word @ x: x is "x". It must be "hydra".`}},
		{"nothing", types.StringValue(""), someText(), []string{
			`Invalid Length @ x: x is "". It must have at least one character. Leave it out if you do not want it.`}},
		{"too much", types.StringValue("abc"), atMostBytes(2), []string{
			`Invalid Length @ x: x is "abc". It must have at most 2 bytes. Choose a shorter one.`}},
		{"too small a number", types.Int64Value(0), atLeast(1), []string{`Invalid Number @ x: x is 0. It must be 1 or more.`}},
		{"too large a number", types.Int64Value(9), between(3, 5), []string{`Invalid Number @ x: x is 9. It must be from 3 to 5.`}},
		{"a number between", types.Int64Value(3), between(3, 5), nil},
		{"an empty set", set(), someWords("a", "b"), []string{`Nothing Given @ x: x is []. Name at least one: a, b.`}},
		{"null in a set", set(null), someWords("a", "b"), []string{
			`Null In A Collection @ x: x is [<null>]. Leave null out of it, or give a value in its place.`}},
		{"another word in a set", set(text("a", "c")...), someWords("a", "b"), []string{
			`Unknown Word @ x[Value("c")]: An element of x is "c". It must be "a" or "b".`}},
		{"null in a list", list(null), listOf(someText()), []string{
			`Null In A Collection @ x: x is [<null>]. Leave null out of it, or give a value in its place.`}},
		{"nothing in a list", list(text("a", "")...), listOf(someText()), []string{
			`Invalid Length @ x[1]: x[1] is "". It must have at least one character. Leave it out if you do not want it.`}},
		{"another word in a map", dict("c", types.StringValue("v")), mapBy("a", "b"), []string{
			`Unknown Word @ x["c"]: A key of x is "c". It must be "a" or "b".`}},
		{"null in a map", dict("a", null), mapBy("a"), []string{
			`Null In A Collection @ x: x is {"a":<null>}. Leave null out of it, or give a value in its place.`}},
		{"a time before now", types.StringValue("-1.5h"), duration, []string{`Invalid Timeout @ x: x is "-1.5h", which is ` +
			`negative. It must be ` +
			`numbers with units (h, m, s), such as "30s" or "1h30m", and more than zero.`}},
		{"no time", types.StringValue("0s"), duration, []string{`Invalid Timeout @ x: x is "0s", which leaves no time. It ` +
			`must be ` +
			`numbers with units (h, m, s), such as "30s" or "1h30m", and more than zero.`}},
		{"what is no time", types.StringValue("5"), duration, []string{`Invalid Timeout @ x: x is "5", which is not a ` +
			`length of time. It must be ` +
			`numbers with units (h, m, s), such as "30s" or "1h30m", and more than zero.`}},
		{"days", types.StringValue("2d"), duration, []string{`Invalid Timeout @ x: x is "2d", and there is no unit for ` +
			`days; in hours ` +
			`it is "48h". It must be numbers with units (h, m, s), such as "30s" or "1h30m", and more than zero.`}},
		{"a time", types.StringValue("1h30m"), duration, nil},
		{"a curve that others call otherwise", types.StringValue("prime256v1"), oneOf("P-256", "P-384"), []string{
			`Unknown Word @ x: x is "prime256v1", which is called "P-256" here. It must be "P-256" or "P-384".`}},
		{"a curve that is none of the words", types.StringValue("prime256v1"), oneOf("P-384"), []string{
			`Unknown Word @ x: x is "prime256v1". It must be "P-384".`}},
		{"a word in capital letters", set(text("AES")...), someWords("aes", "generic"), []string{
			`Unknown Word @ x[Value("AES")]: An element of x is "AES", which is called "aes" here. It must be "aes" or ` +
				`"generic".`}},
		{"a text for a key ID", types.StringValue("id-token-1"), keyID, []string{
			`Invalid Key ID @ x: A key ID is written in hex, and 'i' is not a hex digit. The text "id-token-1" is the key ID ` +
				`69642d746f6b656e2d31, which provider::hsm::key_id("id-token-1") makes of it.`}},
		{"a key ID with 0x", types.StringValue("0x6B31"), keyID, []string{
			`Invalid Key ID @ x: A key ID is written in hex, and 'x' is not a hex digit. Write the digits alone, without 0x, ` +
				`colons and blanks: 6b31.`}},
		{"a key ID with colons", types.StringValue("6b:31"), keyID, []string{
			`Invalid Key ID @ x: A key ID is written in hex, and ':' is not a hex digit. Write the digits alone, without 0x, ` +
				`colons and blanks: 6b31.`}},
		{"a key ID of an odd number of digits", types.StringValue("6b3"), keyID, []string{
			`Invalid Key ID @ x: A key ID is written in hex, two digits for each byte, and a digit of this one is missing: it ` +
				`has 3. ` +
				`The text "key-1", for example, is 6b65792d31.`}},
		{"a URI for a key ID", types.StringValue("pkcs11:id=%6b%31"), keyID, []string{
			`Invalid Key ID @ x: A key ID is written in hex, and 'p' is not a hex digit. This is a PKCS#11 URI, and not a key ` +
				`ID.`}},
		{"a PIN for a key ID is not repeated", types.StringValue("pin:48151623"), keyID, []string{
			`Invalid Key ID: x: A key ID is written in hex, and 'p' is not a hex digit. The text "key-1", for example, is ` +
				`6b65792d31.`}},
	} {
		var diags diag.Diagnostics
		at := path.Root("x")
		switch valid := c.valid.(type) {
		case validator.String:
			if s, ok := c.value.(types.String); ok {
				var resp validator.StringResponse
				valid.ValidateString(ctx, validator.StringRequest{Path: at, ConfigValue: s}, &resp)
				diags = resp.Diagnostics
				break
			}
			var resp validator.Int64Response
			c.valid.(validator.Int64).ValidateInt64(ctx, validator.Int64Request{Path: at, ConfigValue: c.value.(types.Int64)}, &resp)
			diags = resp.Diagnostics
		case []validator.Set:
			for _, v := range valid {
				var resp validator.SetResponse
				v.ValidateSet(ctx, validator.SetRequest{Path: at, ConfigValue: c.value.(types.Set)}, &resp)
				diags.Append(resp.Diagnostics...)
			}
		case []validator.List:
			for _, v := range valid {
				var resp validator.ListResponse
				v.ValidateList(ctx, validator.ListRequest{Path: at, ConfigValue: c.value.(types.List)}, &resp)
				diags.Append(resp.Diagnostics...)
			}
		case []validator.Map:
			for _, v := range valid {
				var resp validator.MapResponse
				v.ValidateMap(ctx, validator.MapRequest{Path: at, ConfigValue: c.value.(types.Map)}, &resp)
				diags.Append(resp.Diagnostics...)
			}
		}
		var have []string
		for i, summary := range summarised(diags) {
			have = append(have, summary+": "+diags[i].Detail())
		}
		if !slices.Equal(have, c.want) {
			t.Errorf("%s: it says %q", c.name, have)
		}
	}
}

// TestOnlyOneFileUsesTheFrameworksValidators, so that none of them speaks for itself.
func TestOnlyOneFileUsesTheFrameworksValidators(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 30 {
		t.Fatalf("found %d files: %v", len(files), err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if name != "validators.go" && strings.Contains(string(text), `"github.com/hashicorp/terraform-plugin-framework-`+`validators/`) {
			t.Errorf("%s uses a validator that has no words of ours", name)
		}
	}
}
