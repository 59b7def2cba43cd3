package jwk

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/cloudflare/circl/sign"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
	"github.com/cloudflare/circl/sign/mldsa/mldsa87"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/go-jose/go-jose/v4"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// Members of keys that RFCs show, without kid, use and alg, in the order in which they are written here.
const (
	// RFC 7517, A.1, and RFC 7638, 3.1
	rsaN    = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
	rsaText = `{"kty":"RSA","n":"` + rsaN + `","e":"AQAB"}`
	// RFC 7517, A.1
	p256Text = `{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`
	// RFC 8037, A.2
	edText = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	// RFC 8812 shows no key; this is the base point of SEC 2, 2.4.1
	k1Text = `{"kty":"EC","crv":"secp256k1","x":"eb5mfvncu6xVoGKVzocLBwKb_NstzijZWfKBWxb4F5g","y":"SDradyajxGVdpPv8DhEIqP0XtEimhVQZnEfQj_sQ1Lg"}`
	// The point of secp256k1 whose x is 1: its coordinates keep their width.
	k1Narrow = `{"kty":"EC","crv":"secp256k1","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE","y":"QhjyCubGRrNj22hgWCL7FCZMqNJYf91vvHUNWH52p-4"}`
)

func parse(t testing.TB, text string) Key {
	t.Helper()
	key, err := Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return key
}

