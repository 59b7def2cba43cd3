package jwk

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// JWT is a JSON Web Token (RFC 7519) that is to be signed.
type JWT struct {
	Alg    string // see Algorithms; it must fit the signer's key
	Type   string // typ; "" leaves it out
	KID    string // kid; "" leaves it out
	Header string // further members of the header, see CheckHeader; "" for none
	Claims string // see CheckClaims
	// From is iat and nbf, Until is exp, in whole seconds; where Until is zero, the claims alone say these.
	From, Until time.Time
}

// signing says how each alg for signatures signs (RFC 7518, 3.1; RFC 8037, 3.1; RFC 8812, 3.2; RFC 9864; RFC 9964).
var signing = map[string]crypto.SignerOpts{
	"RS256": crypto.SHA256, "RS384": crypto.SHA384, "RS512": crypto.SHA512,
	"PS256": pss(crypto.SHA256), "PS384": pss(crypto.SHA384), "PS512": pss(crypto.SHA512),
	"ES256": crypto.SHA256, "ES384": crypto.SHA384, "ES512": crypto.SHA512, "ES256K": crypto.SHA256,
	"EdDSA": crypto.Hash(0), "Ed25519": crypto.Hash(0),
	publickey.MLDSA44: crypto.Hash(0), publickey.MLDSA65: crypto.Hash(0), publickey.MLDSA87: crypto.Hash(0),
}

func pss(hash crypto.Hash) crypto.SignerOpts {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
}

// ownHeader are the members of a header that Header must not have: those that JWT's other fields say, and those that
// would have readers take another key, or the JWT for something else than a signed one (RFC 7515, 4.1; RFC 7797).
var ownHeader = map[string]string{
	"alg": "the algorithm has an argument of its own", "kid": "the kid has an argument of its own",
	"typ": "the type has an argument of its own", "jwk": "a reader that took its key from there would trust anybody",
	"crit": "there are no extensions that a reader must know", "b64": "the claims of a JWT are always in base64url",
	"enc": "a JWT here is signed and not encrypted", "zip": "a JWT here is signed and not compressed",
}

// registered are the claims whose values have a form (RFC 7519, 4.1).
var registered = map[string]struct {
	form string
	fits func(any) bool
}{
	"iss": {"a string", isText}, "sub": {"a string", isText}, "jti": {"a string", isText},
	"aud": {"a string or a list of strings", func(v any) bool {
		list, ok := v.([]any)
		return isText(v) || ok && !slices.ContainsFunc(list, func(v any) bool { return !isText(v) })
	}},
	"exp": {seconds, isNumber}, "nbf": {seconds, isNumber}, "iat": {seconds, isNumber},
}

const (
	seconds = "a number, the seconds since 1970"
	year10k = 253_402_300_800
)

func isText(v any) bool { _, ok := v.(string); return ok }

func isNumber(v any) bool { _, ok := v.(json.Number); return ok }

// tooLate says that a date is none that anybody means: it is in milliseconds, or no reader can hold it.
func tooLate(v any) bool {
	number, ok := v.(json.Number)
	date, err := number.Float64()
	return ok && (err != nil || date >= year10k)
}

// dates are the claims that From and Until give.
var dates = []string{"iat", "nbf", "exp"}

// CheckClaims is an error where a text is not the claims of a JWT: one JSON object that names no member twice, and
// whose registered claims have their form. dated says that From and Until are given; then the text must not have iat,
// nbf and exp. Errors repeat nothing of the text but names of claims.
func CheckClaims(text string, dated bool) error {
	o, err := parseJSON(text, "give a JSON object as text, such as jsonencode({ sub = \"somebody\" })")
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if dated && slices.Contains(dates, fold(name)) {
			return fmt.Errorf("it has the claim %s, which the JWT's lifetime gives already", fold(name))
		}
		var value any
		decoder := json.NewDecoder(bytes.NewReader(o[name]))
		decoder.UseNumber()
		if err := decoder.Decode(&value); err != nil {
			return errors.New("it is not JSON")
		}
		if claim, ok := registered[name]; ok && !claim.fits(value) {
			return fmt.Errorf("its claim %s is not %s", name, claim.form)
		}
		if slices.Contains(dates, name) && tooLate(value) {
			return fmt.Errorf("its claim %s is after the year 9999; it must be in seconds, not in milliseconds", name)
		}
	}
	return nil
}

// CheckHeader is an error where a text is not further members for the header of a JWT: one JSON object that names no
// member twice, and none that is not its to say. Errors repeat nothing of the text but names of members.
func CheckHeader(text string) error {
	_, err := parseHeader(text)
	return err
}

