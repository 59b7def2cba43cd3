package publickey

import (
	"crypto"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// SignatureDER is an ECDSA signature in DER: a SEQUENCE of the INTEGERs r and s (ANSI X9.62; RFC 3279, 2.2.3). It is
// given as [VerifyDigest] takes it. ok is false for a key that does not sign by ECDSA, and for no such signature.
func SignatureDER(pub crypto.PublicKey, signature []byte) (der []byte, ok bool) {
	c := curveOf(pub)
	if c == nil || c.domain == nil || len(signature) == 0 || len(signature)%2 != 0 || len(signature) > 2*c.size {
		return nil, false
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(pair *cryptobyte.Builder) {
		for _, side := range [][]byte{signature[:len(signature)/2], signature[len(signature)/2:]} {
			pair.AddASN1BigInt(new(big.Int).SetBytes(side))
		}
	})
	der, err := b.Bytes()
	return der, err == nil
}

// SignatureRaw is an ECDSA signature as PKCS#11 and JOSE have it: r and s at the curve's full width, one after the
// other (RFC 7518, 3.4). It is given in DER. ok is false for a key that does not sign by ECDSA, and for no such
// signature.
func SignatureRaw(pub crypto.PublicKey, der []byte) (signature []byte, ok bool) {
	c := curveOf(pub)
	var pair cryptobyte.String
	var r, s []byte // without a sign
	in := cryptobyte.String(der)
	if c == nil || c.domain == nil ||
		!in.ReadASN1(&pair, cbasn1.SEQUENCE) || !in.Empty() || !pair.ReadASN1Integer(&r) ||
		!pair.ReadASN1Integer(&s) || !pair.Empty() || len(r) > c.size || len(s) > c.size {
		return nil, false
	}
	signature = make([]byte, 2*c.size)
	copy(signature[c.size-len(r):], r)
	copy(signature[2*c.size-len(s):], s)
	return signature, true
}

// VerifyDigestDER is VerifyDigest for a signature in DER, as some tokens give it.
func VerifyDigestDER(pub crypto.PublicKey, digest, signature []byte) bool {
	raw, ok := SignatureRaw(pub, signature)
	return ok && VerifyDigest(pub, digest, raw)
}

// CurveSize is how many bytes a coordinate on the key's curve has, 0 for a key on none.
func CurveSize(pub crypto.PublicKey) int {
	if c := curveOf(pub); c != nil {
		return c.size
	}
	return 0
}