// newKeys are fresh keys, one of each kind, by kty or curve.
func newKeys(t testing.TB) map[string]crypto.PublicKey {
	t.Helper()
	keys := map[string]crypto.PublicKey{}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keys["RSA"] = private.Public()
	for name, curve := range map[string]elliptic.Curve{publickey.P256: elliptic.P256(), publickey.P384: elliptic.P384(), publickey.P521: elliptic.P521()} {
		private, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = private.Public()
	}
	k1, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	keys[publickey.Secp256k1] = k1.PubKey()
	keys[publickey.Ed25519], _, err = ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, scheme := range map[string]sign.Scheme{
		publickey.MLDSA44: mldsa44.Scheme(), publickey.MLDSA65: mldsa65.Scheme(), publickey.MLDSA87: mldsa87.Scheme(),
	} {
		public, _, err := scheme.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		octets, err := public.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if keys[name], err = publickey.NewMLDSA(name, octets); err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

func TestJSONIsByteForByte(t *testing.T) {
	point := func(text string) string { // x and y of a key's text
		_, coordinates, _ := strings.Cut(text, `"x"`)
		return `"x"` + coordinates
	}
	for _, test := range []struct {
		name, key     string
		kid, use, alg string
		want          string
	}{
		{"RSA, all members", rsaText, "2011-04-29", "sig", "RS256", `{"use":"sig","kty":"RSA","kid":"2011-04-29","alg":"RS256","n":"` + rsaN + `","e":"AQAB"}`},
		{"P-256, all members", p256Text, "1", "enc", "ECDH-ES", `{"use":"enc","kty":"EC","kid":"1","crv":"P-256","alg":"ECDH-ES",` + point(p256Text)},
		{"secp256k1, all members", k1Text, "1", "sig", "ES256K", `{"use":"sig","kty":"EC","kid":"1","crv":"secp256k1","alg":"ES256K",` + point(k1Text)},
		{"Ed25519, all members", edText, "1", "sig", "EdDSA", `{"use":"sig","kty":"OKP","kid":"1","crv":"Ed25519","alg":"EdDSA",` + point(edText)},
		{"RSA alone", rsaText, "", "", "", rsaText},
		{"secp256k1 alone, with leading zeros", k1Narrow, "", "", "", k1Narrow},
		{"a kid with what JSON and HTML escape", edText, "<\"\\\x01&é\u2028>", "", "", `{"kty":"OKP","kid":"<\"\\\u0001&é\u2028>",` + edText[len(`{"kty":"OKP",`):]},
	} {
		t.Run(test.name, func(t *testing.T) {
			key := Key{parse(t, test.key).PublicKey, test.kid, test.use, test.alg}
			got, err := key.JSON()
			if err != nil || got != test.want {
				t.Fatalf("got %s, error %v, want %s", got, err, test.want)
			}
			read := parse(t, got)
			if read.KID != test.kid || read.Use != test.use || read.Alg != test.alg || !publickey.Equal(read.PublicKey, key.PublicKey) {
				t.Errorf("it is read back as %v", read)
			}
		})
	}
}

func TestGoJoseWritesTheSameBytesAndReadsThem(t *testing.T) {
	for name, pub := range newKeys(t) {
		if name == publickey.Secp256k1 || publickey.ParameterSet(pub) != "" { // which go-jose does not know
			continue
		}
		key := Key{pub, "the kid", "sig", DefaultAlg(pub, Sig, nil)}
		got, err := key.JSON()
		if err != nil {
			t.Fatal(err)
		}
		foreign := jose.JSONWebKey{Key: pub, KeyID: key.KID, Use: key.Use, Algorithm: key.Alg}
		want, err := foreign.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: got %s, go-jose writes %s", name, got, want)
		}
		var read jose.JSONWebKey
		if err := json.Unmarshal([]byte(got), &read); err != nil || !publickey.Equal(read.Key, pub) {
			t.Errorf("%s: go-jose reads %v, error %v", name, read.Key, err)
		}
		sum, err := foreign.Thumbprint(crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		if thumbprint, err := Thumbprint(pub); err != nil || thumbprint != encode(sum) {
			t.Errorf("%s: got the thumbprint %s, error %v, want %s", name, thumbprint, err, encode(sum))
		}
	}
}

func TestAKeyInALargerDocumentIsTheSameKey(t *testing.T) {
	key := parse(t, edText)
	key.KID = "<a&b>"
	text, err := json.Marshal(map[string]any{"key": key})
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		Key json.RawMessage `json:"key"`
	}
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if got := parse(t, string(read.Key)); got.KID != key.KID || !publickey.Equal(got.PublicKey, key.PublicKey) {
		t.Errorf("%s is read as %v", text, got)
	}
}

func TestJSONRefuses(t *testing.T) {
	pub := parse(t, edText).PublicKey
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]Key{
		"no key":                   {},
		"a private key":            {PublicKey: private},
		"a symmetric key":          {PublicKey: []byte("secret")},
		"half a key":               {PublicKey: ed25519.PublicKey{1}},
		"a nil RSA key":            {PublicKey: (*rsa.PublicKey)(nil)},
		"a key on P-224":           {PublicKey: &ecdsa.PublicKey{Curve: elliptic.P224()}},
		"a kid that is not UTF-8":  {PublicKey: pub, KID: "\xff"},
		"a use that is not UTF-8":  {PublicKey: pub, Use: "\xff"},
		"an alg that is not UTF-8": {PublicKey: pub, Alg: "\xff"},
	} {
		if text, err := key.JSON(); err == nil {
			t.Errorf("%s is written: %s", name, text)
		}
	}
	if _, err := Thumbprint(private); err == nil {
		t.Error("a private key has a thumbprint")
	}
}

func TestKty(t *testing.T) {
	keys := newKeys(t)
	keys["none"] = nil
	keys["a nil RSA key"] = (*rsa.PublicKey)(nil)
	want := map[string]string{
		"RSA": "RSA", publickey.P256: "EC", publickey.P384: "EC", publickey.P521: "EC", publickey.Secp256k1: "EC",
		publickey.Ed25519: "OKP", "none": "", "a nil RSA key": "",
		publickey.MLDSA44: "AKP", publickey.MLDSA65: "AKP", publickey.MLDSA87: "AKP",
	}
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		if got := Kty(keys[name]); got != want[name] {
			t.Errorf("%s: got %q, want %q", name, got, want[name])
		}
	}
}

