package jwk

import (
	"crypto"
	"crypto/sha256"
	"fmt"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// thumbprints are the texts that a thumbprint is computed over: the members in the order of their names, without white
// space (RFC 7638, 3.2; RFC 8037, 2; RFC 9964).
var thumbprints = map[string]func(members) string{
	ktyRSA: func(m members) string { return fmt.Sprintf(`{"e":"%s","kty":"RSA","n":"%s"}`, m.E, m.N) },
	ktyEC: func(m members) string {
		return fmt.Sprintf(`{"crv":"%s","kty":"EC","x":"%s","y":"%s"}`, m.Crv, m.X, m.Y)
	},
	ktyOKP: func(m members) string { return fmt.Sprintf(`{"crv":"%s","kty":"OKP","x":"%s"}`, m.Crv, m.X) },
	ktyAKP: func(m members) string { return fmt.Sprintf(`{"alg":"%s","kty":"AKP","pub":"%s"}`, m.Alg, m.Pub) },
}

// Thumbprint is the SHA-256 JWK thumbprint (RFC 7638) of a key, in base64url. It depends on the key alone: kid and
// use do not matter, nor does an alg that is no part of the key.
func Thumbprint(pub crypto.PublicKey) (string, error) {
	m, err := keyMembers(pub)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(thumbprints[m.Kty](m)))
	return encode(sum[:]), nil
}

// ThumbprintJSON is [Thumbprint] of a JWK's text.
func ThumbprintJSON(jwk string) (string, error) {
	key, err := Parse(jwk)
	if err != nil {
		return "", err
	}
	return Thumbprint(key.PublicKey)
}

// SPKISHA256 is the SHA-256 of a key's SubjectPublicKeyInfo, in base64url: the kid that Kubernetes gives to keys of
// service accounts. It depends on the key alone.
func SPKISHA256(pub crypto.PublicKey) (string, error) {
	der, err := publickey.MarshalSPKI(pub)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(der)
	return encode(sum[:]), nil
}

// SPKISHA256JSON is [SPKISHA256] of a JWK's text.
func SPKISHA256JSON(jwk string) (string, error) {
	key, err := Parse(jwk)
	if err != nil {
		return "", err
	}
	return SPKISHA256(key.PublicKey)
}
