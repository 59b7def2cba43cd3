package jwk

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// secretMembers hold, or may hold, what must stay secret (RFC 7518, 6.2.2, 6.3.2 and 6.4; RFC 9964 for priv). They are
// refused with every kty, and in capital letters too, since some readers (encoding/json) take D for d. See secretName
// for kinds of key that are not known.
var secretMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}

// keyTypes says for each kty which members make the key, and reads them.
var keyTypes = map[string]struct {
	members []string
	read    func(object) (crypto.PublicKey, error)
}{
	ktyRSA: {[]string{"n", "e"}, readRSA},
	ktyEC:  {[]string{"crv", "x", "y"}, readEC},
	ktyOKP: {[]string{"crv", "x"}, readOKP},
	ktyAKP: {[]string{"pub"}, readAKP}, // and alg, which other keys have too
}

// Members that make a key, of every kty together, and members that every JWK may have and Key has too.
var (
	keyMaterial   = []string{"n", "e", "crv", "x", "y", "pub"}
	commonMembers = []string{"use", "kty", "kid", "alg"}
)

// Parse reads a public JWK. The JSON must be one object with nothing behind it, and name no member twice. Base64url
// must be unpadded, coordinates must have full width, and points must lie on their curve. Parse ignores members that
// Key does not have, but refuses private and symmetric ones.
func Parse(text string) (Key, error) {
	o, err := parseObject(text)
	if err != nil {
		return Key{}, err
	}
	if _, ok := o["keys"]; ok {
		return Key{}, errors.New("it is a JWK Set, and not a JWK; give one of its keys")
	}
	return o.key()
}

// object is a JSON object. The values of its members are as they were written.
type object map[string]json.RawMessage

// parseObject reads a text that is one JWK or JWK Set, as far as it is one JSON object. No object in it may name a
// member twice.
func parseObject(text string) (object, error) {
	syntax := json.Unmarshal([]byte(text), new(json.RawMessage))
	if syntax != nil && strings.Contains(text, "-----BEGIN ") && !strings.HasPrefix(strings.TrimSpace(text), "{") {
		return nil, errors.New("it is PEM, and not a JWK; the function pem_to_jwk makes a JWK of a public key")
	}
	return parseJSON(text, isJWK)
}

// parseJSON reads a text that is one JSON object. No object in it may name a member twice. instead is what to give
// where it is none.
func parseJSON(text, instead string) (object, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("it is not UTF-8")
	}
	var o object
	err := json.Unmarshal([]byte(text), &o)
	var wrongType *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case strings.TrimSpace(text) == "":
		return nil, errors.New("it is empty; " + instead)
	case errors.As(err, &wrongType), err == nil && o == nil: // null
		return nil, errors.New("it is JSON, but not an object; " + instead)
	case errors.As(err, &syntax):
		return nil, fmt.Errorf("it is not JSON from byte %d on; %s", syntax.Offset, instead)
	case err != nil:
		return nil, errors.New("it is not JSON; " + instead)
	}
	return o, uniqueMembers(text)
}

// isJWK says what belongs where something else is.
const isJWK = "give a JWK as text, such as the attribute jwk of a key pair, or jsonencode({ kty = ... })"

// uniqueMembers walks through valid JSON and refuses an object that names a member twice. Readers differ in what they
// make of such an object, so they may see different keys.
func uniqueMembers(text string) error {
	type level struct {
		names map[string]bool // nil in an array
		value bool            // the next token is a value, not a name
	}
	levels := []level{{}} // the outermost level is not an object
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber() // else a number that is too large for a float64 ends the walk
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errors.New("it is not JSON")
		}
		top := &levels[len(levels)-1]
		switch token {
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:len(levels)-1]
			continue
		}
		if name, ok := token.(string); ok && top.names != nil && !top.value {
			if top.names[name] {
				return errors.New("an object in it names a member twice; leave one out")
			}
			top.names[name], top.value = true, true
			continue
		}
		top.value = false
		switch token {
		case json.Delim('{'):
			levels = append(levels, level{names: map[string]bool{}})
		case json.Delim('['):
			levels = append(levels, level{})
		}
	}
}

var errSecret = errors.New("it has a member of a private or symmetric key; only public keys belong here")

