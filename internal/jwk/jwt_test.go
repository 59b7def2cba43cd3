package jwk

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudflare/circl/sign"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
	"github.com/cloudflare/circl/sign/mldsa/mldsa87"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secp256k1ecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/go-jose/go-jose/v4"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// testSigner is a signer whose key lies in memory, and which can lie.
type testSigner struct {
	public crypto.PublicKey
	sign   func(digest []byte, opts crypto.SignerOpts) ([]byte, error)
}

func (s testSigner) Public() crypto.PublicKey { return s.public }

func (s testSigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.sign(digest, opts)
}

// signers is one of each kind of key.
func signers(t *testing.T) map[string]testSigner {
	t.Helper()
	fail := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	of := func(public crypto.PublicKey, key crypto.Signer) testSigner {
		return testSigner{public, func(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
			return key.Sign(rand.Reader, digest, opts)
		}}
	}
	all := map[string]testSigner{}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	fail(err)
	all["RSA"] = of(&rsaKey.PublicKey, rsaKey)
	for name, curve := range map[string]elliptic.Curve{
		publickey.P256: elliptic.P256(), publickey.P384: elliptic.P384(), publickey.P521: elliptic.P521(),
	} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		fail(err)
		all[name] = of(&key.PublicKey, key)
	}
	ed, edKey, err := ed25519.GenerateKey(rand.Reader)
	fail(err)
	all[publickey.Ed25519] = of(ed, edKey)
	koblitz, err := secp256k1.GeneratePrivateKey()
	fail(err)
	all[publickey.Secp256k1] = testSigner{koblitz.PubKey(), func(digest []byte, _ crypto.SignerOpts) ([]byte, error) {
		return secp256k1ecdsa.Sign(koblitz, digest).Serialize(), nil
	}}
	for name, scheme := range map[string]sign.Scheme{
		publickey.MLDSA44: mldsa44.Scheme(), publickey.MLDSA65: mldsa65.Scheme(), publickey.MLDSA87: mldsa87.Scheme(),
	} {
		public, key, err := scheme.GenerateKey()
		fail(err)
		octets, err := public.MarshalBinary()
		fail(err)
		pub, err := publickey.NewMLDSA(name, octets)
		fail(err)
		all[name] = testSigner{pub, func(message []byte, _ crypto.SignerOpts) ([]byte, error) {
			return scheme.Sign(key, message, nil), nil
		}}
	}
	return all
}

// part is a part of a token, decoded.
func part(t *testing.T, token string, n int) string {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("a token of %d parts", len(parts))
	}
	octets, err := base64.RawURLEncoding.DecodeString(parts[n])
	if err != nil {
		t.Fatal(err)
	}
	return string(octets)
}

