// Package publickey makes public keys of the attributes of a PKCS#11 object, reads and writes SubjectPublicKeyInfo and
// PEM, and writes OpenSSH's form. It knows nothing of tokens, of JOSE, or of Terraform.
//
//	pub, err := publickey.ParseRSA(modulus, exponent) // CKA_MODULUS, CKA_PUBLIC_EXPONENT
//	pub, curve, err := publickey.ParseEC(params, point) // CKA_EC_PARAMS, CKA_EC_POINT
//	pub, err := publickey.ParseMLDSA(set, value) // CKA_PARAMETER_SET, CKA_VALUE
//	fingerprint, err := publickey.Fingerprint(pub)
//
// A public key is one of
//
//	*rsa.PublicKey
//	*ecdsa.PublicKey      on P-256, P-384 or P-521
//	*secp256k1.PublicKey  of github.com/decred/dcrd/dcrec/secp256k1/v4
//	ed25519.PublicKey
//	*MLDSAPublicKey       on ML-DSA-44, ML-DSA-65 or ML-DSA-87
//
// A key on secp256k1 has a type of its own, since Go's *ecdsa.PublicKey encodes and decodes only the curves of Go
// itself. Go has no ML-DSA outside of itself yet.
//
// Input may be hostile: the functions then give an error. A key that they give can be used: an RSA modulus and
// exponent are in bounds, and a point lies on its curve. No error repeats key material.
package publickey

import (
	"bytes"
	"crypto"
)

// Equal says that a and b are the same public key. What is not a public key of this package equals nothing.
func Equal(a, b crypto.PublicKey) bool {
	x, errX := MarshalSPKI(a)
	y, errY := MarshalSPKI(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
