package jwk

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// A JWK is of a known kind if [Parse] reads keys of its kty and crv, or its kty and alg. Of another kind, nobody here knows which members
// are private, so that names decide: those that look like a private or symmetric member are refused. They are in keys
// of known kinds too, since some libraries write a private key under names of their own.

// octetsOf are the lengths of x on curves of kty OKP that have no further support (RFC 8037, 2).
var octetsOf = map[string]int{"X25519": 32, "X448": 56, "Ed448": 57}

// symmetricKty are kinds of symmetric keys that are not registered, as [plain] writes them: the registered one is oct.
var symmetricKty = regexp.MustCompile(`^(oct(etsequence)?$|hmac|[ck]mac|aes|x?chacha|3?des[0-9]*$|tdes|camellia)`)

// symmetric are the algs of symmetric keys (RFC 7518, 3.1, 4.1 and 5.1; RFC 8152 and later ones follow the pattern).
var symmetric = regexp.MustCompile(`(?i)^(HS[0-9]|A[0-9]+(GCM|CBC|CTR|KW)|X?C20P|PBES|dir$)`)

// Parts of names, and whole words of names, that private and symmetric members have.
var (
	secretParts = []string{"priv", "prv", "secret", "seed", "passw", "passphrase", "symmetric", "expanded"}
	secretWords = append([]string{"sk", "skey", "pkcs8"}, secretMembers...)
)

// known says that a JWK is of a kind that [object.key] reads or refuses. A kty or crv, or an alg of kty AKP, that is only
// written otherwise than a known one is known too: it must not come past the checks of that kind.
func (o object) known(kty string) bool {
	if _, ok := keyTypes[kty]; !ok {
		return false
	}
	if kty == ktyAKP {
		alg, err := o.text("alg")
		return err != nil || alg == "" ||
			slices.ContainsFunc(publickey.ParameterSets(), func(set string) bool { return plain(set) == plain(alg) })
	}
	crv, err := o.text("crv")
	if kty == ktyRSA || err != nil || o["crv"] == nil {
		return true
	}
	_, err = publickey.ParseECParams([]byte(strings.TrimSpace(norm.NFKC.String(crv)))) // the curves' other names
	return err == nil ||
		slices.ContainsFunc(publickey.Curves(), func(name string) bool { return plain(name) == plain(crv) })
}

// checkUnknown refuses a JWK of an unknown kind that looks like a private or symmetric key, or that readers may read
// differently.
func (o object) checkUnknown(kty string) error {
	for name := range keyTypes {
		if kty != name && plain(kty) == plain(name) {
			return fmt.Errorf("its kty must be written %s", name)
		}
	}
	alg, err := o.text("alg")
	if err != nil {
		return err
	}
	if _, secret := secretName(kty); secret || symmetricKty.MatchString(plain(kty)) || symmetric.MatchString(alg) {
		return errors.New("its kty or alg is one of private or symmetric keys; only public keys belong here")
	}
	names := map[string]bool{}
	for name := range o {
		if names[fold(name)] {
			return errors.New("two names of its members differ in capital letters only, and some readers confuse them")
		}
		names[fold(name)] = true
	}
	if err := o.inspect(); err != nil {
		return err
	}
	switch kty {
	case ktyEC, ktyOKP:
		return o.checkCurve(kty)
	case ktyAKP:
		return o.onlyMembers(kty)
	}
	return nil
}

// checkCurve checks what can be checked of a key on a curve that is not known.
func (o object) checkCurve(kty string) error {
	if err := o.onlyMembers(kty); err != nil {
		return err
	}
	crv, err := o.text("crv")
	if err != nil {
		return err
	}
	x, err := o.octets("x")
	if err != nil {
		return err
	}
	y, err := o.octets("y")
	switch want := octetsOf[crv]; {
	case err != nil:
		return err
	case crv == "":
		return errors.New("its crv is empty")
	case len(x) == 0, kty == ktyOKP && want != 0 && len(x) != want:
		return fmt.Errorf("its x has %d bytes, and no key on %q has that many", len(x), crv)
	case kty == ktyEC && len(x) != len(y):
		return errors.New("its x and y do not have the same length")
	}
	return nil
}

