package hsm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

func TestParseID(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want string // "" where it is refused
	}{
		"lower case":                {"6b31", "k1"},
		"upper case is the same":    {"6B31", "k1"},
		"a zero byte":               {"00", "\x00"},
		"the longest":               {strings.Repeat("ab", 255), strings.Repeat("\xab", 255)},
		"nothing":                   {"", ""},
		"half a byte":               {"6b3", ""},
		"no hex":                    {"6g", ""},
		"a prefix is no hex either": {"0x6b", ""},
		"white space":               {"6b 31", ""},
		"one byte too long":         {strings.Repeat("ab", 256), ""},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := ParseID(c.in)
			if (err == nil) != (c.want != "") || string(id) != c.want {
				t.Errorf("got %q, %v", id, err)
			}
		})
	}
}

func TestTextID(t *testing.T) {
	for text, whole := range map[string]bool{"": false, "é": true, strings.Repeat("a", 255): true, strings.Repeat("a", 256): false} {
		id, err := TextID(text)
		if (err == nil) != whole || whole && string(id) != text {
			t.Errorf("%q: got %q, %v", text, id, err)
		}
	}
}

func TestUsage(t *testing.T) {
	u, err := ParseUsage([]string{"sign", "decrypt", "sign"})
	if err != nil || u != Sign|Decrypt || u.String() != "decrypt, sign" {
		t.Errorf("got %s, %v", u, err)
	}
	if _, err := ParseUsage([]string{"fly"}); err == nil {
		t.Error("fly is taken for a usage")
	}
	if Usage(0).String() != "nothing" || len(Usage(0).Words()) != 0 {
		t.Error("no usage has words")
	}
}

// TestEveryFlagIsWritten holds the templates against the rule that each usage flag and its twin are explicit.
func TestEveryFlagIsWritten(t *testing.T) {
	show := func(attributes []cryptoki.Attribute) map[string]string {
		m := map[string]string{}
		for _, a := range attributes {
			m[a.Type.String()] = fmt.Sprintf("%x", a.Value)
		}
		return m
	}
	every := map[string]string{"CKA_TOKEN": "01", "CKA_LABEL": "6c", "CKA_ID": "69"}
	private := map[string]string{"CKA_PRIVATE": "01", "CKA_SENSITIVE": "01", "CKA_EXTRACTABLE": "00"}
	for name, c := range map[string]struct {
		tmpl                Template
		public, alsoPrivate map[string]string
	}{
		"RSA": {
			Template{Type: RSA, ModulusBits: 2048, PublicExponent: 65537, Usage: Sign},
			map[string]string{
				"CKA_PRIVATE": "00", "CKA_MODULUS_BITS": "0008000000000000", "CKA_PUBLIC_EXPONENT": "010001",
				"CKA_VERIFY": "01", "CKA_ENCRYPT": "00", "CKA_WRAP": "00",
			},
			map[string]string{"CKA_SIGN": "01", "CKA_DECRYPT": "00", "CKA_UNWRAP": "00"},
		},
		"AES": {
			Template{Type: Secret, Kind: AES, Bits: 256, Usage: Encrypt | Decrypt},
			nil,
			map[string]string{
				"CKA_VALUE_LEN": "2000000000000000", "CKA_ENCRYPT": "01", "CKA_DECRYPT": "01", "CKA_SIGN": "00", "CKA_VERIFY": "00",
				"CKA_WRAP": "00", "CKA_UNWRAP": "00", "CKA_DERIVE": "00",
			},
		},
		"generic": {
			Template{Type: Secret, Kind: Generic, Bits: 160, Usage: Verify},
			nil,
			map[string]string{
				"CKA_VALUE_LEN": "1400000000000000", "CKA_ENCRYPT": "00", "CKA_DECRYPT": "00", "CKA_SIGN": "00", "CKA_VERIFY": "01",
				"CKA_WRAP": "00", "CKA_UNWRAP": "00", "CKA_DERIVE": "00",
			},
		},
	} {
		c.tmpl.ID, c.tmpl.Label = []byte("i"), "l"
		kt, err := c.tmpl.row()
		if err != nil {
			t.Fatal(err)
		}
		public, secret := c.tmpl.attributes(kt)
		if c.public != nil {
			maps.Copy(c.public, every)
		}
		maps.Copy(c.alsoPrivate, every)
		maps.Copy(c.alsoPrivate, private)
		if got := show(secret); !maps.Equal(got, c.alsoPrivate) {
			t.Errorf("%s: private %v", name, got)
		}
		if got := show(public); !maps.Equal(got, c.public) {
			t.Errorf("%s: public %v", name, got)
		}
	}
}