// kind checks what is common to all JWKs, and gives the kty.
func (o object) kind() (kty string, err error) {
	for name := range o {
		lower := fold(name)
		switch public := slices.Contains(keyMaterial, lower) || slices.Contains(commonMembers, lower); {
		case slices.Contains(secretMembers, lower):
			return "", errSecret
		case public && name != lower:
			return "", fmt.Errorf("the name of its member %s has capital letters, and some readers confuse that; write it "+
				"in small ones", lower)
		}
	}
	kty, err = o.text("kty")
	switch {
	case err != nil:
		return "", err
	case o["kty"] == nil:
		return "", errors.New("it has no kty, such as RSA, EC, OKP or AKP")
	case kty == "oct":
		return "", errors.New("it is a symmetric key; only public keys belong here")
	}
	return kty, nil
}

// key reads a JWK of a known kind.
func (o object) key() (Key, error) {
	kty, err := o.kind()
	if err != nil {
		return Key{}, err
	}
	keyType, ok := keyTypes[kty]
	if !ok {
		return Key{}, errors.New("its kty must be RSA, EC, OKP or AKP")
	}
	if err := o.onlyMembers(kty); err != nil {
		return Key{}, err
	}
	pub, err := keyType.read(o)
	if err != nil {
		return Key{}, err
	}
	key := Key{PublicKey: pub}
	for name, value := range map[string]*string{"kid": &key.KID, "use": &key.Use, "alg": &key.Alg} {
		*value, err = o.text(name)
		if err != nil {
			return Key{}, err
		}
	}
	return key, nil
}

// onlyMembers is an error where a JWK does not have the key members of a known kty, or has those of another.
func (o object) onlyMembers(kty string) error {
	members := keyTypes[kty].members
	for _, name := range keyMaterial {
		if _, has := o[name]; has != slices.Contains(members, name) {
			return fmt.Errorf("a JWK with kty %s has the key members %s, and no others", kty,
				strings.Join(members, ", "))
		}
	}
	return nil
}

// text is a member that is a string, "" where it is absent.
func (o object) text(name string) (string, error) {
	value, ok := o[name]
	if !ok {
		return "", nil
	}
	var text *string
	if err := json.Unmarshal(value, &text); err != nil || text == nil {
		return "", fmt.Errorf("its %s is not a string", name)
	}
	return *text, nil
}

// octets is a member that is unpadded base64url.
func (o object) octets(name string) ([]byte, error) {
	text, err := o.text(name)
	if err != nil {
		return nil, err
	}
	octets, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") { // which the decoder ignores
		return nil, fmt.Errorf("its %s is not base64url without padding", name)
	}
	return octets, nil
}

func readRSA(o object) (crypto.PublicKey, error) {
	n, err := o.octets("n")
	if err != nil {
		return nil, err
	}
	e, err := o.octets("e")
	if err != nil {
		return nil, err
	}
	pub, err := publickey.NewRSA(n, e)
	if err != nil {
		return nil, err
	}
	return pub, nil
}

func readEC(o object) (crypto.PublicKey, error) {
	crv, err := o.text("crv")
	if err != nil {
		return nil, err
	}
	x, err := o.octets("x")
	if err != nil {
		return nil, err
	}
	y, err := o.octets("y")
	if err != nil {
		return nil, err
	}
	if len(x) != len(y) {
		return nil, errors.New("its x and y do not have the same length")
	}
	return publickey.NewEC(crv, slices.Concat([]byte{4}, x, y))
}

func readOKP(o object) (crypto.PublicKey, error) {
	crv, err := o.text("crv")
	if err != nil {
		return nil, err
	}
	x, err := o.octets("x")
	if err != nil {
		return nil, err
	}
	if crv != publickey.Ed25519 {
		return nil, errors.New("its crv must be Ed25519, the only one that is supported for kty OKP")
	}
	return publickey.NewEC(crv, x)
}

func readAKP(o object) (crypto.PublicKey, error) {
	alg, err := o.text("alg")
	if err != nil {
		return nil, err
	}
	if !slices.Contains(publickey.ParameterSets(), alg) {
		return nil, fmt.Errorf("its alg must be one of %s, the only ones that are supported for kty AKP",
			strings.Join(publickey.ParameterSets(), ", "))
	}
	pub, err := o.octets("pub")
	if err != nil {
		return nil, err
	}
	return publickey.NewMLDSA(alg, pub)
}
