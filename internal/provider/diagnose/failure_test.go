package diagnose

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

var rsa = Kind{Resource: "hsm_rsa_keypair", Type: object.RSA, Noun: "key pair", Title: "Key Pair",
	Parts: []string{"pubkey", "privkey"}}

// summary is a diagnostic's, with the attribute that it points at: "Summary @ attribute".
func summary(d diag.Diagnostic) string {
	if at, ok := d.(diag.DiagnosticWithPath); ok {
		return d.Summary() + " @ " + at.Path().String()
	}
	return d.Summary()
}

func TestSentence(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "",
		"x":                              "X.",
		"the token is full":              "The token is full.",
		"said already.":                  "Said already.",
		"cryptoki: C_Login: CKR_X (0x1)": "C_Login: CKR_X (0x1).",
		"key_id 6b31 is taken":           "key_id 6b31 is taken.",
		"pkcs11:id=%01 names nothing":    "pkcs11:id=%01 names nothing.",
		"these:\n  - one\n  - two":       "These:\n  - one\n  - two",
		"schlüssel":                      "Schlüssel.",
		"ärger":                          "Ärger.",
		"libsofthsm2.so: no such file":   "libsofthsm2.so: no such file.",
		"slot-id=1 is no key":            "slot-id=1 is no key.",
		"one-way, and back":              "One-way, and back.",
		"that: this":                     "That: this.",
		"\"web\" is no hex":              "\"web\" is no hex.",
	} {
		if have := Sentence(text); have != want {
			t.Errorf("%q becomes %q, not %q", text, have, want)
		}
	}
}