func TestParseRefuses(t *testing.T) {
	const public = "it has a member of a private or symmetric key; only public keys belong here"
	with := func(text, member string) string { return strings.TrimSuffix(text, "}") + "," + member + "}" }
	type refusal struct{ name, text, err string }
	tests := []refusal{
		{"nothing", "", "it is empty; give a JWK as text, such as the attribute jwk of a key pair, or jsonencode({ kty = ... })"},
		{"null", "null", "it is JSON, but not an object; give a JWK as text, such as the attribute jwk of a key pair, or jsonencode({ kty = ... })"},
		{"an array", "[" + edText + "]", "it is JSON, but not an object; give a JWK as text, such as the attribute jwk of a key pair, or jsonencode({ kty = ... })"},
		{"a string", `"SECRET"`, "it is JSON, but not an object; give a JWK as text, such as the attribute jwk of a key pair, or jsonencode({ kty = ... })"},
		{"PEM", "-----BEGIN PRIVATE KEY-----", "it is PEM, and not a JWK; the function pem_to_jwk makes a JWK of a public " +
			"key"},
		{"JSON with PEM in it that is cut short", `{"a":"-----BEGIN PUBLIC KEY-----`,
			"it is not JSON from byte 32 on; give a JWK as " +
				"text, such as the attribute jwk of a key pair, or jsonencode({ kty = ... })"},
		{"a second value", edText + edText, "it is not JSON from byte 80 on; give a JWK as text, such as the attribute jwk of a key pair, or jsonencode({ kty = ... })"},
		{"text behind it", edText + "SECRET", "it is not JSON from byte 80 on; give a JWK as text, such as the attribute jwk of a key pair, or jsonencode({ kty = ... })"},
		{"bytes that are not UTF-8", with(edText, "\"kid\":\"\xff\""), "it is not UTF-8"},
		{"deep nesting", with(edText, `"a":`+strings.Repeat("[", 100000)),
			"it is not JSON from byte 10083 on; give a JWK as text, such as the attribute jwk of a key pair, or jsonencode({ kty = ... })"},
		{"a member twice", with(edText, `"kty":"OKP"`), "an object in it names a member twice; leave one out"},
		{"a member twice, once escaped", with(edText, `"\u0078":"AA"`), "an object in it names a member twice; leave one out"},
		{"a member twice, deep inside", with(edText, `"a":[1,{"b":{"c":1,"d":[],"c":2}}]`), "an object in it names a member twice; leave one out"},
		{"a member twice, behind a number that is too large", with(edText, `"a":1e999,"kty":"OKP"`), "an object in it names a member twice; leave one out"},
		{"a set", `{"keys":[]}`, "it is a JWK Set, and not a JWK; give one of its keys"},
		{"no kty", `{"kid":"a"}`, "it has no kty, such as RSA, EC, OKP or AKP"},
		{"a kty that is no string", `{"kty":7}`, "its kty is not a string"},
		{"a kty that is null", `{"kty":null}`, "its kty is not a string"},
		{"an unknown kty", `{"kty":"SECRET"}`, "its kty must be RSA, EC, OKP or AKP"},
		{"kty in other letters", `{"kty":"rsa"}`, "its kty must be RSA, EC, OKP or AKP"},
		{"a symmetric key", `{"kty":"oct","k":"SECRET"}`, public},
		{"a symmetric key without k", `{"kty":"oct"}`, "it is a symmetric key; only public keys belong here"},
		{"a member in other letters", with(rsaText, `"N":"AQAB"`),
			"the name of its member n has capital letters, and some readers confuse that; write it in small ones"},
		{"an EC key without y", `{"kty":"EC","crv":"P-256","x":"AA"}`,
			"a JWK with kty EC has the key members crv, x, y, and no others"},
		{"an RSA key with a curve", with(rsaText, `"crv":"P-256"`),
			"a JWK with kty RSA has the key members n, e, and no others"},
		{"Ed25519 with y", with(edText, `"y":"AA"`), "a JWK with kty OKP has the key members crv, x, and no others"},
		{"a kid that is a number", with(edText, `"kid":1`), "its kid is not a string"},
		{"a kid that is null", with(edText, `"kid":null`), "its kid is not a string"},
		{"a use that is an array", with(edText, `"use":["sig"]`), "its use is not a string"},
		{"padded base64url", `{"kty":"RSA","n":"` + rsaN + `","e":"Aw=="}`, "its e is not base64url without padding"},
		{"base64 that is not url", strings.Replace(rsaText, "_", "/", 1), "its n is not base64url without padding"},
		{"base64url with a newline", strings.Replace(rsaText, "0vx7", `0v\nx7`, 1), "its n is not base64url without padding"},
		{"base64url with loose bits", strings.Replace(rsaText, "AQAB", "AR", 1), "its e is not base64url without padding"},
		{"an even RSA exponent", strings.Replace(rsaText, "AQAB", "AQAA", 1), "the public exponent is even"},
		{"an empty RSA modulus", `{"kty":"RSA","n":"","e":"AQAB"}`, "the modulus is absent"},
		{"a modulus of 8 bits", `{"kty":"RSA","n":"_w","e":"AQAB"}`,
			"the modulus has 8 bits, but at least 512 are needed"},
		{"a point beside the curve", strings.Replace(p256Text, "FyM", "FyI", 1), "the point is not on P-256"},
		{"the point on another curve", strings.Replace(p256Text, "P-256", "secp256k1", 1), "the point is not on secp256k1"},
		{"the point on a wider curve", strings.Replace(p256Text, "P-256", "P-384", 1),
			"the point is not a point on P-384: its 65 bytes have none of the forms that a point can have"},
		{"an unknown curve", strings.Replace(p256Text, "P-256", "P-224", 1),
			`the curve "P-224" is not one of P-256, P-384, P-521, secp256k1, Ed25519`},
		{"the curve by its other name", strings.Replace(p256Text, "P-256", "secp256r1", 1),
			`the curve "secp256r1" is not one of P-256, P-384, P-521, secp256k1, Ed25519`},
		{"a coordinate without its leading zeros", strings.Replace(k1Narrow, strings.Repeat("A", 41)+"AE", "AQ", 1),
			"its x and y do not have the same length"},
		{"Ed25519 as an EC key", `{"kty":"EC","crv":"Ed25519","x":"AA","y":"AA"}`,
			"the point is not a point on Ed25519: its 3 bytes have none of the forms that a point can have"},
		{"X25519", strings.Replace(edText, "Ed25519", "X25519", 1),
			"its crv must be Ed25519, the only one that is supported for kty OKP"},
		{"Ed25519 of zeros", `{"kty":"OKP","crv":"Ed25519","x":"` + strings.Repeat("A", 43) + `"}`, "the point is not on Ed25519"},
		{"the private key of RFC 8037, A.1", with(edText, `"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"`), public},
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv", "D", "Dp", "OTH", "K", "\u212a"} {
		tests = append(tests, refusal{"the private member " + name, with(rsaText, `"`+name+`":null`), public})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			key, err := Parse(test.text)
			if err == nil || err.Error() != test.err || key != (Key{}) {
				t.Errorf("got %v, error %v; want the error %s", key, err, test.err)
			}
		})
	}
}

