package publickey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"math/big"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secp256k1ecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// Verify says that a signature of a text is the key's, in the form that tokens give. ECDSA is over SHA-256; Ed25519 has
// the 64 bytes of RFC 8032, 5.1.6; ML-DSA is pure and without a context (FIPS 204, 5.2). Verify is false for RSA keys.
func Verify(pub crypto.PublicKey, text, signature []byte) bool {
	if key, ok := pub.(ed25519.PublicKey); ok {
		return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, text, signature)
	}
	if key := mldsaOf(pub); key != nil {
		return key.verify(text, signature)
	}
	digest := sha256.Sum256(text)
	return VerifyDigest(pub, digest[:], signature)
}

// VerifyDigest says that an ECDSA signature of a digest is the key's. It has r and s at the same width, one after the
// other (PKCS#11 v2.40, CKM_ECDSA). VerifyDigest is false for keys that do not sign by ECDSA.
func VerifyDigest(pub crypto.PublicKey, digest, signature []byte) bool {
	c := curveOf(pub)
	if c == nil || len(signature)%2 != 0 || len(signature) > 2*c.size {
		return false
	}
	r, s := signature[:len(signature)/2], signature[len(signature)/2:]
	switch key := pub.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.Verify(key, digest, new(big.Int).SetBytes(r), new(big.Int).SetBytes(s))
	case *secp256k1.PublicKey:
		var scalars [2]secp256k1.ModNScalar
		for i, part := range [][]byte{r, s} {
			if scalars[i].SetByteSlice(part) || scalars[i].IsZero() { // it must be less than the order, and not 0
				return false
			}
		}
		return secp256k1ecdsa.NewSignature(&scalars[0], &scalars[1]).Verify(digest, key)
	}
	return false
}
