package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

func TestSentence(t *testing.T) {
	for text, want := range hsmtest.InOrder(map[string]string{
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
		"\"web\" is no hex":              "\"web\" is no hex.",
	}) {
		if have := sentence(text); have != want {
			t.Errorf("%q becomes %q, not %q", text, have, want)
		}
	}
}

func TestAPanicBecomesADiagnosticWithoutThePIN(t *testing.T) {
	c := &client{configuration: configuration{secret: "48151623"}}
	var diags diag.Diagnostics
	c.run(context.Background(), &diags, "Create Key Pair", func(context.Context) { panic("slot 3, PIN 48151623, and again 48151623") })
	if len(diags) != 1 || diags[0].Severity() != diag.SeverityError || diags[0].Summary() != "Provider Panic: Create Key Pair" {
		t.Fatalf("it says %v", diags)
	}
	detail := diags[0].Detail()
	if strings.Contains(detail, "48151623") || !strings.Contains(detail, "slot 3, PIN (sensitive), and again (sensitive)") || !strings.Contains(detail, "goroutine") {
		t.Errorf("the detail is %q", detail)
	}

	// A client that was never configured survives it too, and so does what was said before.
	diags = diag.Diagnostics{diag.NewWarningDiagnostic("before", "")}
	(*client)(nil).run(context.Background(), &diags, "Read Key Pair", func(context.Context) { panic(errors.New("no client")) })
	if have := summarised(diags); !slices.Equal(have, []string{"before", "Provider Panic: Read Key Pair"}) {
		t.Errorf("it says %q", have)
	}
}

func TestRedact(t *testing.T) {
	for _, c := range []struct {
		client *client
		want   string
	}{
		{&client{configuration: configuration{secret: "1234"}}, "a(sensitive)b(sensitive)"},
		{&client{}, "a1234b1234"},
		{nil, "a1234b1234"},
	} {
		if have := c.client.redact("a1234b1234"); have != c.want {
			t.Errorf("%+v makes %q", c.client, have)
		}
	}
}

