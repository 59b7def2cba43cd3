package provider

import (
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

func TestAWarningAboutAKeyNamesIt(t *testing.T) {
	null := tftypes.NewValue(tftypes.Object{}, nil)
	of := func(label, keyID any) tftypes.Value {
		return tftypes.NewValue(tftypes.Object{AttributeTypes: map[string]tftypes.Type{
			"label": tftypes.String, "key_id": tftypes.String,
		}}, map[string]tftypes.Value{
			"label": tftypes.NewValue(tftypes.String, label), "key_id": tftypes.NewValue(tftypes.String, keyID),
		})
	}
	seen := tftypes.NewValue(tftypes.Object{AttributeTypes: map[string]tftypes.Type{
		"label": tftypes.String, "key_id": tftypes.String, "token_serial": tftypes.String,
	}}, map[string]tftypes.Value{
		"label":        tftypes.NewValue(tftypes.String, "web"),
		"key_id":       tftypes.NewValue(tftypes.String, tftypes.UnknownValue),
		"token_serial": tftypes.NewValue(tftypes.String, "0a"),
	})
	for _, c := range []struct {
		name   string
		values []tftypes.Value
		want   string
	}{
		{"a new key whose plan has seen the token", []tftypes.Value{null, seen},
			`: "web" (a new hsm_rsa_keypair on the token 0a)`},
		{"a key of the state", []tftypes.Value{of("web", "6B31"), of("new", "6b32")}, `: "web" (key_id 6b31)`},
		{"a new key", []tftypes.Value{null, of("web", tftypes.UnknownValue)}, `: "web"`},
		{"a key that is being imported", []tftypes.Value{of(nil, "6b31")}, ": key_id 6b31"},
		{"a key of which nothing is known", []tftypes.Value{null, of(tftypes.UnknownValue, tftypes.UnknownValue)}, ""},
		{"no key", []tftypes.Value{null}, ""},
	} {
		diags := diag.Diagnostics{
			diag.NewWarningDiagnostic("A", "about it"),
			diag.NewAttributeWarningDiagnostic(path.Root("key_id"), "B", "about its ID"),
			diag.NewErrorDiagnostic("C", "errors are not folded"),
			diag.NewWarningDiagnostic(aboutNoKey[0], "about the token"),
		}
		want := diag.Diagnostics{
			diag.NewWarningDiagnostic("A"+c.want, "about it"),
			diag.NewAttributeWarningDiagnostic(path.Root("key_id"), "B"+c.want, "about its ID"), diags[2], diags[3],
		}
		nameKeys(&diags, "hsm_rsa_keypair", c.values...)
		if !slices.EqualFunc(diags, want, diag.Diagnostic.Equal) {
			t.Errorf("%s: got %v", c.name, diags)
		}
	}
}

// TestOneKeysWarningsHaveAllATitleOfTheirOwn: Terraform shows only the first of several with one summary.
func TestOneKeysWarningsHaveAllATitleOfTheirOwn(t *testing.T) {
	r, no := newRSAKeyPairResource(), types.BoolValue(false)
	m := r.kind.newModel().(*rsaKeyPairModel)
	m.Label, m.KeyID, m.Private, m.Sensitive = types.StringValue("web"), types.StringValue("6b31"), no, no
	m.ModulusBits, m.PublicExponent = types.Int64Value(1024), types.Int64Value(3)
	var diags diag.Diagnostics
	r.warnOf(m, false, &diags)
	titles, text := map[string]bool{}, ""
	for _, d := range diags {
		if titles[d.Summary()] {
			t.Errorf("%q is there twice", d.Summary())
		}
		titles[d.Summary()], text = true, text+d.Detail()
	}
	if len(diags) != 3 || !strings.Contains(text, "modulus of 1024 bits") || !strings.Contains(text, "exponent 3") {
		t.Errorf("it warns: %v", diags)
	}
}
