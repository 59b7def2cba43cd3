package quirk

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// TestEachMakeSaysHowItIsKnown holds every make's differences against their evidence, and the texts against what a plan
// shows.
func TestEachMakeSaysHowItIsKnown(t *testing.T) {
	kinds := []Kind{Ran, Document, Source, Report, Guess}
	for _, m := range Makes {
		if m.Name == "" || m.Versions == "" || len(m.Marks) == 0 || m.Setup.Library == "" || m.Setup.PIN == "" {
			t.Errorf("a make says too little: %+v", m)
		}
		known := map[string]bool{}
		for _, e := range m.Evidence {
			known[e.Of] = true
			if !slices.Contains(kinds, e.Kind) || !sentence(e.Seen) || e.Kind != Guess && e.Source == "" {
				t.Errorf("%s: this is no evidence: %+v", m.Name, e)
			}
		}
		if !known["Marks"] {
			t.Errorf("%s: nothing says how it is recognised", m.Name)
		}
		if wherever := strings.Contains(m.Setup.Library, "wherever you put it"); !known["Library"] && !wherever {
			t.Errorf("%s: nothing says how the library's path is known", m.Name)
		}
		delete(known, "Marks")
		delete(known, "Library")
		delete(known, "Commands")
		delete(known, "")
		differences := reflect.ValueOf(m.Differences)
		for i := range differences.NumField() {
			field := differences.Type().Field(i).Name
			if differences.Field(i).IsZero() == known[field] {
				t.Errorf("%s: %s is set: %t. It has evidence: %t", m.Name, field, !known[field], known[field])
			}
			delete(known, field)
		}
		for field := range known {
			t.Errorf("%s: there is evidence of %s, which is no difference", m.Name, field)
		}
		for says, expression := range m.rules() {
			if _, err := regexp.Compile(`\A(?:` + expression + `)\z`); err != nil || !sentence(says) {
				t.Errorf("%s: %q: %v", m.Name, says, err)
			}
		}
	}
}

// rules are the texts that plans show, with their regular expressions.
func (m Make) rules() map[string]string {
	rules := map[string]string{}
	for _, names := range []Names{m.IDs, m.Labels} {
		if !reflect.DeepEqual(names, Names{Lasting: names.Lasting}) {
			rules[names.Says] = names.Alphabet
		}
	}
	if m.PIN != nil {
		rules[m.PIN.Says] = m.PIN.Expression
	}
	for _, no := range m.NoKeys {
		rules[no.Says] = ""
	}
	for _, says := range m.Refuses {
		rules[says] = ""
	}
	for _, note := range m.Setup.Notes {
		rules[note] = ""
	}
	return rules
}

func sentence(text string) bool { return len(text) > 10 && strings.HasSuffix(text, ".") }

// TestPINForms takes a PIN of each form, and one that is none.
func TestPINForms(t *testing.T) {
	for _, c := range []struct {
		form      *PINForm
		pin       string
		isOfForms bool
	}{
		{cloudHSM.PIN, "user:pass:word", true}, {cloudHSM.PIN, "password", false}, {cloudHSM.PIN, ":password", false},
		{azure.PIN, "user:password", true}, {azure.PIN, "user:", false},
		{yubiHSM.PIN, "0001password", true}, {yubiHSM.PIN, "@00aFpassword", true}, {yubiHSM.PIN, "password", false},
		{yubiHSM.PIN, "0001short", false},
	} {
		if got := regexp.MustCompile(`\A(?:` + c.form.Expression + `)\z`).MatchString(c.pin); got != c.isOfForms {
			t.Errorf("%s %q is such a PIN: %t", c.form.Says, c.pin, got)
		}
	}
}