func parseHeader(text string) (object, error) {
	o, err := parseJSON(text, "give a JSON object as text, such as jsonencode({ cty = \"json\" })")
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if why, own := ownHeader[fold(name)]; own { // some readers take ALG for alg
			return nil, fmt.Errorf("it has the member %s: %s", fold(name), why)
		}
	}
	// What go-jose does not read here, it does not read in the signed token either.
	header, err := json.Marshal(withAlg(o))
	if err != nil {
		return nil, errors.New("it is not JSON")
	}
	if _, err := jose.ParseSignedCompact(encode(header)+".e30.AA", []jose.SignatureAlgorithm{"ES256"}); err != nil {
		return nil, errors.New("readers refuse a member of it: x5c must be a list of certificates in base64 (DER), " +
			"nonce a string, and a number no larger than a computer's")
	}
	return o, nil
}

func withAlg(o object) object {
	whole := maps.Clone(o)
	whole["alg"] = json.RawMessage(`"ES256"`)
	return whole
}

// Sign makes the JWT, in compact form (RFC 7515, 7.1), and verifies it. The claims stand in it as they were given, but
// for white space; numbers keep all their digits. Errors: those of ValidAlg, CheckHeader and CheckClaims, or the
// signer's.
func (t JWT) Sign(signer crypto.Signer) (string, error) {
	if err := ValidAlg(signer.Public(), Sig, t.Alg); err != nil {
		return "", err
	}
	payload, err := t.payload()
	if err != nil {
		return "", err
	}
	options := &jose.SignerOptions{}
	if t.Type != "" {
		options.WithType(jose.ContentType(t.Type))
	}
	if t.Header != "" {
		further, err := parseHeader(t.Header)
		if err != nil {
			return "", err
		}
		for name, value := range further {
			options.WithHeader(jose.HeaderKey(name), value)
		}
	}
	key := opaqueSigner{signer, t.KID}
	joseSigner, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(t.Alg), Key: key}, options)
	if err != nil {
		return "", err
	}
	signed, err := joseSigner.Sign(payload)
	if err != nil {
		return "", err
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		return "", err
	}
	if err := VerifyJWT(token, t.Alg, signer.Public(), payload); err != nil {
		return "", err
	}
	return token, nil
}

// payload is the claims, compact, with the dates behind them.
func (t JWT) payload() ([]byte, error) {
	dated := !t.Until.IsZero()
	if err := CheckClaims(t.Claims, dated); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(t.Claims)); err != nil {
		return nil, errors.New("it is not JSON")
	}
	if !dated {
		return b.Bytes(), nil
	}
	b.Truncate(b.Len() - 1)
	for i, date := range []time.Time{t.From, t.From, t.Until} {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Quote(dates[i]) + ":" + strconv.FormatInt(date.Unix(), 10))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// errToken repeats nothing of the JWT.
var errToken = errors.New("the signed JWT does not verify with its public key")

// VerifyJWT is an error where a JWT in compact form is not signed by the key and alg, or has another payload.
func VerifyJWT(token, alg string, pub crypto.PublicKey, payload []byte) error {
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	if err != nil {
		return errToken
	}
	key := pub
	if slices.Contains(unknownToGoJose, alg) {
		key = opaqueVerifier{pub}
	}
	if found, err := parsed.Verify(key); err != nil || !bytes.Equal(found, payload) {
		return errToken
	}
	return nil
}

// unknownToGoJose are the algs that go-jose does not verify by itself.
var unknownToGoJose = []string{"ES256K", "Ed25519", publickey.MLDSA44, publickey.MLDSA65, publickey.MLDSA87}

// opaqueVerifier verifies what go-jose does not.
type opaqueVerifier struct{ pub crypto.PublicKey }

// VerifyPayload is an error where the signature is not the key's.
func (v opaqueVerifier) VerifyPayload(payload, signature []byte, _ jose.SignatureAlgorithm) error {
	if !publickey.Verify(v.pub, payload, signature) { // over SHA-256 on secp256k1, as ES256K is
		return errToken
	}
	return nil
}

// opaqueSigner has a crypto.Signer sign for go-jose.
type opaqueSigner struct {
	signer crypto.Signer
	kid    string
}

// Public has the kid alone, which is all that go-jose takes of it.
func (s opaqueSigner) Public() *jose.JSONWebKey { return &jose.JSONWebKey{KeyID: s.kid} }

// Algs are those that fit the key.
func (s opaqueSigner) Algs() (fitting []jose.SignatureAlgorithm) {
	for _, alg := range algs(s.signer.Public(), Sig) {
		fitting = append(fitting, jose.SignatureAlgorithm(alg))
	}
	return fitting
}

// SignPayload signs. ECDSA's r and s have full width in JOSE (RFC 7518, 3.4).
func (s opaqueSigner) SignPayload(payload []byte, alg jose.SignatureAlgorithm) ([]byte, error) {
	signature, err := crypto.SignMessage(s.signer, rand.Reader, payload, signing[string(alg)])
	if err != nil || !strings.HasPrefix(string(alg), "ES") {
		return signature, err
	}
	side, ok := publickey.SignatureRaw(s.signer.Public(), signature)
	if !ok {
		return nil, errors.New("the signature is not one of ECDSA in DER")
	}
	return side, nil
}
