package jwk

import (
	"slices"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

func TestAlgorithms(t *testing.T) {
	keys := newKeys(t)
	const ecdh = " ECDH-ES ECDH-ES+A128KW ECDH-ES+A192KW ECDH-ES+A256KW"
	for _, test := range []struct{ name, all, sig, enc string }{
		{"RSA", "RS256 RS384 RS512 PS256 PS384 PS512 RSA-OAEP RSA-OAEP-256 RSA-OAEP-384 RSA-OAEP-512 RSA1_5", "RS256", "RSA-OAEP"},
		{publickey.P256, "ES256" + ecdh, "ES256", "ECDH-ES"},
		{publickey.P384, "ES384" + ecdh, "ES384", "ECDH-ES"},
		{publickey.P521, "ES512" + ecdh, "ES512", "ECDH-ES"},
		{publickey.Secp256k1, "ES256K", "ES256K", ""},
		{publickey.Ed25519, "EdDSA Ed25519", "EdDSA", ""},
		{publickey.MLDSA44, "ML-DSA-44", "ML-DSA-44", ""},
		{publickey.MLDSA65, "ML-DSA-65", "ML-DSA-65", ""},
		{publickey.MLDSA87, "ML-DSA-87", "ML-DSA-87", ""},
		{"what is no key", "", "", ""},
	} {
		t.Run("those of "+test.name, func(t *testing.T) {
			pub := keys[test.name]
			all := Algorithms(pub)
			if got := strings.Join(all, " "); got != test.all {
				t.Errorf("got %s, want %s", got, test.all)
			}
			for use, want := range map[string]string{"": test.sig, Sig: test.sig, Enc: test.enc, "other": ""} {
				if got := DefaultAlg(pub, use, nil); got != want {
					t.Errorf("use %q: got the default %q, want %q", use, got, want)
				}
			}
			for _, alg := range all {
				if err := ValidAlg(pub, "", alg); err != nil {
					t.Error(err)
				}
				sig, enc := ValidAlg(pub, Sig, alg) == nil, ValidAlg(pub, Enc, alg) == nil
				if wantEnc := strings.Contains(alg, "RSA") || strings.HasPrefix(alg, "ECDH"); sig == wantEnc || enc != wantEnc {
					t.Errorf("%s is for signing: %v, for encrypting: %v", alg, sig, enc)
				}
			}
		})
	}
}

func TestAlgorithmsGivesAwayNothingOfTheTable(t *testing.T) {
	pub := newKeys(t)[publickey.P256]
	Algorithms(pub)[0] = "none"
	if got := Algorithms(pub); slices.Contains(got, "none") {
		t.Error(got)
	}
}

func TestValidAlgSaysWhatFits(t *testing.T) {
	keys := newKeys(t)
	for _, test := range []struct{ name, key, use, alg, err string }{
		{"another curve's", publickey.P256, Sig, "ES384", `the alg "ES384" does not fit an EC P-256 key of use sig; these do: ES256`},
		{"one for the other use", "RSA", Enc, "RS256", `the alg "RS256" does not fit an RSA key of use enc; these do: RSA-OAEP, RSA-OAEP-256, RSA-OAEP-384, RSA-OAEP-512, RSA1_5`},
		{"a symmetric one, for any use", publickey.Ed25519, "", "HS256", `the alg "HS256" does not fit an OKP Ed25519 key; these do: EdDSA, Ed25519`},
		{"none", publickey.Secp256k1, Sig, "none", `the alg "none" does not fit an EC secp256k1 key of use sig; these do: ES256K`},
		{"no alg", publickey.Secp256k1, Sig, "", `the alg "" does not fit an EC secp256k1 key of use sig; these do: ES256K`},
		{"encryption with a key for signatures", publickey.Ed25519, Enc, "ECDH-ES", "no alg fits an OKP Ed25519 key of use enc"},
		{"another parameter set's", publickey.MLDSA65, Sig, "ML-DSA-44",
			`the alg "ML-DSA-44" does not fit an AKP ML-DSA-65 key of use sig; these do: ML-DSA-65`},
		{"an unknown use", "RSA", "tls", "RS256", `the use "tls" is neither sig nor enc`},
		{"no key", "none", Sig, "RS256", "this kind of public key has no JWK"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := ValidAlg(keys[test.key], test.use, test.alg); err == nil || err.Error() != test.err {
				t.Errorf("got %v, want %s", err, test.err)
			}
		})
	}
}
