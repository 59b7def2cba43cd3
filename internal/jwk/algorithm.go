package jwk

import (
	"cmp"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// The values of use (RFC 7517, 4.2).
const (
	Sig = "sig"
	Enc = "enc"
)

// algorithmsOf is a row of algorithms.
type algorithmsOf struct {
	kty, of, use string // of is the curve or the parameter set; "" for RSA
	algs         []string
}

// algorithms are the algs of JOSE for a kind of key and a use. The first of a row is its default (RFC 7518, 3.1 and
// 4.1; RFC 8037, 3.1; RFC 8812; RFC 9864; RFC 9964). Keys on secp256k1 and Ed25519, and those of ML-DSA, only sign.
var algorithms = []algorithmsOf{
	{ktyRSA, "", Sig, []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}},
	{ktyRSA, "", Enc, []string{"RSA-OAEP", "RSA-OAEP-256", "RSA-OAEP-384", "RSA-OAEP-512", "RSA1_5"}},
	{ktyEC, publickey.P256, Sig, []string{"ES256"}},
	{ktyEC, publickey.P256, Enc, ecdhES},
	{ktyEC, publickey.P384, Sig, []string{"ES384"}},
	{ktyEC, publickey.P384, Enc, ecdhES},
	{ktyEC, publickey.P521, Sig, []string{"ES512"}},
	{ktyEC, publickey.P521, Enc, ecdhES},
	{ktyEC, publickey.Secp256k1, Sig, []string{"ES256K"}},
	{ktyOKP, publickey.Ed25519, Sig, []string{"EdDSA", "Ed25519"}},
	{ktyAKP, publickey.MLDSA44, Sig, []string{publickey.MLDSA44}},
	{ktyAKP, publickey.MLDSA65, Sig, []string{publickey.MLDSA65}},
	{ktyAKP, publickey.MLDSA87, Sig, []string{publickey.MLDSA87}},
}

var ecdhES = []string{"ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW"}

// Algorithms are the values of alg that fit a key, those for signatures first; the first of all is the default. There
// are none for what is not a public key of package publickey.
func Algorithms(pub crypto.PublicKey) []string { return algs(pub, "") }

// SignatureAlgorithms are the values of alg for signatures, of every kind of key together.
func SignatureAlgorithms() (all []string) {
	for _, a := range algorithms {
		if a.use == Sig {
			all = append(all, a.algs...)
		}
	}
	return all
}

// DefaultAlg is the alg of a key where none is asked for, by its use; use "" is [Sig]: the first that fits and is allowed.
// For RSA that is RS256 and RSA-OAEP, which most readers know (RFC 7518, 3.1 and 4.1). It is "" where no alg fits.
// allowed says which algs the key may be used for; nil: for all.
//
// Ory Hydra also names RS256 for a key whose use is enc. RS256 is not an encryption algorithm, so that is not repeated
// here.
func DefaultAlg(pub crypto.PublicKey, use string, allowed func(alg string) bool) string {
	for _, alg := range algs(pub, use) {
		if allowed == nil || allowed(alg) {
			return alg
		}
	}
	return ""
}

// ValidAlg is an error where an alg does not fit a key and its use; use "" is any use. The error lists the algs that
// fit.
func ValidAlg(pub crypto.PublicKey, use, alg string) error {
	fitting := algs(pub, use)
	if slices.Contains(fitting, alg) {
		return nil
	}
	key := strings.TrimSpace(Kty(pub) + " " + kindOf(pub))
	switch {
	case key == "":
		return errors.New("this kind of public key has no JWK")
	case use != "" && use != Sig && use != Enc:
		return fmt.Errorf("the use %q is neither %s nor %s", use, Sig, Enc)
	case len(fitting) == 0:
		return fmt.Errorf("no alg fits an %s key of use %s", key, use)
	case use == "":
		return fmt.Errorf("the alg %q does not fit an %s key; these do: %s", alg, key, strings.Join(fitting, ", "))
	}
	return fmt.Errorf("the alg %q does not fit an %s key of use %s; these do: %s", alg, key, use, strings.Join(fitting, ", "))
}

// algs gives the algs that fit a key and a use; use "" is any use.
func algs(pub crypto.PublicKey, use string) (fitting []string) {
	kty, of := Kty(pub), kindOf(pub)
	for _, a := range algorithms {
		if a.kty == kty && a.of == of && (use == "" || a.use == use) {
			fitting = append(fitting, a.algs...)
		}
	}
	return fitting
}

// kindOf is what tells keys of one kty apart: their curve, or their parameter set; "" for RSA.
func kindOf(pub crypto.PublicKey) string {
	return cmp.Or(publickey.Curve(pub), publickey.ParameterSet(pub))
}
