// Package pkcs11uri reads and writes PKCS#11 URIs (RFC 7512) that name keys. It makes no calls.
package pkcs11uri

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// URI is a PKCS#11 URI (RFC 7512) that names keys. What is nil or empty matches everything.
type URI struct {
	Token, Serial, Manufacturer, Model, Object *string
	ID                                         []byte
	Slot                                       *uint
	Type                                       string // Public or Private, either half of a pair; SecretKey; "": any
}

// ErrPIN says that a URI has a PIN in it. It does not repeat the URI.
var ErrPIN = errors.New("a PKCS#11 URI is public, so a PIN in it is refused: remove pin-value or pin-source, and " +
	"change that PIN if the URI has been written down anywhere")

// HasPIN says that a text has a PIN, or the place of one, as an attribute of a PKCS#11 URI: one that Parse reads, or
// one that was meant to be such, with a blank in front or encoded once more. Such a text is not to be repeated.
func HasPIN(s string) bool { return pinAttribute.MatchString(decoded(s)) }

var pinAttribute = regexp.MustCompile(`(?i)(pin[^a-z0-9]*(value|source)|[;?&]\s*pin[^a-z0-9=]*)\s*=`)

// MayHavePIN says that something in a text may be a PIN, although [Parse] may have another reason to refuse the text.
// Whoever tells of such a text does not show it.
func MayHavePIN(s string) bool { return mayBePIN.MatchString(decoded(s)) }

var mayBePIN = regexp.MustCompile(`(?i)pin[^a-z0-9]*(value|source|[=:])`)

