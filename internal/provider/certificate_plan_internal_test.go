package provider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// shelf makes certificates as a token shows them, under the ID 6b31, of the key with the fingerprint and of another one.
type shelf struct {
	fingerprint string
	own, other  []byte // DER
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	certificate := func() ([]byte, string) {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(1)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
		if err != nil {
			t.Fatal(err)
		}
		fingerprint, err := publickey.Fingerprint(private.Public())
		if err != nil {
			t.Fatal(err)
		}
		return der, fingerprint
	}
	own, fingerprint := certificate()
	other, _ := certificate()
	return &shelf{fingerprint: fingerprint, own: own, other: other}
}

// with gives a list of what the words name, in their order: "own", "frozen" (own, and nobody can change it), "foreign",
// "stuck" (foreign, and nobody can change it) and "broken". A word may end with "=" and a label; else that is the word.
func (s *shelf) with(t *testing.T, words string) *certificateList {
	t.Helper()
	l := &certificateList{id: "6b31", command: hsm.Command}
	for i, word := range strings.Fields(words) {
		what, label, ok := strings.Cut(word, "=")
		if !ok {
			label = what
		}
		value := map[string][]byte{"own": s.own, "frozen": s.own, "foreign": s.other, "stuck": s.other, "broken": {1}}[what]
		fixed := what == "frozen" || what == "stuck"
		a := cryptoki.Attributes{}
		for _, attribute := range []cryptoki.Attribute{
			cryptoki.ULong(cryptoki.CKA_CLASS, object.CertificateClass), cryptoki.Bool(cryptoki.CKA_TOKEN, true),
			cryptoki.Bytes(cryptoki.CKA_ID, []byte("k1")), cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(label)),
			cryptoki.Bytes(cryptoki.CKA_VALUE, value), cryptoki.Bool(cryptoki.CKA_MODIFIABLE, !fixed),
		} {
			a[attribute.Type] = attribute.Value
		}
		c, ok := object.DecodeCertificate(cryptoki.Object(i+1), a)
		if !ok {
			t.Fatalf("%s is no certificate", word)
		}
		l.all = append(l.all, c)
	}
	return l
}

// TestWhatPlansSayOfCertificates: none offers to bind a certificate of another key to the key, or to destroy it with
// the key, and each command can work.
func TestWhatPlansSayOfCertificates(t *testing.T) {
	s := newShelf(t)
	stay := func(moves bool) func(*certificateList) diag.Diagnostic {
		return func(l *certificateList) diag.Diagnostic { return l.stay("K", s.fingerprint, "6b32", moves) }
	}
	left := func(l *certificateList) diag.Diagnostic { return l.left("K", s.fingerprint) }
	before := func(l *certificateList) diag.Diagnostic { return l.before("K", s.fingerprint) }
	const (
		foreign, fixed = "its public key is that of another key", "(its CKA_MODIFIABLE is false)"
		keytool, none  = "keytool", "no command can be given here"
		setID          = "--set-id 6b32 --type cert --id 6b31 --label own"
	)
	for name, c := range map[string]struct {
		there      string
		of         func(*certificateList) diag.Diagnostic
		says, lack []string // nothing at all: no warning
	}{
		"nothing follows: the command is for the key's own": {"foreign own", stay(false),
			[]string{`- "own"` + "\n", `- "foreign": ` + foreign, "move_certificates = true", keytool, setID}, []string{none, fixed}},
		"nothing follows, and none is the key's own": {"foreign", stay(false),
			[]string{`- "foreign": ` + foreign, "Leave the others as they are"}, []string{"--", keytool, "move_certificates"}},
		"nothing follows, and another key's has the same label": {"foreign=web own=web", stay(false),
			[]string{none, "move_certificates = true"}, []string{"--set-id"}},
		"... but one of the key's own has another": {"foreign=web own=web own=own", stay(false), []string{setID}, []string{none}},
		"the key's own follow":                     {"own", stay(true), nil, nil},
		"the key's own follow, another key's stays": {"own foreign", stay(true),
			[]string{`- "foreign": ` + foreign, "Leave the others as they are"}, []string{`- "own"`, "--", keytool}},
		"one that cannot be read stays": {"own broken", stay(true),
			[]string{`- "broken": its public key cannot be read`}, []string{`- "own"`, "--", keytool}},
		"one that nobody can change stays": {"own frozen", stay(true), []string{`- "frozen": the token lets nobody change it ` +
			fixed, keytool, "--read-object --type cert --id 6b31 --label frozen --output-file certificate.der",
			"--write-object certificate.der --type cert --id 6b32 --label frozen"},
			[]string{`- "own"`, "--set-id", "Leave the others"}},
		"... with the label of another": {"own=web frozen=web", stay(true), []string{fixed, none}, []string{"--"}},
		"... and nothing follows": {"own frozen", stay(false), []string{setID, "--label frozen --output-file"},
			[]string{"--label frozen --set-id"}},
		"no certificates": {"", stay(false), nil, nil},

		"a destroyed key leaves its own": {"foreign own", left,
			[]string{`- "own"`, "--delete-object --type cert --id 6b31 --label own"}, []string{"foreign", none}},
		"a destroyed key leaves another key's":  {"foreign broken", left, nil, nil},
		"a destroyed key and labels that clash": {"foreign=web own=web", left, []string{`- "web"`, none}, []string{"--"}},
		"a destroyed key without certificates":  {"", left, nil, nil},

		"an ID that another key's certificate has": {"own foreign", before, []string{`- "foreign": ` + foreign,
			"--set-id NEW_ID --type cert --id 6b31 --label foreign", "--delete-object --type cert --id 6b31 --label foreign"},
			[]string{`- "own"`}},
		"... and nobody can change it": {"stuck", before,
			[]string{fixed, "--delete-object --type cert --id 6b31 --label stuck"}, []string{"--set-id"}},
		"an ID that the key's own certificate has": {"own", before, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			warning := c.of(s.with(t, c.there))
			if c.says == nil {
				if warning != nil {
					t.Fatalf("it warns: %s", warning.Detail())
				}
				return
			}
			if warning == nil || warning.Severity() != diag.SeverityWarning {
				t.Fatalf("it does not warn: %v", warning)
			}
			for _, text := range c.says {
				if !strings.Contains(warning.Detail(), text) {
					t.Errorf("it lacks %q:\n%s", text, warning.Detail())
				}
			}
			for _, text := range c.lack {
				if strings.Contains(warning.Detail(), text) {
					t.Errorf("it says %q:\n%s", text, warning.Detail())
				}
			}
		})
	}
}
