//go:build !windows

package provider

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
)

func TestAConfigurationLooksAtNoSOPIN(t *testing.T) {
	var asked []string
	null := types.StringNull()
	_, diags := resolveConfiguration(providerModel{
		Library: null, LibraryParameters: null, TokenLabel: null, TokenSerial: null, Slot: null, PIN: null,
		MaxSessions: types.Int64Null(),
	}, environment{
		getenv:   func(name string) string { asked = append(asked, name); return "" },
		readFile: func(string) (pinFile, error) { t.Error("it reads a file"); return pinFile{}, nil },
	})
	if len(diags) > 0 || !slices.Contains(asked, envPIN) || slices.Contains(asked, envOfficerPIN) ||
		slices.Contains(asked, envOfficerPINFile) {
		t.Errorf("it says %v, and asked for %v", diags, asked)
	}
}

func TestATextOfOthersWithAnyPINThatWasGivenIsNotShown(t *testing.T) {
	t.Setenv(envOfficerPIN, "11112222")
	t.Setenv(envOfficerPINFile, "")
	c := &client{}
	c.configuration.token.PIN = hsm.NewPIN("33334444")
	const text = "a loader says 11112222, 55556666 and 77778888"
	if have := c.foreign(text); have != text {
		t.Errorf("a PIN that nobody asked for is left out: %s", have)
	}
	for _, give := range []func() diag.Diagnostics{
		func() diag.Diagnostics { _, ds := c.officerPIN(t.Context(), types.StringNull()); return ds },
		func() diag.Diagnostics { _, ds := c.officerPIN(t.Context(), types.StringValue("55556666")); return ds },
		func() diag.Diagnostics { _, ds := c.userPIN(types.StringValue("77778888")); return ds },
	} {
		if ds := give(); len(ds) > 0 {
			t.Error(ds)
		}
	}
	if _, ds := c.userPIN(types.StringUnknown()); len(ds) > 0 {
		t.Error(ds)
	}
	for _, pin := range []string{"11112222", "33334444", "55556666", "77778888"} {
		var diags diag.Diagnostics
		c.run(t.Context(), &diags, "Create Token", func(context.Context) { panic("the module says " + pin) })
		if detail := diags[0].Detail(); c.foreign("it is "+pin) != withheld || strings.Contains(detail, pin) ||
			!strings.Contains(detail, withheld) {
			t.Errorf("the PIN %s is told: %s", pin, detail)
		}
	}
	if have := c.foreign("it is 99990000"); have != "it is 99990000" {
		t.Errorf("what has no PIN in it is left out: %s", have)
	}
}

func TestASOPINFileThatIsNotProtectedIsToldOnceByItsOwnName(t *testing.T) {
	t.Setenv(envOfficerPIN, "")
	file := filepath.Join(t.TempDir(), "pin")
	if err := errors.Join(os.WriteFile(file, []byte("11112222\n"), 0o600), os.Chmod(file, 0o644)); err != nil {
		t.Fatal(err)
	}
	t.Setenv(envOfficerPINFile, file)
	c := &client{}
	var all diag.Diagnostics
	for range 2 {
		found, ds := c.officerPIN(t.Context(), types.StringNull())
		if all = append(all, ds...); !found.pin.Equal(hsm.NewPIN("11112222")) || found.from != envOfficerPINFile {
			t.Errorf("the PIN is from %s", found.from)
		}
	}
	if text := fmt.Sprint(all); len(all) != 1 || strings.Contains(text, "$HSM_PIN_FILE") || !strings.Contains(text,
		`chmod 600 "$HSM_SO_PIN_FILE"`) {
		t.Errorf("it says %s", text)
	}
}