func TestURI(t *testing.T) {
	token := TokenInfo{cryptoki.TokenInfo{Label: "my token;1", Serial: "12", Slot: 3, Flags: cryptoki.CKF_TOKEN_INITIALIZED}}
	text := FormatURI(token, "a b/ü", []byte{0, 'k', 0xff})
	if text != "pkcs11:token=my%20token%3B1;object=a%20b%2F%C3%BC;id=%00%6B%FF" {
		t.Error(text)
	}
	u, err := ParseURI(text)
	if err != nil || !u.Matches(token, false, "a b/ü", []byte{0, 'k', 0xff}) || u.Matches(token, false, "a b/ü", []byte("k")) || !u.Matches(token, true, "a b/ü", u.ID) {
		t.Errorf("%+v, %v", u, err)
	}
	for uri, secret := range map[string]bool{
		text + ";type=private": false, text + ";type=public": false, FormatSecretKeyURI(token, "a b/ü", u.ID): true,
	} {
		u, err := ParseURI(uri)
		if err != nil || !u.Matches(token, secret, "a b/ü", u.ID) || u.Matches(token, !secret, "a b/ü", u.ID) {
			t.Errorf("%s is %+v, %v", uri, u, err)
		}
	}
	for name, c := range map[string]struct {
		uri string
		ok  bool
	}{
		"a key by its ID":                {"pkcs11:id=%6b", true},
		"scheme in capitals":             {"PKCS11:id=%6b", true},
		"a type that is half a pair":     {"pkcs11:object=a;type=private", true},
		"a slot ID":                      {"pkcs11:slot-id=3;id=k", true},
		"another scheme":                 {"file:id=%6b", false},
		"a secret key":                   {"pkcs11:object=a;type=secret-key", true},
		"a type that is no key's":        {"pkcs11:object=a;type=cert", false},
		"an attribute twice":             {"pkcs11:id=a;id=b", false},
		"an attribute not understood":    {"pkcs11:library-manufacturer=x", false},
		"a broken percent":               {"pkcs11:id=%6", false},
		"no value":                       {"pkcs11:id", false},
		"an empty ID":                    {"pkcs11:id=", false},
		"a module, which is configured":  {"pkcs11:id=a?module-path=/x", false},
		"nothing at all":                 {"", false},
		"a PIN":                          {"pkcs11:id=a?pin-value=seecret", false},
		"a PIN where none can be":        {"pkcs11:id=a;pin-value=seecret", false},
		"a PIN's source":                 {"pkcs11:id=a?PIN-SOURCE=/seecret", false},
		"a slot ID that is not a number": {"pkcs11:slot-id=x", false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseURI(c.uri)
			if (err == nil) != c.ok {
				t.Errorf("got %v", err)
			}
			if strings.Contains(fmt.Sprint(err), "seecret") {
				t.Errorf("the PIN is in the error: %v", err)
			}
		})
	}
}

func FuzzURI(f *testing.F) {
	for _, s := range []string{"pkcs11:id=%6b", "pkcs11:token=a;object=b;id=c", "pkcs11:slot-id=0x1?", "pkcs11:;;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseURI(s)
		if err != nil || u.ID == nil || u.Object == nil {
			return
		}
		again, err := ParseURI(FormatURI(TokenInfo{}, *u.Object, u.ID))
		if err != nil || !bytes.Equal(again.ID, u.ID) || *again.Object != *u.Object {
			t.Errorf("%q is written as what reads as %+v, %v", s, again, err)
		}
	})
}