func TestParsePassesOverOtherMembersAndLeadingZeros(t *testing.T) {
	for name, text := range map[string]string{
		"members of RFC 7517, 4":   strings.TrimSuffix(rsaText, "}") + `,"key_ops":["verify"],"x5c":["AA=="],"x5t#S256":"AA","foo":{"d":1}}`,
		"a modulus behind a zero":  `{"kty":"RSA","n":"` + encode(append([]byte{0}, parse(t, rsaText).PublicKey.(*rsa.PublicKey).N.Bytes()...)) + `","e":"AQAB"}`,
		"white space and an order": "\n { \"e\" : \"AQAB\",\n\"n\":\"" + rsaN + "\", \"kty\":\"RSA\" }\t",
	} {
		got, err := parse(t, text).JSON()
		if err != nil || got != rsaText {
			t.Errorf("%s: got %s, error %v", name, got, err)
		}
	}
}

func TestPEMThereAndBack(t *testing.T) {
	for name, pub := range newKeys(t) {
		pem, err := publickey.PEM(pub)
		if err != nil {
			t.Fatal(err)
		}
		jwk, err := FromPEM(pem, "a kid")
		if err != nil {
			t.Fatal(err)
		}
		if key := parse(t, jwk); key.KID != "a kid" || key.Use != "" || key.Alg != publickey.ParameterSet(pub) || !publickey.Equal(key.PublicKey, pub) {
			t.Errorf("%s: got %s", name, jwk)
		}
		if again, err := ToPEM(jwk); err != nil || again != pem {
			t.Errorf("%s: got %s, error %v, want %s", name, again, err, pem)
		}
	}
	for name, convert := range map[string]func() (string, error){
		"no PEM":              func() (string, error) { return FromPEM("SECRET", "") },
		"a kid that is bytes": func() (string, error) { return FromPEM("SECRET", "\xff") },
		"no JWK":              func() (string, error) { return ToPEM("SECRET") },
		"no JWK's thumbprint": func() (string, error) { return ThumbprintJSON("SECRET") },
		"no JWK's SPKI":       func() (string, error) { return SPKISHA256JSON("SECRET") },
	} {
		if text, err := convert(); err == nil || text != "" || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: got %q, error %v", name, text, err)
		}
	}
}

