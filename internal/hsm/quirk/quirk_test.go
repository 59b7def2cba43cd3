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
	openCryptoki := Differences{
		ShownTwice: true, OneWriter: true, Files: Files{Path: "/var/lock/opencryptoki"}, FactoryOfficerPIN: "87654321",
		NoErasure: true, Kept: true, Ed25519: EdwardsOID,
	}
	oldOpenCryptoki := openCryptoki
	oldOpenCryptoki.OneSession = true
	for _, c := range []struct {
		name          string
		module, token string
		version       cryptoki.Version
		want          Differences
	}{
		{"a make that keeps to the specification", "Acme", "Acme", cryptoki.Version{}, Differences{}},
		{"no name is no make's", "", "", cryptoki.Version{}, Differences{}},
		{"openCryptoki 3.8, by its module", "IBM", "IBM", cryptoki.Version{Major: 3, Minor: 8}, oldOpenCryptoki},
		{"openCryptoki that tells no version", "IBM", "IBM", cryptoki.Version{}, oldOpenCryptoki},
		{"openCryptoki 3.23", "IBM", "IBM", cryptoki.Version{Major: 3, Minor: 23}, openCryptoki},
		{"openCryptoki 4.0", "IBM", "IBM", cryptoki.Version{Major: 4}, openCryptoki},
		{
			"NSS, by its module", "Mozilla Foundation", "Mozilla Foundation", cryptoki.Version{Major: 3, Minor: 132},
			Differences{
				OneSession: true, OneWriter: true, Files: Files{Parameter: "configdir", Variable: "NSS_LIB_PARAMS"},
				Ed25519: EdwardsOID, NoOfficer: true, LabelPerSubject: true,
			},
		},
		{
			"SoftHSM behind another module, by its token", "PKCS#11 Kit", "SoftHSM project", cryptoki.Version{},
			Differences{
				Torn: true, OneWriter: true, Files: Files{BySerial: true}, Blanks: true, Crowded: true, NoDates: true, Unshown: true,
				SpareToken: true, CertificateOmits: []cryptoki.AttributeType{cryptoki.CKA_CHECK_VALUE},
			},
		},
	} {
		module := cryptoki.Info{Manufacturer: c.module, Version: c.version}
		got := Of(module, cryptoki.TokenInfo{Manufacturer: c.token})
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, not %+v", c.name, got, c.want)
		}
	}
}

func TestATPMsKeysAreRefusedInThePlan(t *testing.T) {
	d := Of(cryptoki.Info{Manufacturer: tpm2}, cryptoki.TokenInfo{Manufacturer: ibm})
	if !d.NoPublicUsage || !d.NoErasure || d.OneSession || len(d.Busy["C_DestroyObject"]) != 1 {
		t.Errorf("%+v", d)
	}
	for _, no := range d.NoKeys {
		if !strings.HasPrefix(no.Says, "On this token") && !strings.HasPrefix(no.Says, "This token") {
			t.Errorf("the plan says %q", no.Says)
		}
	}
}
