package quirk

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// TestEachRowSaysWhatItKnows holds the table against itself, and against the tests that it names.
func TestEachRowSaysWhatItKnows(t *testing.T) {
	tests := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, match := range declared.FindAllSubmatch(text, -1) {
			tests[string(match[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	type difference struct {
		Differences
		module, token string
	}
	set := map[string]string{}
	for _, row := range Rows {
		if row.Make == "" || row.Versions == "" || row.Seen == "" || row.Done == "" {
			t.Errorf("a row says too little: %+v", row)
		}
		if !tests[row.Test] {
			t.Errorf("%s: %s: there is no test %q", row.Make, row.Seen, row.Test)
		}
		if (row.set != nil) != (row.Module != "" || row.Token != "") {
			t.Errorf("%s: %s: a row is recognised, and makes a difference, or neither", row.Make, row.Seen)
		}
		if row.set == nil {
			continue
		}
		d := difference{module: row.Module, token: row.Token}
		row.set(&d.Differences)
		made := fmt.Sprintf("%+v", d)
		if other, taken := set[made]; taken || reflect.DeepEqual(d.Differences, Differences{}) {
			t.Errorf("%s: %s: it makes no difference of its own (%s)", row.Make, row.Seen, other)
		}
		set[made] = row.Make
	}
}

func TestOf(t *testing.T) {
	for _, c := range []struct {
		name          string
		module, token string
		want          Differences
	}{
		{"a make that keeps to the specification", "Acme", "Acme", Differences{}},
		{"no name is no make's", "", "", Differences{}},
		{"openCryptoki, by its module", "IBM", "IBM", Differences{
			OneSession: true, ShownTwice: true, OneWriter: true, Files: Files{Path: "/var/lock/opencryptoki"},
			FactoryOfficerPIN: "87654321", NoErasure: true, Kept: true,
		}},
		{"tpm2-pkcs11, by its module", "tpm2-software.github.io", "IBM", Differences{NoPublicUsage: true, NoErasure: true}},
		{
			"NSS, by its module", "Mozilla Foundation", "Mozilla Foundation",
			Differences{OneSession: true, OneWriter: true, Files: Files{Parameter: "configdir"}, Ed25519: EdwardsOID, NoOfficer: true},
		},
		{
			"SoftHSM behind another module, by its token", "PKCS#11 Kit", "SoftHSM project",
			Differences{
				Torn: true, OneWriter: true, Files: Files{BySerial: true}, Blanks: true, Crowded: true, NoDates: true, Unshown: true,
				SpareToken: true,
			},
		},
	} {
		got := Of(cryptoki.Info{Manufacturer: c.module}, cryptoki.TokenInfo{Manufacturer: c.token})
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, not %+v", c.name, got, c.want)
		}
	}
}