func TestAJWTOfEveryAlgorithmVerifies(t *testing.T) {
	keys := signers(t)
	signed := 0
	for _, name := range []string{
		"RSA", publickey.P256, publickey.P384, publickey.P521, publickey.Secp256k1, publickey.Ed25519,
		publickey.MLDSA44,
		publickey.MLDSA65, publickey.MLDSA87,
	} {
		signer := keys[name]
		for _, alg := range algs(signer.public, Sig) {
			t.Run(alg, func(t *testing.T) {
				token, err := JWT{Alg: alg, Type: "JWT", KID: "web", Claims: `{"sub":"somebody"}`}.Sign(signer)
				if err != nil {
					t.Fatal(err)
				}
				signed++
				if have, want := part(t, token, 0), `{"alg":"`+alg+`","kid":"web","typ":"JWT"}`; have != want {
					t.Errorf("the header is %s, not %s", have, want)
				}
				if have := part(t, token, 1); have != `{"sub":"somebody"}` {
					t.Errorf("the claims are %s", have)
				}
				if err := VerifyJWT(token, alg, signer.public, []byte(`{"sub":"somebody"}`)); err != nil {
					t.Error(err)
				}
				if err := VerifyJWT(token, alg, signer.public, []byte(`{"sub":"nobody"}`)); err == nil {
					t.Error("it verifies with other claims")
				}
				parts := strings.Split(token, ".")
				forged := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"nobody"}`))
				if err := VerifyJWT(parts[0]+"."+forged+"."+parts[2], alg, signer.public,
					[]byte(`{"sub":"nobody"}`)); err == nil {
					t.Error("a forged one verifies")
				}
				if slices.Contains(unknownToGoJose, alg) {
					return
				}
				parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := parsed.Verify(signer.public); err != nil {
					t.Errorf("go-jose does not verify it: %v", err)
				}
			})
		}
	}
	if want := len(SignatureAlgorithms()); signed != want || len(signing) != want {
		t.Errorf("%d algorithms were signed by, and %d are in the table, of %d", signed, len(signing), want)
	}
}

func TestAJWTSaysWhatItWasGiven(t *testing.T) {
	signer := signers(t)[publickey.P256]
	from := time.Unix(1_700_000_000, 5)
	until := from.Add(10 * time.Minute)
	for _, c := range []struct {
		name           string
		jwt            JWT
		header, claims string
	}{
		{"no type and no kid", JWT{Claims: "{}"}, `{"alg":"ES256"}`, "{}"},
		{"dates alone", JWT{Claims: " {\n } ", From: from, Until: until}, `{"alg":"ES256"}`,
			`{"iat":1700000000,"nbf":1700000000,"exp":1700000600}`},
		{"dates behind claims, whose numbers and order stay",
			JWT{Claims: `{ "z": 12345678901234567890123, "a": [1.50, 1e400, "<&>"] }`, From: from, Until: until},
			`{"alg":"ES256"}`,
			`{"z":12345678901234567890123,"a":[1.50,1e400,"<&>"],"iat":1700000000,"nbf":1700000000,"exp":1700000600}`},
		{"dates of its own", JWT{Claims: `{"exp":1700000600,"iat":1.5}`}, `{"alg":"ES256"}`,
			`{"exp":1700000600,"iat":1.5}`},
		{"further members of the header", JWT{Claims: `{"aud":["a","b"]}`, Type: "at+jwt", KID: "ключ",
			Header: `{"x5t#S256":"abc","cty":"json","n":123456789012345678901}`},
			`{"alg":"ES256","cty":"json","kid":"ключ","n":123456789012345678901,"typ":"at+jwt","x5t#S256":"abc"}`,
			`{"aud":["a","b"]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.jwt.Alg = "ES256"
			token, err := c.jwt.Sign(signer)
			if err != nil {
				t.Fatal(err)
			}
			if have := part(t, token, 0); have != c.header {
				t.Errorf("the header is\n%s, not\n%s", have, c.header)
			}
			if have := part(t, token, 1); have != c.claims {
				t.Errorf("the claims are\n%s, not\n%s", have, c.claims)
			}
		})
	}
}

func TestClaimsAndHeadersThatAreRefused(t *testing.T) {
	const give = `; give a JSON object as text, such as jsonencode({ sub = "somebody" })`
	for text, want := range map[string]string{
		"":                             "it is empty" + give,
		"null":                         "it is JSON, but not an object" + give,
		`["sub"]`:                      "it is JSON, but not an object" + give,
		`"SECRET"`:                     "it is JSON, but not an object" + give,
		`{"sub":"SECRET"`:              "it is not JSON from byte 15 on" + give,
		`{"sub":"a"} {}`:               "it is not JSON from byte 13 on" + give,
		"{\"sub\":\"\xff\"}":           "it is not UTF-8",
		`{"sub":"SECRET","sub":"b"}`:   "an object in it names a member twice; leave one out",
		`{"a":[{"b":1,"b":"SECRET"}]}`: "an object in it names a member twice; leave one out",
		`{"sub":7}`:                    "its claim sub is not a string",
		`{"iss":null}`:                 "its claim iss is not a string",
		`{"jti":{}}`:                   "its claim jti is not a string",
		`{"aud":[]}`:                   "",
		`{"aud":["a",1]}`:              "its claim aud is not a string or a list of strings",
		`{"exp":"SECRET"}`:             "its claim exp is not a number, the seconds since 1970",
		`{"nbf":true}`:                 "its claim nbf is not a number, the seconds since 1970",
		`{"iat":1e3,"nbf":0,"exp":-1}`: "",
		`{"exp":253402300799.5}`:       "",
		`{"exp":253402300800}`:         "its claim exp is after the year 9999; it must be in seconds, not in milliseconds",
		`{"iat":1795993349000}`:        "its claim iat is after the year 9999; it must be in seconds, not in milliseconds",
		`{"nbf":1e400}`:                "its claim nbf is after the year 9999; it must be in seconds, not in milliseconds",
	} {
		if err := CheckClaims(text, false); (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("the claims %q: %v, not %s", text, err, want)
		}
	}
	for text, want := range map[string]string{
		`{"sub":"a"}`: "", `{"iat":1}`: "iat", `{"nbf":1}`: "nbf", `{"exp":1}`: "exp", `{"EXP":1}`: "exp",
		`{"expires":1}`: "",
	} {
		err := CheckClaims(text, true)
		if (err == nil) != (want == "") ||
			err != nil && err.Error() != "it has the claim "+want+", which the JWT's lifetime gives already" {
			t.Errorf("the claims %q beside dates: %v", text, err)
		}
	}
	for name := range ownHeader {
		for _, written := range []string{name, strings.ToUpper(name)} {
			err := CheckHeader(`{"` + written + `":"SECRET"}`)
			if err == nil || !strings.HasPrefix(err.Error(), "it has the member "+name+": ") ||
				strings.Contains(err.Error(), "SECRET") {
				t.Errorf("the header %s: %v", written, err)
			}
		}
	}
	for _, text := range []string{"", "[]", "{", `{"a":1,"a":2}`, `{"x5c":["AA=="]}`, `{"x5c":"AA=="}`, `{"nonce":1}`,
		`{"n":1e400}`} {
		if CheckHeader(text) == nil {
			t.Errorf("the header %q is taken", text)
		}
	}
}

// Nothing that is wrong is signed, and nothing that does not verify comes out.
func TestNoWrongJWTComesOut(t *testing.T) {
	keys := signers(t)
	good := JWT{Alg: "ES256", Claims: `{"sub":"a"}`}
	for name, change := range map[string]func(*JWT){
		"an alg of another curve": func(j *JWT) { j.Alg = "ES384" }, "none": func(j *JWT) { j.Alg = "none" },
		"HS256": func(j *JWT) { j.Alg = "HS256" }, "ECDH-ES": func(j *JWT) { j.Alg = "ECDH-ES" },
		"no claims":              func(j *JWT) { j.Claims = "" },
		"a header that says alg": func(j *JWT) { j.Header = `{"alg":"none"}` },
		"two dates":              func(j *JWT) { j.Claims, j.Until = `{"exp":1}`, time.Unix(9, 0) },
	} {
		asked := false
		signer := testSigner{keys[publickey.P256].public, func([]byte, crypto.SignerOpts) ([]byte, error) {
			asked = true
			return nil, errors.New("asked")
		}}
		wrong := good
		change(&wrong)
		if token, err := wrong.Sign(signer); err == nil || token != "" || asked {
			t.Errorf("%s: %q, %v; the signer was asked: %v", name, token, err, asked)
		} else if wrong.Alg != good.Alg && !strings.Contains(err.Error(), "; these do: ES256") {
			t.Errorf("%s: the error does not say which alg fits: %v", name, err)
		}
	}
	other := signers(t)
	for name, lie := range map[string]func(real testSigner, digest []byte, opts crypto.SignerOpts) ([]byte, error){
		"nothing":  func(testSigner, []byte, crypto.SignerOpts) ([]byte, error) { return nil, nil },
		"zeros":    func(testSigner, []byte, crypto.SignerOpts) ([]byte, error) { return make([]byte, 64), nil },
		"a flip":   func(s testSigner, d []byte, o crypto.SignerOpts) ([]byte, error) { return flipped(s.sign(d, o)) },
		"an error": func(testSigner, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errors.New("no") },
	} {
		for _, kind := range []string{"RSA", publickey.P256, publickey.Secp256k1, publickey.Ed25519,
			publickey.MLDSA44} {
			real := keys[kind]
			signer := testSigner{real.public,
				func(d []byte, o crypto.SignerOpts) ([]byte, error) { return lie(real, d, o) }}
			if token, err := (JWT{Alg: DefaultAlg(real.public, Sig, nil), Claims: "{}"}).Sign(signer); err == nil ||
				token != "" {
				t.Errorf("%s of %s: %q, %v", name, kind, token, err)
			}
			signer.sign = other[kind].sign
			if token, err := (JWT{Alg: DefaultAlg(real.public, Sig, nil), Claims: "{}"}).Sign(signer); err == nil ||
				token != "" {
				t.Errorf("another key's of %s: %q, %v", kind, token, err)
			}
		}
	}
}

func flipped(signature []byte, err error) ([]byte, error) {
	signature[len(signature)-1] ^= 1
	return signature, err
}
