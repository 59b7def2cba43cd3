package publickey

import (
	"bytes"
	"encoding/asn1"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var oidPrimeField = asn1.ObjectIdentifier{1, 2, 840, 10045, 1, 1}

// curveOfDomain is the curve whose numbers stand in an ECParameters (SEC 1, C.2; RFC 3279, 2.3.5), nil where they are
// not all those of one curve. The generator counts too: with one of its own choice, anybody finds a private key for
// any point (CVE-2020-0601).
func curveOfDomain(domain cryptobyte.String) *curve {
	var version int
	var field, equation, a, b, base cryptobyte.String
	var fieldType asn1.ObjectIdentifier
	var seed []byte
	p, order, cofactor := new(big.Int), new(big.Int), big.NewInt(1)
	if !domain.ReadASN1Integer(&version) || version < 1 || version > 3 ||
		!domain.ReadASN1(&field, cbasn1.SEQUENCE) || !field.ReadASN1ObjectIdentifier(&fieldType) ||
		!fieldType.Equal(oidPrimeField) || !field.ReadASN1Integer(p) || !field.Empty() ||
		!domain.ReadASN1(&equation, cbasn1.SEQUENCE) ||
		!equation.ReadASN1(&a, cbasn1.OCTET_STRING) || !equation.ReadASN1(&b, cbasn1.OCTET_STRING) ||
		!equation.Empty() && !equation.ReadASN1BitStringAsBytes(&seed) || !equation.Empty() ||
		!domain.ReadASN1(&base, cbasn1.OCTET_STRING) || !domain.ReadASN1Integer(order) ||
		!domain.Empty() && !domain.ReadASN1Integer(cofactor) || !domain.Empty() || cofactor.Cmp(big.NewInt(1)) != 0 {
		return nil
	}
	return findCurve(func(c *curve) bool {
		if c.domain == nil || p.Cmp(c.domain.P) != 0 || order.Cmp(c.domain.N) != 0 ||
			new(big.Int).SetBytes(b).Cmp(c.domain.B) != 0 {
			return false
		}
		wantA := new(big.Int).Mod(big.NewInt(c.a), p)
		generator, err := c.parse(base)
		return err == nil && new(big.Int).SetBytes(a).Cmp(wantA) == 0 && bytes.Equal(Point(generator), c.generator())
	})
}

// generator is the curve's base point, uncompressed.
func (c *curve) generator() []byte {
	point := make([]byte, 1+2*c.size)
	point[0] = 4
	c.domain.Gx.FillBytes(point[1 : 1+c.size])
	c.domain.Gy.FillBytes(point[1+c.size:])
	return point
}
