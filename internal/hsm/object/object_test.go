package object

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
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

// TestEveryFlagIsWritten checks that templates set each usage flag of both halves, true or false.
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
				"CKA_VERIFY": "01", "CKA_ENCRYPT": "00", "CKA_WRAP": "00", "CKA_DERIVE": "00", "CKA_VERIFY_RECOVER": "00",
			},
			map[string]string{
				"CKA_SIGN": "01", "CKA_DECRYPT": "00", "CKA_UNWRAP": "00", "CKA_DERIVE": "00", "CKA_SIGN_RECOVER": "00",
			},
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
		spec, err := c.tmpl.Spec()
		if err != nil {
			t.Fatal(err)
		}
		public, secret := c.tmpl.Attributes(spec, quirk.Differences{})
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

// FuzzDecode reads objects of hostile bytes: an error or an object, never a panic, and never another's ID.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{3, 0, 0, 0, 0, 0, 0, 0}, []byte{0, 0, 0, 0, 0, 0, 0, 0}, []byte("id"), []byte{1}, []byte{0xc5}, []byte{1, 0, 1})
	f.Fuzz(func(t *testing.T, class, ckk, id, flag, modulus, exponent []byte) {
		o := Decode(7, cryptoki.Attributes{
			cryptoki.CKA_CLASS: class, cryptoki.CKA_KEY_TYPE: ckk, cryptoki.CKA_ID: id, cryptoki.CKA_SIGN: flag,
			cryptoki.CKA_MODULUS: modulus, cryptoki.CKA_PUBLIC_EXPONENT: exponent,
		}, quirk.Differences{})
		if o.Err == nil && (len(class) != 8 || len(flag) != 1 || !bytes.Equal(o.ID, id)) {
			t.Errorf("taken for good: %+v", o)
		}
		_, _ = Choose([]Object{o, o}, Ref{ID: id}, nil)
		for i := range specs {
			_ = specs[i].Fingerprint(o)
		}
	})
}

func TestEveryAttributeHasAPlace(t *testing.T) {
	if most := 64 * len(Set{}); len(Attributes) > most {
		t.Fatalf("a Set has places for %d attributes, and there are %d: make it longer", most, len(Attributes))
	}
	var all Set
	for i, a := range Attributes {
		if all.Has(a) {
			t.Errorf("%s has no place of its own", a)
		}
		all.add(a)
		if !all.Has(a) || all.Len() != i+1 {
			t.Errorf("%s is not in the set", a)
		}
	}
	var first Set
	first.add(Attributes[0])
	if rest := all.Without(first); rest.Len() != len(Attributes)-1 || rest.Has(Attributes[0]) || rest.With(first) != all {
		t.Errorf("without %s there are %v", Attributes[0], rest)
	}
}

// TestReadLeavesOutWhatSaysNothing: CKA_MODIFIABLE is read, unless the token's says nothing.
func TestReadLeavesOutWhatSaysNothing(t *testing.T) {
	for no, d := range map[bool]quirk.Differences{false: {}, true: {NoModifiable: true}} {
		if slices.Contains(Read(d), cryptoki.CKA_MODIFIABLE) == no {
			t.Errorf("%+v: it is read: %t", d, no)
		}
	}
}