// TestMarksTellMakesApart: what has the marks of one make has no other one's, and none of the makes that tests run on
// has any.
func TestMarksTellMakesApart(t *testing.T) {
	type names struct{ module, description, token, model string }
	info := func(n names) (cryptoki.Info, cryptoki.TokenInfo) {
		return cryptoki.Info{Manufacturer: n.module, Description: n.description},
			cryptoki.TokenInfo{Manufacturer: n.token, Model: n.model}
	}
	for _, m := range Makes {
		for _, mark := range m.Marks {
			if got := MakeOf(info(names{mark.Module, mark.Description, mark.Token, mark.Model})); got == nil ||
				got.Name != m.Name {
				t.Errorf("%+v of %s is taken for %+v", mark, m.Name, got)
			}
			for _, other := range Makes {
				if other.Name != m.Name && slices.ContainsFunc(other.Marks, func(o Mark) bool {
					return o.fits(info(names{mark.Module, mark.Description, mark.Token, mark.Model}))
				}) {
					t.Errorf("%+v of %s is a mark of %s too", mark, m.Name, other.Name)
				}
			}
		}
	}
	for want, n := range map[string]names{
		"Google Cloud KMS": {"Google", "Cryptoki Library for Cloud KMS", "Google", "Cloud KMS Token"},
		"YubiHSM 2":        {"Yubico (www.yubico.com)", "YubiHSM PKCS#11 Library", "Yubico (www.yubico.com)", "YubiHSM"},
		"YubiKey PIV": {
			"Yubico (www.yubico.com)", "PKCS#11 PIV Library (SP-800-73)", "Yubico (www.yubico.com)", "YubiKey YK5",
		},
		"Entrust nShield":  {"nCipher Corp. Ltd", "nCipher PKCS#11", "nCipher Corp. Ltd", ""},
		"Securosys Primus": {"", "", "Securosys SA", "Primus HSM"},
		"Thales Luna":      {"SafeNet", "Chrystoki", "SafeNet", "Luna K7"},
		"SmartCard-HSM":    {"OpenSC Project", "OpenSC smartcard framework", "www.CardContact.de", "PKCS#15 emulated"},
		"Nitrokey NetHSM":  {"Nitrokey", "Nitrokey NetHsm PKCS#11 library", "Nitrokey GmbH", "NetHSM"},
		"Kryoptic":         {"Kryoptic", "Kryoptic PKCS11 Module", "Kryoptic Project", "v1"},
	} {
		if got := MakeOf(info(n)); got == nil || got.Name != want {
			t.Errorf("%s is taken for %+v", want, got)
		}
	}
	for _, n := range []names{
		{}, {"SoftHSM", "Implementation of PKCS11", "SoftHSM project", "SoftHSM v2"},
		{"IBM", "openCryptoki", "IBM", "Soft"}, {"IBM", "openCryptoki", "IBM", "EP11"},
		{"tpm2-software.github.io", "TPM2.0 Cryptoki", "IBM", "SW   TPM"},
		{"Mozilla Foundation", "NSS Internal Crypto Services", "Mozilla Foundation", "NSS 3"},
		{"PKCS#11 Kit", "PKCS#11 Kit Proxy Module", "PKCS#11 Kit", "p11-kit-trust"},
		{"SafeNet, Inc.", "SafeNet eToken PKCS#11", "SafeNet, Inc.", "eToken"},
		{"OpenSC Project", "OpenSC smartcard framework", "piv_II", "PKCS#15 emulated"}, {"Acme", "Acme", "Acme", "Acme"},
	} {
		if got := MakeOf(info(n)); got != nil {
			t.Errorf("%+v is taken for %s", n, got.Name)
		}
	}
}

// TestAMakesDifferencesAreTheTokens: what the row has is what operations ask for.
func TestAMakesDifferencesAreTheTokens(t *testing.T) {
	got := Of(cryptoki.Info{Manufacturer: "nCipher Corp. Ltd"}, cryptoki.TokenInfo{})
	if !reflect.DeepEqual(got, nShield.Differences) {
		t.Errorf("%+v", got)
	}
}
