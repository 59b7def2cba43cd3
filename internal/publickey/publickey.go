// Package publickey is public keys as Go values: out of the attributes of a PKCS#11 object, to and from
// SubjectPublicKeyInfo and PEM, and into OpenSSH's form. It knows nothing of tokens, of JOSE, or of Terraform.
//
//	pub, err := publickey.ParseRSA(modulus, exponent) // CKA_MODULUS, CKA_PUBLIC_EXPONENT
//	pub, curve, err := publickey.ParseEC(params, point) // CKA_EC_PARAMS, CKA_EC_POINT
//	fingerprint, err := publickey.Fingerprint(pub)
//
// A public key is one of
//
//	*rsa.PublicKey
//	*ecdsa.PublicKey      on P-256, P-384 or P-521
//	*secp256k1.PublicKey  of github.com/decred/dcrd/dcrec/secp256k1/v4
//	ed25519.PublicKey
//
// secp256k1 is a type of its own, since Go's *ecdsa.PublicKey encodes and decodes only the curves of Go itself.
//
// What is parsed may be hostile: the functions answer with an error, and what they give back is a key that can
// be used: an RSA modulus and exponent in bounds, a point that lies on its curve. No error repeats key material.
package publickey

import (
	"bytes"
	"crypto"
)

// Equal reports whether a and b are the same public key. What is no public key of this package equals nothing.
func Equal(a, b crypto.PublicKey) bool {
	x, errX := MarshalSPKI(a)
	y, errY := MarshalSPKI(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