// Meant says that a text was meant as a PKCS#11 URI, also with a blank in front, or encoded once more.
func Meant(s string) bool {
	s = strings.TrimLeftFunc(decoded(s), func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' })
	scheme, _, ok := strings.Cut(s, ":")
	return ok && strings.EqualFold(strings.TrimSpace(scheme), "pkcs11")
}

// decoded decodes as often as there is something to decode, and leaves what is badly encoded.
func decoded(s string) string {
	for {
		next := encoded.ReplaceAllStringFunc(s, func(c string) string {
			n, _ := strconv.ParseUint(c[1:], 16, 8) // two hex digits
			return string([]byte{byte(n)})
		})
		if next == s {
			return s
		}
		s = next
	}
}

var encoded = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// Parse reads a `pkcs11:` URI. It refuses attributes that it cannot match, such as those of the library, instead of
// ignoring them. It also refuses the query part: that says which module to load, which is the provider's configuration
// to say. Its errors repeat no value of the URI, since a PIN may be anywhere in one that is badly written.
func Parse(s string) (URI, error) {
	var u URI
	if HasPIN(s) {
		return u, ErrPIN
	}
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || !strings.EqualFold(scheme, "pkcs11") {
		return u, errors.New("a PKCS#11 URI starts with \"pkcs11:\", as in pkcs11:object=web;id=%6B31 (RFC 7512)")
	}
	path, query, hasQuery := strings.Cut(rest, "?")
	if strings.Contains(strings.ToLower(query), "pin") {
		return u, ErrPIN
	}
	if hasQuery {
		return u, errors.New("leave out the part after \"?\" of the PKCS#11 URI: the provider's configuration says " +
			"which module to load")
	}
	seen := map[string]bool{}
	n := 0
	for part := range strings.SplitSeq(path, ";") {
		n++
		name, raw, ok := strings.Cut(part, "=")
		if !ok {
			return u, fmt.Errorf("part %d of the PKCS#11 URI is not of the form attribute=value, as in "+
				"pkcs11:object=web;id=%%6B31", n)
		}
		if !slices.Contains(attributes, name) {
			return u, fmt.Errorf("the attribute in part %d of the PKCS#11 URI is not supported: use %s or %s", n,
				strings.Join(attributes[:len(attributes)-1], ", "), attributes[len(attributes)-1])
		}
		value, err := url.PathUnescape(raw)
		if err != nil {
			return u, fmt.Errorf("the value of %s in the PKCS#11 URI has a %% without two hexadecimal digits behind it", name)
		}
		if seen[name] {
			return u, fmt.Errorf("the attribute %s is in the PKCS#11 URI twice; leave one out", name)
		}
		seen[name] = true
		if err := u.set(name, value); err != nil {
			return u, err
		}
	}
	return u, nil
}

// attributes are those that a URI may have here.
var attributes = []string{"token", "serial", "manufacturer", "model", "slot-id", "object", "id", "type"}

func (u *URI) set(name, value string) error {
	texts := map[string]**string{
		"token": &u.Token, "serial": &u.Serial, "manufacturer": &u.Manufacturer, "model": &u.Model, "object": &u.Object,
	}
	if text, ok := texts[name]; ok {
		*text = &value
		return nil
	}
	switch name {
	case "id":
		if value == "" || len(value) > object.MaxIDLength {
			return fmt.Errorf("the id in the PKCS#11 URI has %d bytes; a key ID has 1 to %d", len(value), object.MaxIDLength)
		}
		u.ID = []byte(value)
	case "slot-id":
		slot, err := cryptoki.ParseSlot(value)
		if err != nil {
			return errors.New("the slot-id in the PKCS#11 URI is not a number, decimal or hexadecimal with 0x in front")
		}
		u.Slot = &slot
	case "type":
		if value != Public && value != Private && value != SecretKey {
			return errors.New("the type in the PKCS#11 URI names neither half of a key pair nor a secret key: it is public, " +
				"private or " + SecretKey)
		}
		u.Type = value
	}
	return nil
}

// HexHint says of a URI that names no key why that may be: its ID is hex without the % that belongs before each byte.
// It is a full sentence; "" where the ID looks right.
func HexHint(uri string) string {
	match := bareHex.FindStringSubmatch(uri)
	if match == nil {
		return ""
	}
	id, err := hex.DecodeString(match[1])
	if err != nil {
		return ""
	}
	var b strings.Builder
	escape(&b, id, true)
	return fmt.Sprintf("The id in this URI is the text %q. If it is meant as hexadecimal, write a %% before each byte: "+
		"id=%s.",
		match[1], b.String())
}

var bareHex = regexp.MustCompile(`[:;]id=([0-9A-Fa-f]+)(?:;|$)`)

// Matches says that the URI names the key of that label and ID on that token. The key may be a pair, one half of a
// pair, or a secret key.
func (u URI) Matches(token cryptoki.TokenInfo, secret bool, label string, id []byte) bool {
	is := func(want *string, have string) bool { return want == nil || *want == have }
	return u.MatchesToken(token) && is(u.Object, label) && (u.ID == nil || bytes.Equal(u.ID, id)) &&
		(u.Type == "" || secret == (u.Type == SecretKey))
}

// MatchesToken says that the URI may name keys of that token.
func (u URI) MatchesToken(token cryptoki.TokenInfo) bool {
	is := func(want *string, have string) bool { return want == nil || *want == have }
	return is(u.Token, token.Label) && is(u.Serial, token.Serial) && is(u.Manufacturer, token.Manufacturer) &&
		is(u.Model, token.Model) && (u.Slot == nil || *u.Slot == token.Slot)
}

// The types of what has a URI (RFC 7512, 2.3): a private half, or a pair by it; a public half; a secret key.
const (
	Private   = "private"
	Public    = "public"
	SecretKey = "secret-key"
)

// Format writes the PKCS#11 URI of a key: its token's label and its ID, with the type of a secret key. Labels change,
// and what refers to a key by its URI should not change with them: so the key's label is only there where it has no ID,
// and then with the type, since a label says less. A key with neither has no URI: "". The URI has no serial number,
// since a replica of the token has another one, and it has no PIN.
func Format(token cryptoki.TokenInfo, keyType, label string, id []byte) string {
	if len(id) == 0 && label == "" {
		return ""
	}
	var b strings.Builder
	b.WriteString("pkcs11:token=")
	escape(&b, []byte(token.Label), false)
	if len(id) > 0 {
		b.WriteString(";id=")
		escape(&b, id, true)
	} else {
		b.WriteString(";object=")
		escape(&b, []byte(label), false)
	}
	if len(id) == 0 || keyType == SecretKey {
		b.WriteString(";type=" + keyType)
	}
	return b.String()
}

// OfCertificate is the PKCS#11 URI of the certificates of an ID.
func OfCertificate(token cryptoki.TokenInfo, id []byte) string {
	return Format(token, Private, "", id) + ";type=cert"
}

// Of is the key's PKCS#11 URI.
func Of(token cryptoki.TokenInfo, key object.Key) string {
	if key.PublicKey == nil {
		return Format(token, SecretKey, key.Label, key.ID)
	}
	return Format(token, Private, key.Label, key.ID)
}

// Names says that a text is the URI of the key: one of Of, or of an earlier version, whose URIs had the key's label
// too.
func Names(uri string, token cryptoki.TokenInfo, key object.Key) bool {
	return uri == Of(token, key) || len(key.ID) > 0 && Unlabelled(uri) == Of(token, key) && labelled(uri, key.Label)
}

func labelled(uri, label string) bool {
	u, err := Parse(uri)
	return err == nil && u.Object != nil && *u.Object == label
}

// Unlabelled is the URI without the key's label, which those of earlier versions have.
func Unlabelled(uri string) string { return objectAttribute.ReplaceAllString(uri, "") }

var objectAttribute = regexp.MustCompile(`;object=[^;]*`)

// escape percent-encodes all bytes of an ID, as RFC 7512 advises, and of other values the bytes that are not
// unreserved.
func escape(b *strings.Builder, value []byte, all bool) {
	for _, c := range value {
		if !all && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0) {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(b, "%%%02X", c)
	}
}
