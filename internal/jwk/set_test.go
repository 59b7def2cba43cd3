package jwk

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// withKID is a JWK's text as it is written, with a kid.
func withKID(t testing.TB, text, kid string) string {
	t.Helper()
	key := parse(t, text)
	key.KID = kid
	written, err := key.JSON()
	if err != nil {
		t.Fatal(err)
	}
	return written
}

func TestSetJSON(t *testing.T) {
	ed, k1 := parse(t, edText), parse(t, k1Text)
	ed.KID, k1.KID = "b", "a<"
	for _, test := range []struct {
		name string
		keys []Key
		want string
	}{
		{"no keys are an empty array", nil, `{"keys":[]}`},
		{"keys stand in the order given", []Key{ed, k1}, `{"keys":[` + withKID(t, edText, "b") + `,` + withKID(t, k1Text, "a<") + `]}`},
		{"the other order", []Key{k1, ed}, `{"keys":[` + withKID(t, k1Text, "a<") + `,` + withKID(t, edText, "b") + `]}`},
	} {
		var rendered []Rendered
		for _, key := range test.keys {
			r, err := key.Render()
			if err != nil {
				t.Fatal(err)
			}
			rendered = append(rendered, r)
		}
		if got := SetJSON(rendered); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

func TestMerge(t *testing.T) {
	a, b := withKID(t, edText, "a"), withKID(t, k1Text, "b")
	const akp = `{"kty":"AKP","kid":"a","alg":"SLH-DSA-SHA2-128s","pub":"AA"}`
	zeros := `{"kty":"RSA","n":"` + encode(append([]byte{0}, parse(t,
		rsaText).PublicKey.(*rsa.PublicKey).N.Bytes()...)) + `","e":"AAEAAQ"}`
	const extra = `,"a":[1, {"b" : "<\/>"}],"x5c":["AA=="]`
	for _, test := range []struct {
		name  string
		texts []string
		want  []string
	}{
		{"nothing", nil, nil},
		{"an empty set", []string{`{"keys":[]}`}, nil},
		{"a JWK and a set, ordered by kid", []string{b, `{"keys":[` + a + `]}`}, []string{a, b}},
		{"a key given twice is there once", []string{a, `{"keys":[` + b + `,` + a + `]}`, a}, []string{a, b}},
		{"the same key written otherwise is there once", []string{a, "{ \"\\u006bid\":\"a\", " + edText[1:]}, []string{a}},
		{"the same key under two kids is there twice", []string{withKID(t, edText, "b"), a}, []string{a, withKID(t, edText, "b")}},
		// by thumbprint: 2JF8..., NzbL..., kPrK...
		{"without a kid the thumbprint decides, before those that have one", []string{a, edText, rsaText, k1Text, edText}, []string{k1Text, rsaText, edText, a}},
		{"one key without a kid, for two uses, is there twice", []string{`{"use":"sig",` + edText[1:], `{"use":"enc",` + edText[1:]}, []string{`{"use":"enc",` + edText[1:], `{"use":"sig",` + edText[1:]}},
		{"public members are kept, by name, behind the others", []string{`{"x5c":["AA=="],` + strings.TrimSuffix(edText[1:], "}") + `,"a":[1, {"b" : "<\/>"}]}`}, []string{strings.TrimSuffix(edText, "}") + strings.NewReplacer(`1, {"b" : `, `1,{"b":`).Replace(extra) + "}"}},
		{"an empty kid is kept, before others and behind none", []string{a, `{"kid":"",` + edText[1:], k1Text},
			[]string{k1Text, strings.Replace(edText, `"crv"`, `"kid":"","crv"`, 1), a}},
		{"an empty use and alg are kept", []string{`{"use":"","alg":"",` + edText[1:]},
			[]string{`{"use":"","kty":"OKP","crv":"Ed25519","alg":"",` +
				edText[len(`{"kty":"OKP","crv":"Ed25519",`):]}},
		{"zeros before a modulus are kept", []string{zeros}, []string{zeros}},
		{"one kid for different kty", []string{a, withKID(t, k1Text, "a")}, []string{withKID(t, k1Text, "a"), a}},
		{"one kid for different alg", []string{`{"kid":"a","alg":"PS256",` + rsaText[1:], `{"kid":"a","alg":"RS256",` +
			rsaText[1:], `{"kid":"a","alg":"PS256",` + rsaText[1:]},
			[]string{`{"kty":"RSA","kid":"a","alg":"PS256",` + rsaText[len(`{"kty":"RSA",`):],
				`{"kty":"RSA","kid":"a","alg":"RS256",` + rsaText[len(`{"kty":"RSA",`):]}},
		{"a kind that is not known, before others of its kid", []string{withKID(t, edText, "a"), akp}, []string{akp,
			a}},
		{"a usual letter in a member that is no key", []string{strings.TrimSuffix(edText, "}") + `,"ext":{"k":"v"}}`},
			[]string{strings.TrimSuffix(edText, "}") + `,"ext":{"k":"v"}}`}},
		{"an alg that is not known here", []string{`{"kty":"OKP","kid":"a","crv":"Ed25519","alg":"XYZ",` +
			edText[len(`{"kty":"OKP","crv":"Ed25519",`):]}, []string{`{"kty":"OKP","kid":"a","crv":"Ed25519","alg":"XYZ",` +
			edText[len(`{"kty":"OKP","crv":"Ed25519",`):]}},
		{"the alg that Hydra names for a key that encrypts", []string{`{"use":"enc","kty":"RSA","kid":"a","alg":"RS256",` +
			rsaText[len(`{"kty":"RSA",`):]}, []string{`{"use":"enc","kty":"RSA","kid":"a","alg":"RS256",` +
			rsaText[len(`{"kty":"RSA",`):]}},
		{"members of the set are left out", []string{`{"foo":1,"keys":[` + a + `]}`}, []string{a}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Merge(test.texts)
			if want := setOf(test.want); err != nil || got != want {
				t.Fatalf("got %s, error %v, want %s", got, err, want)
			}
			backward := slices.Clone(test.texts)
			slices.Reverse(backward)
			if again, err := Merge(backward); err != nil || again != got {
				t.Errorf("the other way round it is %s, error %v", again, err)
			}
			if again, err := Merge([]string{got}); err != nil || again != got {
				t.Errorf("merged again it is %s, error %v", again, err)
			}
		})
	}
}

func TestMergeRefuses(t *testing.T) {
	otherP256, err := newP256(t).JSON()
	if err != nil {
		t.Fatal(err)
	}
	withAlg := func(text, alg string) string { return `{"kid":"a","alg":"` + alg + `",` + text[1:] }
	withUse := func(text, use string) string { return `{"kid":"a","use":"` + use + `",` + text[1:] }
	a := withKID(t, edText, "a")
	private := strings.TrimSuffix(a, "}") + `,"d":"SECRET"}`
	const public = "it has a member of a private or symmetric key; only public keys belong here"
	const differ = "Verifiers could not tell them apart: "
	const another = "give one of them another kid, as another kid_format of hsm_jwks or another key_id does"
	const cure = differ + "give each an alg of its own, or " + another
	for _, test := range []struct {
		name  string
		texts []string
		err   string
	}{
		{"another key of that kid and curve, of which there is one alg", []string{withKID(t, p256Text, "a"),
			withKID(t, otherP256, "a")}, `texts[1]: the kid "a" is also that of texts[0], which is another key. ` + differ +
			another},
		{"one of which has that alg already", []string{withAlg(p256Text, "ES256"), withKID(t, otherP256, "a")},
			`texts[1]: the kid "a" is also that of texts[0], which is another key. ` + differ + another},
		{"two for encryption, which may have several algs", []string{withUse(p256Text, "enc"), withUse(otherP256, "enc")},
			`texts[1]: the kid "a" is also that of texts[0], which is another key. ` + cure},
		{"an alg of another curve", []string{withKID(t, p256Text, "a"), withAlg(otherP256, "ES384")},
			`texts[1]: the alg "ES384" does not fit an EC P-256 key; these do: ES256, ECDH-ES, ECDH-ES+A128KW, ` +
				`ECDH-ES+A192KW, ` +
				`ECDH-ES+A256KW`},
		{"an alg of another kty", []string{`{"keys":[` + withAlg(edText, "RS256") + `]}`},
			`texts[0].keys[0]: the alg "RS256" does not fit an OKP Ed25519 key; these do: EdDSA, Ed25519`},
		{"an alg of symmetric keys, with which a public key is no secret", []string{withAlg(edText, "HS256")},
			`texts[0]: the alg "HS256" does not fit an OKP Ed25519 key; these do: EdDSA, Ed25519`},
		{"PEM", []string{"-----BEGIN PUBLIC KEY-----\n"},
			"texts[0]: it is PEM, and not a JWK; the function pem_to_jwk makes a JWK of a public key"},
		{"what is not JSON", []string{a, "SECRET"}, "texts[1]: it is not JSON from byte 1 on; give a JWK as text, such as the attribute jwk of a key pair, or jsonencode({ kty = ... })"},
		{"a private JWK", []string{private}, "texts[0]: " + public},
		{"a private JWK in a set", []string{a, `{"keys":[` + a + `,` + private + `]}`}, "texts[1].keys[1]: " + public},
		{"a symmetric key in a set", []string{`{"keys":[{"kty":"oct"}]}`}, "texts[0].keys[0]: it is a symmetric key; only public keys belong here"},
		{"keys that are no array", []string{`{"keys":{}}`}, "texts[0]: its keys are not an array of objects"},
		{"keys that are null", []string{`{"keys":null}`}, "texts[0]: its keys are not an array of objects"},
		{"a key that is null", []string{`{"keys":[null]}`}, "texts[0]: its keys are not an array of objects"},
		{"a key that is a string", []string{`{"keys":["SECRET"]}`}, "texts[0]: its keys are not an array of objects"},
		{"a JWK that is a set as well", []string{`{"keys":[],` + a[1:]},
			"texts[0]: it has both kty and keys, so it is neither a JWK nor a JWK Set"},
		{"a member twice in a key of a set", []string{`{"keys":[{"kid":"a",` + a[1:] + `]}`}, "texts[0]: an object in it names a member twice; leave one out"},
		{"another key of that kid and kty", []string{withKID(t, p256Text, "a"), `{"keys":[` + withKID(t, k1Text, "a") +
			`]}`},
			`texts[1].keys[0]: the kid "a" is also that of texts[0], which is another key (EC secp256k1 and EC P-256). ` + cure},
		{"another key of an empty kid", []string{`{"kid":"",` + p256Text[1:], `{"kid":"",` + k1Text[1:]},
			`texts[1]: the kid "" is also that of texts[0], which is another key (EC secp256k1 and EC P-256). ` + cure},
		{"another key of that kid, kty and alg", []string{`{"alg":"SLH-DSA-SHA2-128s","kty":"AKP","kid":"a","pub":"AA"}`, a,
			`{"alg":"SLH-DSA-SHA2-128s","kty":"AKP","kid":"a","pub":"AQ"}`},
			`texts[2]: the kid "a" is also that of texts[0], which is not the same JWK. ` + differ + another},
		{"a key on another OKP curve, without an alg", []string{
			`{"kty":"OKP","kid":"a","crv":"X25519","x":"` + encode(make([]byte, 32)) + `"}`, a,
		},
			`texts[1]: the kid "a" is also that of texts[0], which is not the same JWK. ` + cure},
		{"a key without an alg, which may have any", []string{`{"alg":"PS256","kid":"a",` + rsaText[1:],
			`{"alg":"RS256","kid":"a",` + rsaText[1:], `{"kid":"a",` + rsaText[1:]},
			`texts[2]: the kid "a" is also that of texts[0], which is the same key with other members. Leave one of them out`},
		{"the same key of that kid with another alg",
			[]string{`{"keys":[` + a + `]}`, strings.Replace(a, `"kty"`, `"alg":"EdDSA","kty"`, 1)},
			`texts[1]: the kid "a" is also that of texts[0].keys[0], which is the same key with other members. Leave one of them out`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Merge(test.texts)
			if err == nil || err.Error() != test.err || got != "" {
				t.Errorf("got %s, error %v; want the error %s", got, err, test.err)
			}
		})
	}
}

