package jwk

import (
	"strings"
	"testing"
)

func TestMergePassesKeysOfUnknownKindsThrough(t *testing.T) {
	octets := func(n int) string { return encode(make([]byte, n)) }
	for name, text := range map[string]string{
		"a composite of ML-DSA": `{"kty":"AKP","kid":"a","alg":"ML-DSA-44-ES256","pub":"unH59k4R"}`,
		"SLH-DSA":               `{"use":"sig","kty":"AKP","alg":"SLH-DSA-SHA2-128s","pub":"AA","key_ops":["verify"]}`,
		"X25519": `{"use":"enc","kty":"OKP","crv":"X25519","alg":"ECDH-ES+A128KW","x":"` +
			octets(32) + `"}`,
		"X448":                     `{"kty":"OKP","crv":"X448","x":"` + octets(56) + `"}`,
		"Ed448":                    `{"kty":"OKP","crv":"Ed448","x":"` + octets(57) + `"}`,
		"an OKP curve of tomorrow": `{"kty":"OKP","crv":"Ed521","x":"` + octets(66) + `"}`,
		"Brainpool":                `{"kty":"EC","crv":"BP-256","x":"` + octets(32) + `","y":"` + octets(32) + `"}`,
		"a number behind a letter": `{"kty":"NEW","p256_pub":"AA","pub_d2h":"AA"}`,
		"a usual letter elsewhere": `{"kty":"NEW","ext":{"k":"v"},"list":[{"p":1},{"q":[2]}]}`,
		"a kty of tomorrow":        `{"kty":"NEW","kid":"","n":1e9999,"pub":"AA","a":{"b":[{"c":"{"}]},"x5t":"A"}`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Merge([]string{" " + strings.ReplaceAll(text, ",", "\n, ")})
			if err != nil || got != setOf([]string{text}) {
				t.Errorf("got %s, error %v", got, err)
			}
			if key, err := Parse(text); err == nil {
				t.Errorf("it is read as %v", key)
			}
		})
	}
}