// inspect refuses what no public key has, in whatever depth: a member that is named like one of a private or symmetric
// key, or a private key in PEM.
func (o object) inspect() error {
	names := slices.Sorted(maps.Keys(o))
	if err := inspectNames(names, true); err != nil {
		return err
	}
	for _, name := range names {
		if err := inspectJSON(string(o[name])); err != nil {
			return err
		}
	}
	return nil
}

// commonLetters are secret members of a key, but usual names of anything elsewhere.
var commonLetters = []string{"p", "q", "k"}

// inspectNames looks at the names of an object, which is a key if it looks like one, or the key itself.
func inspectNames(names []string, isKey bool) error {
	letters := 0
	for _, name := range names {
		if slices.Contains(commonLetters, fold(name)) {
			letters++
		}
		isKey = isKey || letters > 1 || fold(name) == "kty" || slices.Contains(keyMaterial, fold(name))
	}
	for _, name := range names {
		switch lower := fold(name); {
		case slices.Contains(commonLetters, lower) && !isKey:
			continue
		case slices.Contains(secretMembers, lower):
			return errSecret
		}
		if word, secret := secretName(name); secret {
			return fmt.Errorf("the name of a member has %q in it, as in private and symmetric keys; only public keys "+
				"belong here", word)
		}
	}
	return nil
}

func inspectJSON(text string) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber() // else a number that is too large for a float64 is an error
	var value any
	if err := decoder.Decode(&value); err != nil {
		return errors.New("it is not JSON")
	}
	return inspectValue(value)
}

func inspectValue(value any) error {
	switch value := value.(type) {
	case map[string]any:
		names := slices.Sorted(maps.Keys(value))
		if err := inspectNames(names, false); err != nil {
			return err
		}
		for _, name := range names {
			if err := inspectValue(value[name]); err != nil {
				return err
			}
		}
	case []any:
		for _, element := range value {
			if err := inspectValue(element); err != nil {
				return err
			}
		}
	case string:
		if strings.Contains(value, "PRIVATE KEY-----") {
			return errors.New("a member of it holds a private key in PEM; only public keys belong here")
		}
		text := strings.TrimSpace(value)
		if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") { // a JWK in a string
			if !json.Valid([]byte(text)) {
				return nil
			}
			return inspectJSON(text)
		}
	}
	return nil
}

// secretName says that a name looks like that of a private or symmetric member, and what in it does. A number behind
// the whole name does not matter (k2), but one within it does: p256_pub has no p.
func secretName(name string) (word string, secret bool) {
	for _, part := range secretParts {
		if strings.Contains(plain(name), part) {
			return part, true
		}
	}
	for _, word := range append(words(name), strings.TrimFunc(plain(name), unicode.IsDigit)) {
		if slices.Contains(secretWords, word) {
			return word, true
		}
	}
	return "", false
}

// words are the words of a name such as x-priv, x_priv, xPriv or XPriv.
func words(name string) (all []string) {
	start := true // of a word
	var before rune
	for _, r := range norm.NFKC.String(name) {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			start = true
			continue
		}
		if start = start || unicode.IsUpper(r) && !unicode.IsUpper(before); start {
			all = append(all, "")
		}
		all[len(all)-1] += fold(string(r))
		start, before = false, r
	}
	return all
}

// plain are the letters and digits of a name, folded.
func plain(name string) string { return strings.Join(words(name), "") }

// fold is a name as readers see it that do not tell capital letters from small ones, nor a letter from its compatible
// forms: encoding/json takes the long s and the Kelvin sign for s and k.
func fold(name string) string { return strings.ToLower(norm.NFKC.String(name)) }
