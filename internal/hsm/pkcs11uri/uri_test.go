package pkcs11uri

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

func TestURI(t *testing.T) {
	token := cryptoki.TokenInfo{Label: "my token;1", Serial: "12", Slot: 3, Flags: cryptoki.CKF_TOKEN_INITIALIZED}
	const label = "a b/ü"
	id := []byte{0, 'k', 0xff}
	for _, c := range []struct {
		keyType string
		label   string
		id      []byte
		uri     string
	}{
		{Private, label, id, "pkcs11:token=my%20token%3B1;id=%00%6B%FF"},
		{Public, label, id, "pkcs11:token=my%20token%3B1;id=%00%6B%FF"},
		{SecretKey, label, id, "pkcs11:token=my%20token%3B1;id=%00%6B%FF;type=secret-key"},
		{Private, label, nil, "pkcs11:token=my%20token%3B1;object=a%20b%2F%C3%BC;type=private"},
		{Public, label, nil, "pkcs11:token=my%20token%3B1;object=a%20b%2F%C3%BC;type=public"},
		{SecretKey, label, nil, "pkcs11:token=my%20token%3B1;object=a%20b%2F%C3%BC;type=secret-key"},
		{Private, "", id, "pkcs11:token=my%20token%3B1;id=%00%6B%FF"},
		{Private, "", nil, ""},
	} {
		text := Format(token, c.keyType, c.label, c.id)
		if text != c.uri {
			t.Errorf("it is %s, not %s", text, c.uri)
		}
		if text == "" {
			continue
		}
		secret := c.keyType == SecretKey
		u, err := Parse(text)
		if err != nil || !u.Matches(token, secret, c.label, c.id) || u.Matches(token, secret, "else", []byte("k")) ||
			u.Matches(token, !secret, c.label, c.id) && (secret || c.id == nil) {
			t.Errorf("%s is %+v, %v", text, u, err)
		}
		if c.id != nil && !u.Matches(token, secret, "another label", c.id) {
			t.Errorf("%s hangs on the label", text)
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
		"a PIN, encoded":                 {"pkcs11:id=a;pin%2Dvalue=seecret", false},
		"a PIN, encoded twice":           {"pkcs11:id=a%253Bpin-value%253Dseecret", false},
		"a PIN in another spelling":      {"pkcs11:id=a;PIN_VALUE=seecret", false},
		"a PIN by a short name":          {"pkcs11:id=a;pin=seecret", false},
		"a label with a pin that equals": {"pkcs11:object=spin=2", true},
		"a PIN without its equals sign":  {"pkcs11:id=a;pin-value:seecret", false},
		"a PIN behind a blank":           {" pkcs11:id=a?pin-value=seecret", false},
		"a PIN behind an encoded colon":  {"pkcs11%3aid=a?pin-value=seecret", false},
		"a PIN as an attribute":          {"pkcs11:seecret=a", false},
		"a PIN as a type":                {"pkcs11:id=a;type=seecret", false},
		"a PIN as a slot ID":             {"pkcs11:id=a;slot-id=seecret", false},
		"a PIN that is badly encoded":    {"pkcs11:id=a;object=seecret%zz", false},
		"a label that speaks of pins":    {"pkcs11:object=pin-board", true},
		"a slot ID that is not a number": {"pkcs11:slot-id=x", false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(c.uri)
			if (err == nil) != c.ok {
				t.Errorf("got %v", err)
			}
			if strings.Contains(fmt.Sprint(err), "seecret") {
				t.Errorf("the PIN is in the error: %v", err)
			}
		})
	}
}

func TestAPINIsTheReason(t *testing.T) {
	for uri, is := range map[string]bool{
		"pkcs11:id=a?pin=1": true, "pkcs11:id=a;pin=1": true, "pkcs11:id=a; PIN =1": true, "pkcs11:id=a;pin_value=1": true,
		"pkcs11:id=a;pin--value=1": true, "pkcs11:id=a?pin%5Fsource%3D1": true, "pkcs11:id=a?pinned": true,
		"pkcs11:id=a;spin=1": false, "pkcs11:id=a;object=pin;b=1": false, "pkcs11:object=a?module-name=b": false,
	} {
		if _, err := Parse(uri); errors.Is(err, ErrPIN) != is || err == nil {
			t.Errorf("%q: %v", uri, err)
		}
	}
}