func TestThumbprint(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"RSA, RFC 7638, 3.1":             {rsaText, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
		"Ed25519, RFC 8037, A.3":         {edText, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
		"secp256k1, by another program":  {k1Text, "2JF8vg9etJzjFwZwmkvhBLLZ0bfMVVOPivYR5lFtcec"},
		"kid, use and alg have no part":  {`{"alg":"a","use":"b","kid":"c",` + edText[1:], "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
		"members of others have no part": {`{"x5c":[],` + edText[1:], "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
		"leading zeros have no part":     {`{"kty":"RSA","n":"` + encode(append([]byte{0}, parse(t, rsaText).PublicKey.(*rsa.PublicKey).N.Bytes()...)) + `","e":"AAEAAQ"}`, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
	} {
		if got, err := ThumbprintJSON(test.text); err != nil || got != test.want {
			t.Errorf("%s: got %s, error %v, want %s", name, got, err, test.want)
		}
	}
}

// openssl writes the DER that is digested.
func TestOpenSSLAgreesOnTheDigestOfTheSPKI(t *testing.T) {
	for name, pub := range newKeys(t) {
		if publickey.ParameterSet(pub) != "" { // which openssl knows from 3.5 on
			continue
		}
		pem, err := publickey.PEM(pub)
		if err != nil {
			t.Fatal(err)
		}
		text, err := Key{PublicKey: pub, KID: "a", Use: "sig", Alg: DefaultAlg(pub, Sig, nil)}.JSON()
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(openssl(t, pem, "pkey", "-pubin", "-outform", "DER"))
		if got, err := SPKISHA256JSON(text); err != nil || got != base64.RawURLEncoding.EncodeToString(sum[:]) {
			t.Errorf("%s: got %s, error %v, want %x", name, got, err, sum)
		}
	}
	if digest, err := SPKISHA256(nil); err == nil {
		t.Errorf("what is no key has the digest %s", digest)
	}
}

func TestAKeyForPSSAloneHasTheAlgOfItsParameters(t *testing.T) {
	const (
		md   = "-pkeyopt rsa_pss_keygen_md:"
		mask = " -pkeyopt rsa_pss_keygen_mgf1_md:"
		salt = " -pkeyopt rsa_pss_keygen_saltlen:"
		none = "the key is one for RSASSA-PSS alone, with %s, a mask with %s and a salt of at least %d bytes, " +
			"and JOSE has no alg for that"
	)
	for options, want := range map[string]string{
		"": "PS256",
		md + "sha256" + mask + "sha256" + salt + "32": "PS256",
		md + "sha384" + mask + "sha384" + salt + "20": "PS384",
		md + "sha512" + mask + "sha512" + salt + "64": "PS512",
		md + "sha512" + mask + "sha512" + salt + "65": fmt.Sprintf(none, "SHA-512", "SHA-512", 65),
		md + "sha256" + mask + "sha1" + salt + "32":   fmt.Sprintf(none, "SHA-256", "SHA-1", 32),
		md + "sha1" + mask + "sha1" + salt + "20":     fmt.Sprintf(none, "SHA-1", "SHA-1", 20),
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			private := openssl(t, "", append([]string{"genpkey", "-algorithm", "RSA-PSS", "-pkeyopt",
				"rsa_keygen_bits:1024"},
				strings.Fields(options)...)...)
			text, err := FromPEM(string(openssl(t, string(private), "pkey", "-pubout")), "a")
			if err != nil {
				if err.Error() != want {
					t.Errorf("got the error %v, want %s", err, want)
				}
				return
			}
			key := parse(t, text)
			if key.Alg != want || key.Use != "" || key.KID != "a" || Kty(key.PublicKey) != ktyRSA {
				t.Errorf("got %s, want the alg %s", text, want)
			}
		})
	}
}

func openssl(t *testing.T, in string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", args...)
	cmd.Stdin = strings.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %s: %v", strings.Join(args, " "), err)
	}
	return out
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{rsaText, p256Text, edText, k1Text, k1Narrow, `{"kty":"oct","k":"AA"}`, `{"keys":[]}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		key, err := Parse(text)
		if err != nil {
			return
		}
		written, err := key.JSON()
		if err != nil {
			t.Fatalf("%q cannot be written: %v", text, err)
		}
		again, err := Parse(written)
		if err != nil || again.KID != key.KID || again.Use != key.Use || again.Alg != key.Alg || !publickey.Equal(again.PublicKey, key.PublicKey) {
			t.Fatalf("%q is written as %q, which is read as %v, error %v", text, written, again, err)
		}
	})
}

// FuzzKID: any text is a kid, and read back as it was, or it is refused for not being UTF-8.
func FuzzKID(f *testing.F) {
	pub := parse(f, edText).PublicKey
	for _, kid := range []string{"web", "", "<&>", "\x00\"\\", "\u2028\u2029\ufeff\ufffd", "\xff", "\U0010ffff"} {
		f.Add(kid)
	}
	f.Fuzz(func(t *testing.T, kid string) {
		text, err := Key{PublicKey: pub, KID: kid}.JSON()
		if err != nil {
			if kid == strings.ToValidUTF8(kid, "") {
				t.Fatal(errors.Join(errors.New("a good kid is refused"), err))
			}
			return
		}
		if got := parse(t, text).KID; got != kid {
			t.Fatalf("%q is read back as %q", kid, got)
		}
	})
}

func TestMembersAreThoseOfTheText(t *testing.T) {
	for _, text := range []string{edText, k1Text} {
		key := parse(t, text)
		key.KID, key.Use, key.Alg = "k", "sig", "X"
		r, err := key.Render()
		if err != nil {
			t.Fatal(err)
		}
		var members map[string]string
		if err := json.Unmarshal([]byte(r.Text), &members); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"use", "kty", "kid", "crv", "alg", "n", "e", "x", "y", "d", ""} {
			if r.Member(name) != members[name] {
				t.Errorf("%s is %q, and in the text %q", name, r.Member(name), members[name])
			}
		}
	}
}