func TestParseSlot(t *testing.T) {
	for in, want := range map[string]uint{"0": 0, "10": 10, "0x1F": 31, "0X10": 16, "010": 10} {
		if got, err := ParseSlot(in); err != nil || got != want {
			t.Errorf("%s is %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "-1", "0x", "one", "1.5", "0x1g"} {
		if _, err := ParseSlot(in); err == nil {
			t.Errorf("%q is a slot ID", in)
		}
	}
}

func TestAPINIsNeverPrinted(t *testing.T) {
	pin := NewPIN("seecret")
	asJSON, err := json.Marshal(map[string]any{"pin": pin})
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%v %+v %#v %s %q %x %d", pin, pin, pin, pin, pin, pin, pin) + string(asJSON) + fmt.Sprintf("%+v", Config{PIN: pin})
	if strings.Contains(text, "seecret") || strings.Contains(text, "73656563") {
		t.Error(text)
	}
	if !NewPIN("").IsZero() || pin.IsZero() {
		t.Error("which PIN is none?")
	}
}

// FuzzDecode reads objects of hostile bytes: an error or an object, never a panic, and never another's ID.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{3, 0, 0, 0, 0, 0, 0, 0}, []byte{0, 0, 0, 0, 0, 0, 0, 0}, []byte("id"), []byte{1}, []byte{0xc5}, []byte{1, 0, 1})
	f.Fuzz(func(t *testing.T, class, ckk, id, flag, modulus, exponent []byte) {
		o := decode(7, cryptoki.Attributes{
			cryptoki.CKA_CLASS: class, cryptoki.CKA_KEY_TYPE: ckk, cryptoki.CKA_ID: id, cryptoki.CKA_SIGN: flag,
			cryptoki.CKA_MODULUS: modulus, cryptoki.CKA_PUBLIC_EXPONENT: exponent,
		})
		if o.err == nil && (len(class) != 8 || len(flag) != 1 || !bytes.Equal(o.id, id)) {
			t.Errorf("taken for good: %+v", o)
		}
		_, _ = choose([]object{o, o}, Ref{ID: id}, nil)
		for i := range keyTypes {
			_ = keyTypes[i].fingerprint(o)
		}
	})
}

// TestRental plays out lookups at known costs: whatever their number, what is spent is at most twice the cheaper
// of searching always and of taking the snapshot at once, but for the first search and the count.
func TestRental(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		lookups, objects   int
		search, list, read time.Duration
		wantTaken          bool
	}{
		"three keys among fifty thousand on a network HSM": {lookups: 3, objects: 50_000, search: 6 * ms, list: ms, read: ms},
		"ten thousand of ten thousand on SoftHSM":          {lookups: 10_000, objects: 20_000, search: 400 * ms, list: 400 * ms, read: ms / 50, wantTaken: true},
		"a hundred of a hundred":                           {lookups: 100, objects: 200, search: 6 * ms, list: ms, read: ms, wantTaken: true},
		"one key":                                          {lookups: 1, objects: 10, search: 6 * ms, list: ms, read: ms},
	} {
		t.Run(name, func(t *testing.T) {
			var r rental
			var spent time.Duration
			taken := false
			r.waiting = 1
			for range c.lookups {
				if taken {
					break
				}
				switch step := r.next(); step {
				case count:
					spent += c.list
					r.counted(c.objects, c.list)
					if r.next() != take {
						spent += c.search
						r.searched(c.search, 2, 2*c.read)
						continue
					}
					fallthrough
				case take:
					spent += c.list + time.Duration(c.objects)*c.read
					taken = true
				default:
					spent += c.search
					r.searched(c.search, 2, 2*c.read)
				}
			}
			direct, snapshot := time.Duration(c.lookups)*c.search, c.list+time.Duration(c.objects)*c.read
			if most := 2*min(direct, snapshot) + 2*(c.search+c.list); spent > most {
				t.Errorf("%s spent, where searching costs %s and the snapshot %s", spent, direct, snapshot)
			}
			if taken != c.wantTaken {
				t.Errorf("snapshot taken: %t", taken)
			}
		})
	}
}

func TestErrorsAreFoundByTheirSentinels(t *testing.T) {
	for sentinel, err := range map[error]error{
		ErrExists:    &ExistsError{ID: []byte("a"), Objects: []Object{{Class: "public key", Type: "RSA", ID: []byte("a")}}},
		ErrAmbiguous: &AmbiguousError{},
		ErrHalfPair:  &HalfPairError{},
		ErrLibrary:   &LibraryError{},
		ErrNoToken:   &TokenError{},
		ErrMechanism: &MechanismError{},
		ErrMalformed: &MalformedError{},
	} {
		wrapped := &OperationError{Operation: "generate", Err: err}
		if !errors.Is(wrapped, sentinel) || errors.Is(wrapped, ErrNotFound) {
			t.Errorf("%T is not found by %v", err, sentinel)
		}
	}
	for h := HoldsUnknown; h <= HoldsOther; h++ {
		if h.String() == "" {
			t.Errorf("holding %d has no words", h)
		}
	}
}
