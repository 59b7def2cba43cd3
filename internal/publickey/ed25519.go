package publickey

import (
	"crypto"
	"crypto/ed25519"
	"math/big"
	"slices"
)

// The curve edwards25519, -x² + y² = 1 + d·x²·y² modulo p (RFC 8032, 5.1).
var (
	edP, _ = new(big.Int).SetString("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed", 16)
	edD, _ = new(big.Int).SetString("52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3", 16)
)

// decodeEd25519 makes a key of 32 bytes if they are a point as RFC 8032, 5.1.3 decodes it, in its one canonical
// encoding, and not one of the eight points of small order. All zeros is such a point, and anybody can make a
// signature that verifies with it. Go does not export its own decoding, hence the arithmetic here; it needs only x²,
// never x.
func decodeEd25519(_ *curve, point []byte) (crypto.PublicKey, bool) {
	bigEndian := slices.Clone(point)
	slices.Reverse(bigEndian)
	odd := bigEndian[0]&0x80 != 0 // the sign of x
	bigEndian[0] &= 0x7f
	y := new(big.Int).SetBytes(bigEndian)
	if y.Cmp(edP) >= 0 {
		return nil, false
	}
	one := big.NewInt(1)
	yy := edMul(y, y)
	xx := edDiv(new(big.Int).Sub(yy, one), new(big.Int).Add(edMul(edD, yy), one))
	if big.Jacobi(xx, edP) < 0 || xx.Sign() == 0 && odd {
		return nil, false
	}
	// Doubled three times, a point of small order is the neutral one, (0, 1). d is not a square modulo p, so no divisor
	// here is zero.
	for range 3 {
		both := edMul(xx, yy)
		dBoth := edMul(edD, both)
		sum := new(big.Int).Add(one, dBoth)
		y = edDiv(new(big.Int).Add(xx, yy), new(big.Int).Sub(one, dBoth))
		xx = edDiv(edMul(big.NewInt(4), both), edMul(sum, sum))
		yy = edMul(y, y)
	}
	if y.Cmp(one) == 0 {
		return nil, false
	}
	return ed25519.PublicKey(slices.Clone(point)), true
}

func edMul(a, b *big.Int) *big.Int {
	product := new(big.Int).Mul(a, b)
	return product.Mod(product, edP)
}

func edDiv(a, b *big.Int) *big.Int {
	divisor := new(big.Int).Mod(b, edP)
	return edMul(a, divisor.ModInverse(divisor, edP))
}