func TestMergeRefusesWhatMayBePrivateInAnUnknownKind(t *testing.T) {
	const akp = `{"kty":"AKP","alg":"SLH-DSA-SHA2-128s","pub":"AA"`
	named := func(word string) string {
		return `the name of a member has "` + word + `" in it, as in private and symmetric keys; only public keys belong here`
	}
	const secret = "its kty or alg is one of private or symmetric keys; only public keys belong here"
	const inPEM = "a member of it holds a private key in PEM; only public keys belong here"
	const onlyX = "a JWK with kty OKP has the key members crv, x, and no others"
	const onlySets = "its alg must be one of ML-DSA-44, ML-DSA-65, ML-DSA-87, the only ones that are supported for kty AKP"
	public := errSecret.Error()
	for member, err := range map[string]string{
		`"priv":"SECRET"`: public, `"PRIV":"SECRET"`: public, `"d":"SECRET"`: public, `"K":"SECRET"`: public,
		`"\u212a":"SECRET"`: public,
		`"\uff44":"SECRET"`: public, `"p":1`: public, `"q":1`: public, `"dp":1`: public, `"dq":1`: public,
		`"qi":1`: public, `"oth":[]`: public,
		`"a":{"d":"SECRET"}`: public, `"a":[[{"b":{"Priv":"SECRET"}}]]`: public,
		`"a":" {\"kty\":\"oct\",\"k\":\"SECRET\"}"`: public,
		`"a":"[{\"k\":1,\"x\":2}]"`:                 public, `"a":{"p":1,"q":2}`: public, `"a":{"K":1,"KTY":"oct"}`: public,
		`"prv":"SECRET"`: named("prv"), `"expandedKey":"SECRET"`: named("expanded"),
		`"expanded_key":"SECRET"`: named("expanded"),
		`"seed":"SECRET"`:         named("seed"), `"a":{"SEED":"SECRET"}`: named("seed"), `"x-priv":"SECRET"`: named("priv"),
		`"private_key":"SECRET"`: named("priv"), `"privateExponent":"SECRET"`: named("priv"),
		`"P-R-I-V":"SECRET"`: named("priv"),
		`"ſecret":"SECRET"`:  named("secret"), `"client_secret":"SECRET"`: named("secret"),
		`"password":"SECRET"`: named("passw"),
		`"x-d":"SECRET"`:      named("d"), `"rsaDp":"SECRET"`: named("dp"), `"d_1":"SECRET"`: named("d"),
		`"k2":"SECRET"`:      named("k"),
		`"d\u200b":"SECRET"`: named("d"), `"d.":"SECRET"`: named("d"), `"sk":"SECRET"`: named("sk"),
		`"a":[{"keyK":"SECRET"}]`:                 named("k"),
		`"a":"-----BEGIN PRIVATE KEY-----SECRET"`: inPEM,
		`"Sub":"AQ","sub":"AQ"`:                   "two names of its members differ in capital letters only, and some readers confuse them",
		`"Pub":"AQ"`:                              "the name of its member pub has capital letters, and some readers confuse that; write it in small ones",
		`"Kid":"a"`:                               "the name of its member kid has capital letters, and some readers confuse that; write it in small ones",
		`"kid":7`:                                 "its kid is not a string",
		`"use":null`:                              "its use is not a string",
	} {
		t.Run(member, func(t *testing.T) {
			got, mergeErr := Merge([]string{akp + "," + member + "}"})
			if mergeErr == nil || mergeErr.Error() != "texts[0]: "+err || got != "" {
				t.Errorf("got %s, error %v; want the error %s", got, mergeErr, err)
			}
		})
	}
	for text, err := range map[string]string{
		`{"kty":"Oct"}`: secret, `{"kty":"oct ","x":"SECRET"}`: secret, `{"kty":"SymmetricKey","x":"SECRET"}`: secret,
		`{"kty":"HMAC","key":"SECRET"}`: secret, `{"kty":"AES","value":"SECRET"}`: secret,
		`{"kty":"hmac-sha-256","x":"SECRET"}`: secret, `{"kty":"Octet Sequence","x":"SECRET"}`: secret,
		`{"kty":"NEW","alg":"HS256","x":"SECRET"}`: secret, `{"kty":"NEW","alg":"A128GCMKW","x":"SECRET"}`: secret,
		`{"kty":"NEW","alg":"dir"}`:         secret,
		`{"kty":"rsa","n":"AA","e":"AQAB"}`: "its kty must be written RSA",
		`{"kty":"EC ","crv":"P-256"}`:       "its kty must be written EC",
		`{"kty":"ＯＫＰ","crv":"X25519"}`:      "its kty must be written OKP",
		strings.Replace(p256Text, "P-256", "p-256",
			1): `the curve "p-256" is not one of P-256, P-384, P-521, secp256k1, Ed25519`,
		strings.Replace(p256Text, "P-256", "P256",
			1): `the curve "P256" is not one of P-256, P-384, P-521, secp256k1, Ed25519`,
		strings.Replace(p256Text, "P-256", "secp256r1",
			1): `the curve "secp256r1" is not one of P-256, P-384, P-521, secp256k1, Ed25519`,
		strings.Replace(edText, "Ed25519", "ED25519 ",
			1): "its crv must be Ed25519, the only one that is supported for kty OKP",
		`{"kty":"akp","alg":"ML-DSA-44","pub":"AA"}`:          "its kty must be written AKP",
		`{"kty":"AKP","alg":"ml-dsa-44","pub":"AA"}`:          onlySets,
		`{"kty":"AKP","alg":"MLDSA44","pub":"AA"}`:            onlySets,
		`{"kty":"AKP","pub":"AA"}`:                            onlySets,
		`{"kty":"AKP","alg":"SLH-DSA-SHA2-128s"}`:             "a JWK with kty AKP has the key members pub, and no others",
		`{"kty":"AKP","alg":"ML-DSA-44","pub":"AA","x":"AA"}`: "a JWK with kty AKP has the key members pub, and no others",
		`{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}`:          "an ML-DSA-44 public key has 1312 bytes, not 1",
		strings.Replace(p256Text, "FyM", "FyI", 1):            "the point is not on P-256",
		`{"kty":"OKP","crv":"X25519","x":"AA"}`:               `its x has 1 bytes, and no key on "X25519" has that many`,
		`{"kty":"OKP","crv":"X25519","x":"AA=="}`:             "its x is not base64url without padding",
		`{"kty":"OKP","crv":"X25519"}`:                        onlyX,
		`{"kty":"OKP","crv":"X25519","x":"AA","d":"AA"}`:      public,
		`{"kty":"EC","crv":"P-224","x":"AA","y":"AAAA"}`:      "its x and y do not have the same length",
		`{"kty":"EC","crv":"P-224","x":"","y":""}`:            `its x has 0 bytes, and no key on "P-224" has that many`,
		`{"kty":"EC","crv":"","x":"AA","y":"AA"}`:             "its crv is empty",
		// What only Merge keeps must not be private in a key of a known kind either.
		strings.TrimSuffix(edText, "}") + `,"a":{"d":"SECRET"}}`:          public,
		strings.TrimSuffix(edText, "}") + `,"privateKey":"SECRET"}`:       named("priv"),
		strings.TrimSuffix(edText, "}") + `,"a":[{"seed":"SECRET"}]}`:     named("seed"),
		strings.TrimSuffix(edText, "}") + `,"ext":{"kty":"oct","k":"A"}}`: public,
		strings.TrimSuffix(edText, "}") +
			`,"a":["-----BEGIN EC PRIVATE KEY-----"]}`: inPEM,
	} {
		t.Run(text, func(t *testing.T) {
			got, mergeErr := Merge([]string{text})
			if mergeErr == nil || mergeErr.Error() != "texts[0]: "+err || got != "" {
				t.Errorf("got %s, error %v; want the error %s", got, mergeErr, err)
			}
		})
	}
}
