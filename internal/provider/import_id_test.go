package provider

import (
	"bytes"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
)

func TestParseImportID(t *testing.T) {
	label := func(s string) *string { return &s }
	long := strings.Repeat("ab", 255)
	cases := []struct {
		name, text string
		id         []byte
		label      *string
		uri        bool
		err        string // part of it; "": none

		fingerprint string
	}{
		{name: "a key ID", text: "6b31", id: []byte("k1")},
		{name: "a key ID in upper case", text: "6B31", id: []byte("k1")},
		{name: "a key ID of 255 bytes", text: long, id: bytes.Repeat([]byte{0xab}, 255)},
		{name: "a label and a key ID", text: "web/6b31", id: []byte("k1"), label: label("web")},
		{name: "a label with slashes", text: "team/web/6b31", id: []byte("k1"), label: label("team/web")},
		{name: "a label that looks like hex", text: "ab/6b31", id: []byte("k1"), label: label("ab")},
		{name: "an empty label", text: "/6b31", id: []byte("k1"), label: label("")},
		{name: "a key ID and a fingerprint", text: "6b31@AABB", id: []byte("k1"), fingerprint: "aabb"},
		{name: "a label with an @, a key ID and a fingerprint", text: "a@b/6b31@cc", id: []byte("k1"), label: label("a@b"),
			fingerprint: "cc"},
		{name: "no fingerprint after the @", text: "6b31@", err: "is not a fingerprint in hexadecimal"},
		{name: "a fingerprint that is no hex", text: "web/6b31@xyz", err: "is not a fingerprint in hexadecimal"},
		{name: "a fingerprint without a key ID", text: "@aabb", err: "at least one byte"},
		{name: "a URI", text: "pkcs11:object=web;id=%6B%31", id: []byte("k1"), uri: true},
		{name: "a URI without an ID", text: "pkcs11:object=web", uri: true},
		{name: "a URI with its scheme in other letters", text: "PKCS11:id=%6b1", id: []byte("k1"), uri: true},
		{name: "nothing", text: "", err: "at least one byte"},
		{name: "a label alone", text: "web/", err: "at least one byte"},
		{name: "no hex", text: "web", err: `"web" does not name a key`},
		{name: "half a byte", text: "6b3", err: "a digit of this one is missing: it has 3"},
		{name: "spaces around", text: " 6b31", err: "is not a hex digit"},
		{name: "a key ID of 256 bytes", text: long + "ab", err: "at most 255"},
		{name: "a label with a colon and no hex", text: "a:b/zz", err: "is not a hex digit"},
		{name: "a label with a colon", text: "a:b/6b31", id: []byte("k1"), label: label("a:b")},
		{name: "a URI with a PIN", text: "pkcs11:id=%01?pin-value=48151623", err: "a PIN in it is refused"},
		{name: "a URI with a PIN's file in its path", text: "pkcs11:id=%01;PIN-source=48151623", err: "a PIN in it is refused"},
		{name: "a URI with a PIN behind a blank", text: " pkcs11:id=%01?pin-value=48151623", err: "a PIN in it is refused"},
		{name: "a PIN and a key ID", text: "\tpkcs11:id=%01?pin-value=48151623/6b31", err: "a PIN in it is refused"},
		{name: "a PIN behind an encoded colon", text: "pkcs11%3Aid=%01?pin-value=48151623", err: "a PIN in it is refused"},
		{name: "a URI with a PIN in upper case", text: "PKCS11:ID=%01?PIN-VALUE=48151623", err: "a PIN in it is refused"},
		{name: "a PIN that is encoded", text: "pkcs11:id=%01?pin%2dvalue%3d48151623", err: "a PIN in it is refused"},
		{name: "a URI behind a blank", text: " pkcs11:id=%01;serial=48151623", err: "is nearly a PKCS#11 URI"},
		{name: "a URI behind a blank, with a key ID", text: " pkcs11:serial=48151623/6b31", err: "is nearly a PKCS#11 URI"},
		{name: "part of a URI", text: "id=%01;48151623", err: "it is not repeated here"},
		{name: "a word about a PIN", text: "PIN 48151623 /x", err: "it is not repeated here"},
		{name: "a label that speaks of PKCS#11", text: "pkcs11-signer/6b31", id: []byte("k1"), label: label("pkcs11-signer")},
		{name: "a URI of a module", text: "pkcs11:id=%01?module-path=/x.so", err: `leave out the part after "?"`},
		{name: "a URI that is badly encoded", text: "pkcs11:id=%0", err: "without two hexadecimal digits"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseImportID(c.text)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "48151623") {
					t.Fatalf("%q gives the error %v", c.text, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			same := (got.label == nil) == (c.label == nil) && (c.label == nil || *got.label == *c.label)
			if !bytes.Equal(got.id, c.id) || !same || (got.uri != nil) != c.uri || got.text != c.text ||
				got.fingerprint != c.fingerprint {
				t.Errorf("%q gives %+v", c.text, got)
			}
		})
	}
}

func FuzzParseImportID(f *testing.F) {
	for _, seed := range []string{"6b31", "web/6b31", "pkcs11:token=a;object=b;id=%00%ff", "pkcs11:", "/", "a/b/00", "pkcs11:id=%6B%31?pin-value=1", "\xff/00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseImportID(text)
		if err != nil {
			if got.id != nil || got.label != nil || got.uri != nil {
				t.Fatalf("%q fails, and gives %+v", text, got)
			}
			return
		}
		if got.text != text {
			t.Fatalf("%q gives the text %q", text, got.text)
		}
		if got.uri != nil {
			if strings.Contains(text, "?") || pkcs11uri.HasPIN(text) {
				t.Fatalf("%q has a query or a PIN", text)
			}
			return
		}
		if len(got.id) == 0 || len(got.id) > object.MaxIDLength {
			t.Fatalf("%q gives an ID of %d bytes", text, len(got.id))
		}
		again := object.FormatID(got.id)
		if got.fingerprint != "" {
			again += "@" + got.fingerprint
		}
		if got.label != nil {
			again = *got.label + "/" + again
		}
		if !strings.EqualFold(again, text) && again != text {
			t.Fatalf("%q comes back as %q", text, again)
		}
	})
}
