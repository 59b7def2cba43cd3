package publickey

import (
	"crypto"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// VerifyDigestDER is VerifyDigest for a signature in DER: a SEQUENCE of the INTEGERs r and s (ANSI X9.62; RFC 3279,
// 2.2.3), as some tokens give it.
func VerifyDigestDER(pub crypto.PublicKey, digest, signature []byte) bool {
	c := curveOf(pub)
	var pair cryptobyte.String
	var r, s []byte // without a sign
	in := cryptobyte.String(signature)
	if c == nil || !in.ReadASN1(&pair, cbasn1.SEQUENCE) || !in.Empty() || !pair.ReadASN1Integer(&r) ||
		!pair.ReadASN1Integer(&s) || !pair.Empty() || len(r) > c.size || len(s) > c.size {
		return false
	}
	side := make([]byte, 2*c.size)
	copy(side[c.size-len(r):], r)
	copy(side[2*c.size-len(s):], s)
	return VerifyDigest(pub, digest, side)
}