func TestADiagnosticSaysWhatHappenedWhatHoldsAndWhatToDo(t *testing.T) {
	id := []byte("k1")
	private := hsm.Object{Class: "private key", Type: "RSA", ID: id, Label: "web"}
	public := hsm.Object{Class: "public key", Type: "RSA", ID: id, Label: "web"}
	secret := hsm.Object{Class: "secret key", Type: "AES", ID: id, Label: "web"}
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
		{"an unconfigured provider is a bug", errNotConfigured, "Unable to Create Key Pair: Provider Not Configured", []string{"report it"}},
		{"what is unknown is named", &unknownError{[]string{"library", "pin"}}, "Unable to Create Key Pair: Provider Configuration Not Known Yet", []string{"library, pin", "-target"}},
		{"the pair that bears the ID can be imported", operation(&hsm.ExistsError{ID: id, Objects: []hsm.Object{private, public}, Whole: hsm.RSA}, hsm.HoldsUntouched),
			"Unable to Create Key Pair: Key ID Taken @ key_id", []string{"Nothing was made or changed.", "terraform import hsm_rsa_keypair.NAME 6b31"}},
		{"two private keys cannot be imported", operation(&hsm.ExistsError{ID: id, Objects: []hsm.Object{private, private}}, hsm.HoldsUntouched),
			"Unable to Create Key Pair: Key ID Taken @ key_id", []string{"cannot be imported", "look for the ID 6b31", "--list-objects"}},
		{"a login inside an operation is told as a login", operation(fmt.Errorf("%w: %w", hsm.ErrPINIncorrect, call("C_Login", cryptoki.CKR_PIN_INCORRECT)), hsm.HoldsUntouched),
			"Unable to Create Key Pair: PIN Refused", []string{"C_Login: CKR_PIN_INCORRECT (0xA0)", "is not sent again in this run", "Nothing was made or changed."}},
		{"a locked PIN", hsm.ErrPINLocked, "Unable to Create Key Pair: PIN Locked", []string{"--login-type so --init-pin"}},
		{"the last try", hsm.ErrPINFinalTry, "Unable to Create Key Pair: Final PIN Try", []string{"sends none", "--list-objects"}},
		{"an expired PIN", hsm.ErrPINExpired, "Unable to Create Key Pair: PIN Must Be Changed", []string{"--change-pin"}},
		{"no PIN on the token", hsm.ErrPINNotSet, "Unable to Create Key Pair: No User PIN On The Token", []string{"--init-pin"}},
		{"a mechanism that the token lacks", &hsm.MechanismError{Wanted: "RSA keys of 8192 bits", Offers: "RSA keys of 512 to 4096 bits"},
			"Unable to Create Key Pair: Not Offered By The Token", []string{"RSA keys of 8192 bits", "512 to 4096"}},
		{"a token that is full", operation(call("C_GenerateKeyPair", cryptoki.CKR_DEVICE_MEMORY), hsm.HoldsNothing),
			"Unable to Create Key Pair: Token Full", []string{"C_GenerateKeyPair: CKR_DEVICE_MEMORY", "The token holds no key of this ID."}},
		{"an error that nobody knows", operation(call("C_GenerateKeyPair", 0x80000001), hsm.HoldsPublic),
			"Unable to Create Key Pair", []string{"0x80000001", "the public half of the key pair, and no private half", "terraform plan", "token's own log"}},
		{"several keys of one ID", &hsm.AmbiguousError{ID: id, Objects: []hsm.Object{private, private}, Fingerprints: []string{"aa", "bb"}},
			"Unable to Create Key Pair: Several Keys Of One ID @ key_id", []string{"fingerprint aa", "fingerprint bb", "look for the ID 6b31"}},
		{"several secret keys of one ID", &hsm.AmbiguousError{ID: id, Objects: []hsm.Object{secret, secret}, Fingerprints: []string{"aa", ""}},
			"Unable to Create Key Pair: Several Keys Of One ID @ key_id", []string{`AES secret key "web" (ID 6b31) (check value aa); AES secret key "web" (ID 6b31).`}},
		{"a size that no key has", operation(hsm.Template{Type: hsm.Secret, Kind: hsm.AES, Bits: 100}.Fits(), hsm.HoldsUntouched),
			"Unable to Create Key Pair: Size Or Usage Does Not Fit", []string{"AES keys have 128, 192 or 256 bits, not 100", "no token makes", "Nothing was made or changed."}},
		{"a usage that no key has", hsm.Template{Type: hsm.EC, Curve: "Ed25519", Usage: hsm.Derive}.Fits(),
			"Unable to Create Key Pair: Size Or Usage Does Not Fit", []string{"Edwards keys are for sign, not for derive"}},
		{"another key than was asked for", operation(&hsm.VerifyError{Problems: []string{"its modulus has 1024 bits, not 2048"}}, hsm.HoldsNothing),
			"Unable to Create Key Pair: Not What Was Asked For", []string{"1024 bits, not 2048", "The token holds no key of this ID."}},
		{"an interruption", operation(context.Canceled, hsm.HoldsUnknown), "Unable to Create Key Pair: Interrupted", []string{"terraform plan"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := problem{doing: doingCreate, kind: &newRSAKeyPairResource().(*keyResource).kind, err: c.err, client: &client{configuration: configuration{secret: "48151623"}}, resourceType: "hsm_rsa_keypair", label: "web", keyID: "6b31"}
			d := p.diagnostic()
			if have := summarised(diag.Diagnostics{d}); !slices.Equal(have, []string{c.summary}) {
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
	half := &hsm.HalfPairError{ID: []byte("k1"), Present: hsm.Object{Class: "private key", Type: "RSA", ID: []byte("k1")}, Missing: "public key"}
	for summary, err := range hsmtest.InOrder(map[string]error{
		"Unable to Read Keys: Token Does Not Answer": &cryptoki.HangError{Function: "C_FindObjects", Err: context.DeadlineExceeded},
		"Unable to Read Keys: Timed Out":             context.DeadlineExceeded,
		"Unable to Read Keys: Half A Key Pair":       half,
		"Unable to Read Keys: Not One Public Key":    &hsm.MatchError{},
	}) {
		d := problem{doing: "Read Keys", err: err}.diagnostic()
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

func TestNames(t *testing.T) {
	for want, paths := range hsmtest.InOrder(map[string][]path.Path{
		"":           nil,
		"a":          {path.Root("a")},
		"a and b":    {path.Root("a"), path.Root("b")},
		"a, b and c": {path.Root("a"), path.Root("b"), path.Root("c")},
	}) {
		if have := names(paths); have != want {
			t.Errorf("%v are called %q", paths, have)
		}
	}
}
