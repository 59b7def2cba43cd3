package publickey

import (
	"bytes"
	"crypto/elliptic"
	"encoding/asn1"
	"math/big"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var oidPrimeField = asn1.ObjectIdentifier{1, 2, 840, 10045, 1, 1}

// domain are the numbers that make a curve y² = x³ + a·x + b modulo p, and its generator, of order n.
type domain struct{ p, a, b, n, gx, gy *big.Int }

func domainNIST(curve elliptic.Curve) *domain {
	c := curve.Params()
	return &domain{c.P, new(big.Int).Sub(c.P, big.NewInt(3)), c.B, c.N, c.Gx, c.Gy}
}

// domainSecp256k1 has a = 0 and b = 7 (SEC 2, 2.4.1).
func domainSecp256k1() *domain {
	c := secp256k1.Params()
	return &domain{c.P, new(big.Int), big.NewInt(7), c.N, c.Gx, c.Gy}
}

// curveOfDomain is the curve whose numbers stand in an ECParameters (SEC 1, C.2; RFC 3279, 2.3.5), nil where they are
// not all those of one curve. The generator counts too: with one of its own choice, anybody finds a private key for
// any point (CVE-2020-0601).
func curveOfDomain(numbers cryptobyte.String) *curve {
	var version int
	var field, equation, a, b, base cryptobyte.String
	var fieldType asn1.ObjectIdentifier
	var seed []byte
	p, order, cofactor := new(big.Int), new(big.Int), big.NewInt(1)
	if !numbers.ReadASN1Integer(&version) || version < 1 || version > 3 ||
		!numbers.ReadASN1(&field, cbasn1.SEQUENCE) || !field.ReadASN1ObjectIdentifier(&fieldType) ||
		!fieldType.Equal(oidPrimeField) || !field.ReadASN1Integer(p) || !field.Empty() ||
		!numbers.ReadASN1(&equation, cbasn1.SEQUENCE) ||
		!equation.ReadASN1(&a, cbasn1.OCTET_STRING) || !equation.ReadASN1(&b, cbasn1.OCTET_STRING) ||
		!equation.Empty() && !equation.ReadASN1BitStringAsBytes(&seed) || !equation.Empty() ||
		!numbers.ReadASN1(&base, cbasn1.OCTET_STRING) || !numbers.ReadASN1Integer(order) ||
		!numbers.Empty() && !numbers.ReadASN1Integer(cofactor) || !numbers.Empty() || cofactor.Cmp(big.NewInt(1)) != 0 {
		return nil
	}
	return findCurve(func(c *curve) bool {
		d := c.domain
		if d == nil || p.Cmp(d.p) != 0 || order.Cmp(d.n) != 0 ||
			new(big.Int).SetBytes(a).Cmp(d.a) != 0 || new(big.Int).SetBytes(b).Cmp(d.b) != 0 {
			return false
		}
		generator, err := c.parse(base)
		return err == nil && bytes.Equal(Point(generator), c.generator())
	})
}

// generator is the curve's base point, uncompressed.
func (c *curve) generator() []byte {
	point := make([]byte, 1+2*c.size)
	point[0] = 4
	c.domain.gx.FillBytes(point[1 : 1+c.size])
	c.domain.gy.FillBytes(point[1+c.size:])
	return point
}