// newP256 is a key on P-256 that no other test has.
func newP256(t *testing.T) Key {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return Key{PublicKey: &key.PublicKey}
}

func FuzzMerge(f *testing.F) {
	f.Add(rsaText, `{"keys":[`+p256Text+`,`+edText+`]}`)
	f.Add(withKID(f, k1Text, "a"), withKID(f, edText, "a"))
	f.Add(`{"x5c":["\u003c"],"a\u2028":1e999,`+edText[1:], edText)
	f.Add(`{"kty":"AKP","a":[{"D":1}],"kid":""}`, `{"kty":"OKP","crv":"X25519","x":"AA"}`)
	f.Add(`{"keys":[{"kty":"oct","k":"AA"}]}`, `{"keys":null}`)
	f.Fuzz(func(t *testing.T, first, second string) {
		merged, err := Merge([]string{first, second})
		backward, backwardErr := Merge([]string{second, first})
		if (err == nil) != (backwardErr == nil) || merged != backward {
			t.Fatalf("one way %s, %v; the other way %s, %v", merged, err, backward, backwardErr)
		}
		if err != nil {
			return
		}
		if again, err := Merge([]string{merged}); err != nil || again != merged {
			t.Fatalf("%s is merged again as %s, error %v", merged, again, err)
		}
		var set struct{ Keys []map[string]any }
		decoder := json.NewDecoder(strings.NewReader(merged))
		decoder.UseNumber()
		if err := decoder.Decode(&set); err != nil {
			t.Fatal(err)
		}
		for _, key := range set.Keys {
			if name := secretIn(key, false); name != "" {
				t.Fatalf("%s has the member %s", merged, name)
			}
		}
	})
}

// secretIn is a private or symmetric member in a key, and in whatever depth of it but for letters that may mean
// anything there. It is "" where there is none.
func secretIn(value any, within bool) string {
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			if slices.ContainsFunc(secretMembers, func(secret string) bool { return strings.EqualFold(name, secret) }) &&
				(!within || !slices.Contains(commonLetters, strings.ToLower(name))) {
				return name
			}
			if inside := secretIn(member, true); inside != "" {
				return inside
			}
		}
	case []any:
		for _, element := range value {
			if inside := secretIn(element, true); inside != "" {
				return inside
			}
		}
	}
	return ""
}