func TestADiagnosticSaysWhatHappenedWhatHoldsAndWhatToDo(t *testing.T) {
	id := []byte("k1")
	private := object.Name{Class: "private key", Type: "RSA", ID: id, Label: "web"}
	public := object.Name{Class: "public key", Type: "RSA", ID: id, Label: "web"}
	secret := object.Name{Class: "secret key", Type: "AES", ID: id, Label: "web"}
	operation := func(err error, holds hsm.Holding) error {
		return &hsm.OperationError{Operation: "generate", ID: id, Label: "web", Err: err, Holds: holds}
	}
	call := func(function string, code cryptoki.RV) error { return &cryptoki.Error{Function: function, Code: code} }
	cases := []struct {
		name    string // a sentence
		err     error
		summary string // "Summary @ attribute"
		parts   []string
	}{
		{"an unconfigured provider is a bug", ErrNotConfigured, "Unable to Create Key Pair: Provider Not Configured",
			[]string{"report it"}},
		{"what is unknown is named", &UnknownError{[]string{"library", "pin"}}, "Unable to Create Key Pair: Provider " +
			"Configuration Not Known Yet", []string{"library, pin", "-target=ADDRESS", "is on the token already"}},
		{"the pair that uses the ID can be imported", operation(&object.ExistsError{ID: id, Objects: []object.Name{private,
			public}, Whole: object.RSA}, hsm.HoldsUntouched),
			"Unable to Create Key Pair: Key ID Taken @ key_id", []string{"Nothing was made or changed.", "terraform import hsm_rsa_keypair.NAME 6b31"}},
		{"two private keys cannot be imported", operation(&object.ExistsError{ID: id, Objects: []object.Name{private, private}}, hsm.HoldsUntouched),
			"Unable to Create Key Pair: Key ID Taken @ key_id", []string{"cannot be imported", "look for the ID 6b31", "--list-objects"}},
		{"a login inside an operation is told as a login", operation(fmt.Errorf("%w: %w", hsm.ErrPINIncorrect, call("C_Login", cryptoki.CKR_PIN_INCORRECT)), hsm.HoldsUntouched),
			"Unable to Create Key Pair: PIN Refused", []string{"C_Login: CKR_PIN_INCORRECT (0xA0)",
				"(pin, HSM_PIN or HSM_PIN_FILE)",
				"is not sent again in this run", "Nothing was made or changed."}},
		{"a locked PIN", hsm.ErrPINLocked, "Unable to Create Key Pair: PIN Locked", []string{"--login-type so --init-pin"}},
		{"the last try", hsm.ErrPINFinalTry, "Unable to Create Key Pair: Final PIN Try", []string{"sends none", "--list-objects"}},
		{"an expired PIN", hsm.ErrPINExpired, "Unable to Create Key Pair: PIN Must Be Changed", []string{"--change-pin"}},
		{"no PIN on the token", hsm.ErrPINNotSet, "Unable to Create Key Pair: No User PIN On The Token", []string{"--init-pin"}},
		{"a mechanism that the token lacks", &object.MechanismError{Wanted: "RSA keys of 8192 bits", Offers: "RSA keys of 512 to 4096 bits"},
			"Unable to Create Key Pair: Not Offered By The Token", []string{"RSA keys of 8192 bits", "512 to 4096"}},
		{"a token that is full", operation(call("C_GenerateKeyPair", cryptoki.CKR_DEVICE_MEMORY), hsm.HoldsNothing),
			"Unable to Create Key Pair: Token Full", []string{"C_GenerateKeyPair: CKR_DEVICE_MEMORY",
				"The token holds no key with this ID."}},
		{"an error that nobody knows", operation(call("C_GenerateKeyPair", 0x80000001), hsm.HoldsPublic),
			"Unable to Create Key Pair", []string{"0x80000001", "the public half of the key pair, and no private half", "terraform plan", "token's own log"}},
		{"several keys of one ID", &object.AmbiguousError{ID: id, Objects: []object.Name{private, private}, Fingerprints: []string{"aa", "bb"}},
			"Unable to Create Key Pair: Several Keys With One ID @ key_id", []string{"fingerprint aa", "fingerprint bb",
				"look for the ID 6b31"}},
		{"several secret keys of one ID", &object.AmbiguousError{ID: id, Objects: []object.Name{secret, secret}, Fingerprints: []string{"aa", ""}},
			"Unable to Create Key Pair: Several Keys With One ID @ key_id",
			[]string{`AES secret key "web" (ID 6b31) (check value aa); AES secret key "web" (ID 6b31).`}},
		{"a size that no key has", operation(object.Template{Type: object.Secret, Kind: object.AES, Bits: 100}.Fits(), hsm.HoldsUntouched),
			"Unable to Create Key Pair: Size Or Usage Does Not Fit", []string{"AES keys have 128, 192 or 256 bits, not 100", "no token makes", "Nothing was made or changed."}},
		{"a usage that no key has", object.Template{Type: object.EC, Curve: "Ed25519", Usage: object.Derive}.Fits(),
			"Unable to Create Key Pair: Size Or Usage Does Not Fit", []string{"Edwards keys are for sign, not for derive"}},
		{"another key than was asked for", operation(&hsm.VerifyError{Problems: []string{"its modulus has 1024 bits, not 2048"}}, hsm.HoldsNothing),
			"Unable to Create Key Pair: Not What Was Asked For", []string{"1024 bits, not 2048",
				"The token holds no key with this ID."}},
		{"an interruption", operation(context.Canceled, hsm.HoldsUnknown), "Unable to Create Key Pair: Interrupted", []string{"terraform plan"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := Failure{Doing: Create, Kind: &rsa, Err: c.err, Label: "web", KeyID: "6b31"}.Diagnostic()
			if have := summary(d); have != c.summary {
				t.Errorf("it says %q", have)
			}
			for _, part := range append(c.parts, "What to do: ", `the key "web" (key_id 6b31)`) {
				if !strings.Contains(d.Detail(), part) {
					t.Errorf("%q is not in\n%s", part, d.Detail())
				}
			}
		})
	}
}

// A data source has no state to mend, no argument timeouts, and does nothing that may take effect later.
func TestADataSourceIsNotToldOfResources(t *testing.T) {
	half := &object.HalfPairError{ID: []byte("k1"), Present: object.Name{Class: "private key", Type: "RSA", ID: []byte("k1")}, Missing: "public key"}
	for summary, err := range map[string]error{
		"Unable to Read Keys: Token Does Not Answer": &cryptoki.HangError{Function: "C_FindObjects", Err: context.DeadlineExceeded},
		"Unable to Read Keys: Timed Out":             context.DeadlineExceeded,
		"Unable to Read Keys: Half A Key Pair":       half,
		"Unable to Read Keys: Not One Public Key":    &object.MatchError{},
	} {
		d := Failure{Doing: "Read Keys", Err: err}.Diagnostic()
		if d.Summary() != summary || !strings.Contains(d.Detail(), "What to do: ") {
			t.Errorf("it says %q: %s", d.Summary(), d.Detail())
		}
		for _, word := range []string{".NAME", "timeouts", "take effect", "terraform state"} {
			if strings.Contains(d.Detail(), word) {
				t.Errorf("%q is in: %s", word, d.Detail())
			}
		}
	}
}