func TestAnIDInHexWithoutPercentSignsIsSeen(t *testing.T) {
	for uri, says := range map[string]string{
		"pkcs11:id=6b31": `The id in this URI is the text "6b31". If it is meant as hexadecimal, write a % before each ` +
			`byte: id=%6B%31.`,
		"pkcs11:token=a;id=FF;object=b": `The id in this URI is the text "FF". If it is meant as hexadecimal, write a % ` +
			`before ` +
			`each byte: id=%FF.`,
		"pkcs11:id=%6b%31": "", "pkcs11:id=6b3": "", "pkcs11:id=key": "", "pkcs11:slot-id=12": "", "pkcs11:object=6b31": "",
		"pkcs11:id=dead-line": "", "pkcs11:id=dead-line;object=a": "",
	} {
		if have := HexHint(uri); have != says {
			t.Errorf("%q: %s", uri, have)
		}
	}
}

func TestAnErrorBeginsWithAWordOfOurs(t *testing.T) {
	for uri, says := range map[string]string{
		"pkcs11:":          "part 1 of the PKCS#11 URI is not of the form attribute=value, as in pkcs11:object=web;id=%6B31",
		"pkcs11:id=a;id=b": "the attribute id is in the PKCS#11 URI twice; leave one out",
		"pkcs11:id=":       "the id in the PKCS#11 URI has 0 bytes; a key ID has 1 to 255",
		"pkcs11:slot-id=x": "the slot-id in the PKCS#11 URI is not a number, decimal or hexadecimal with 0x in front",
		"pkcs11:type=x": "the type in the PKCS#11 URI names neither half of a key pair nor a secret key: it is public, " +
			"private or secret-key",
		"pkcs11:object=%zz": "the value of object in the PKCS#11 URI has a % without two hexadecimal digits behind it",
	} {
		if _, err := Parse(uri); err == nil || err.Error() != says {
			t.Errorf("%q: %v", uri, err)
		}
	}
}

func TestWhatWasMeantAsAURI(t *testing.T) {
	for text, meant := range map[string]bool{
		"pkcs11:id=a": true, " pkcs11:id=a": true, "\tPKCS11:id=a": true, "\u200bpkcs11:": true,
		"pkcs11%3aid=a": true, "%70kcs11%253Aid=a": true, "pkcs11 :id=a": true,
		"6b31": false, "pkcs11-signer/6b31": false, "web:pkcs11/6b31": false, "": false,
	} {
		if Meant(text) != meant {
			t.Errorf("%q was meant as a URI: %t", text, !meant)
		}
	}
}

func TestAURIOfAnEarlierVersionNamesTheKeyUntilItGetsAnotherLabel(t *testing.T) {
	token := cryptoki.TokenInfo{Label: "t"}
	pair := object.Key{ID: []byte("k1"), Label: "a b", PublicKey: struct{}{}}
	secret := object.Key{ID: []byte("k1"), Label: "a b"}
	for _, c := range []struct {
		uri   string
		key   object.Key
		names bool
	}{
		{"pkcs11:token=t;id=%6B%31", pair, true},
		{"pkcs11:token=t;object=a%20b;id=%6B%31", pair, true},
		{"pkcs11:token=t;object=a%20b;id=%6B%31;type=secret-key", secret, true},
		{"pkcs11:token=t;object=a%20b;id=%6B%31;type=secret-key", pair, false},
		{"pkcs11:token=t;object=b;id=%6B%31", pair, false},
		{"pkcs11:token=t;object=a%20b;id=%6B%32", pair, false},
		{"pkcs11:token=u;object=a%20b;id=%6B%31", pair, false},
		{"", pair, false},
		{"pkcs11:token=t;object=a%20b;type=private", object.Key{Label: "a b", PublicKey: struct{}{}}, true},
	} {
		if Names(c.uri, token, c.key) != c.names {
			t.Errorf("%q names %+v: %t", c.uri, c.key, !c.names)
		}
		if c.names && len(c.key.ID) > 0 && Unlabelled(c.uri) != Of(token, c.key) {
			t.Errorf("%q without its label is %s", c.uri, Unlabelled(c.uri))
		}
	}
}

func FuzzURI(f *testing.F) {
	for _, s := range []string{"pkcs11:id=%6b", "pkcs11:token=a;object=b;id=c", "pkcs11:slot-id=0x1?", "pkcs11:;;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := Parse(s)
		if err != nil || u.ID == nil || u.Object == nil {
			return
		}
		again, err := Parse(Format(cryptoki.TokenInfo{}, Private, *u.Object, u.ID))
		if err != nil || !bytes.Equal(again.ID, u.ID) || again.Object != nil {
			t.Errorf("%q is written as what reads as %+v, %v", s, again, err)
		}
		if *u.Object == "" {
			return
		}
		again, err = Parse(Format(cryptoki.TokenInfo{}, Public, *u.Object, nil))
		if err != nil || *again.Object != *u.Object {
			t.Errorf("%q is written as what reads as %+v, %v", s, again, err)
		}
	})
}
