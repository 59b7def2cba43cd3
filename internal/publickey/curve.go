package publickey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// The curves, by the names that JOSE gives them (RFC 7518, 6.2.1.1; RFC 8037, 2; RFC 8812, 3.1).
const (
	P256      = "P-256"
	P384      = "P-384"
	P521      = "P-521"
	Secp256k1 = "secp256k1"
	Ed25519   = "Ed25519"
)

// curve is what differs between curves. The table curves has a row for each.
type curve struct {
	name  string
	size  int                     // of a coordinate, in bytes
	oids  []asn1.ObjectIdentifier // the first is written
	names []string                // other names, in any case, as tokens and standards give them
	// printable is the name in CKA_EC_PARAMS when a key is made; "" where that is the OID.
	printable string
	ssh       string         // the name in OpenSSH keys (RFC 5656, 10.1), "" where there is none
	nist      elliptic.Curve // nil where a key is not an *ecdsa.PublicKey
	domain    *domain        // nil for an Edwards curve
	// decode makes the key of a point in one of the curve's forms. It is false for a point that is not on the curve.
	decode func(c *curve, point []byte) (crypto.PublicKey, bool)
}

var curves = []curve{
	{
		name: P256, size: 32, oids: []asn1.ObjectIdentifier{{1, 2, 840, 10045, 3, 1, 7}},
		names: []string{"secp256r1", "prime256v1"}, ssh: "nistp256", nist: elliptic.P256(), decode: decodeNIST,
		domain: domainNIST(elliptic.P256()),
	},
	{
		name: P384, size: 48, oids: []asn1.ObjectIdentifier{{1, 3, 132, 0, 34}},
		names: []string{"secp384r1"}, ssh: "nistp384", nist: elliptic.P384(), decode: decodeNIST,
		domain: domainNIST(elliptic.P384()),
	},
	{
		name: P521, size: 66, oids: []asn1.ObjectIdentifier{{1, 3, 132, 0, 35}},
		names: []string{"secp521r1"}, ssh: "nistp521", nist: elliptic.P521(), decode: decodeNIST,
		domain: domainNIST(elliptic.P521()),
	},
	{
		name: Secp256k1, size: 32, oids: []asn1.ObjectIdentifier{{1, 3, 132, 0, 10}}, decode: decodeSecp256k1,
		domain: domainSecp256k1(),
	},
	{
		// The OIDs are those of RFC 8410 (PKCS#11 3.2) and of PKCS#11 3.0 and 3.1. More tokens know the curve only by
		// its printable name than do not know that name.
		name: Ed25519, size: 32, oids: []asn1.ObjectIdentifier{{1, 3, 101, 112}, {1, 3, 6, 1, 4, 1, 11591, 15, 1}},
		names: []string{"edwards25519"}, printable: "edwards25519", decode: decodeEd25519,
	},
}

// Curves lists the curves, by their JOSE names.
func Curves() []string {
	names := make([]string, len(curves))
	for i, c := range curves {
		names[i] = c.name
	}
	return names
}

// CurveCalled is the JOSE name of a curve that others call otherwise, such as prime256v1, nistp256, p256 or ed25519, in
// any case. It is "" where no curve is called that.
func CurveCalled(other string) string {
	for _, c := range curves {
		names := append([]string{c.name, strings.ReplaceAll(c.name, "-", ""), c.ssh}, c.names...)
		if other != "" && slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, other) }) {
			return c.name
		}
	}
	return ""
}

// Curve is the JOSE name of the curve that a key is on, "" for RSA and for what is not a public key of this package.
func Curve(pub crypto.PublicKey) string {
	if c := curveOf(pub); c != nil {
		return c.name
	}
	return ""
}

// Point is the point of a key on a curve: uncompressed (SEC 1, 2.3.3: 0x04, x and y at full width), or for Ed25519 its
// 32 bytes (RFC 8032, 5.1.2). It is nil for RSA and for what is not a public key of this package.
func Point(pub crypto.PublicKey) []byte {
	if curveOf(pub) == nil {
		return nil
	}
	switch key := pub.(type) {
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			return nil
		}
		return point
	case *secp256k1.PublicKey:
		return key.SerializeUncompressed()
	case ed25519.PublicKey:
		return slices.Clone(key)
	}
	return nil
}

// ECParams is the CKA_EC_PARAMS to make a key with, DER: the OID of the curve, or for Ed25519 the PrintableString
// "edwards25519", which some tokens want. ok is false for a curve that is not one of [Curves].
func ECParams(curve string) (params []byte, ok bool) {
	c := curveNamed(curve)
	if c != nil && c.printable != "" {
		return mustMarshal(c.printable, "printable"), true
	}
	return ECParamsOID(curve)
}

// ECParamsOID is ECParams by the curve's OID alone, for tokens that know Ed25519 by nothing else.
func ECParamsOID(curve string) (params []byte, ok bool) {
	c := curveNamed(curve)
	if c == nil {
		return nil, false
	}
	return c.oid(), true
}

// ECParamsGNU is ECParamsOID by the older OID of Ed25519, which GnuPG gave it.
func ECParamsGNU(curve string) (params []byte, ok bool) {
	if c := curveNamed(curve); c != nil && c.name == Ed25519 {
		return mustMarshal(c.oids[1], ""), true
	}
	return ECParamsOID(curve)
}

// ParseECParams gives the curve that CKA_EC_PARAMS names, by its JOSE name. It reads what [ParseEC] reads.
func ParseECParams(params []byte) (curve string, err error) {
	c, err := parseParams(params)
	if err != nil {
		return "", fmt.Errorf("CKA_EC_PARAMS %w", err)
	}
	return c.name, nil
}

// ParseEC makes a public key of CKA_EC_PARAMS and CKA_EC_POINT (PKCS#11 3.0, elliptic curve and Edwards public key
// objects), in the forms that tokens give. The parameters are the curve's OID or its name as a PrintableString, both
// DER, or just the text of its name. The point is uncompressed or compressed, or 32 bytes for Ed25519. It is raw or in
// a DER OCTET STRING, or on Ed25519 in a DER BIT STRING, which some tokens take RFC 8410 to mean; on one curve, no
// length fits two of these. The curve is returned by its JOSE name. An error names the attribute at fault. It is an
// [UnsupportedCurveError] if only the curve is at fault.
func ParseEC(params, point []byte) (key crypto.PublicKey, curve string, err error) {
	c, err := parseParams(params)
	if err != nil {
		return nil, "", fmt.Errorf("CKA_EC_PARAMS %w", err)
	}
	if !c.fits(point) {
		if raw, ok := c.unwrap(point); ok {
			point = raw
		}
	}
	key, err = c.parse(point)
	if err != nil {
		return nil, "", fmt.Errorf("CKA_EC_POINT %w", err)
	}
	return key, c.name, nil
}

// NewEC makes the key of a point on a curve of [Curves], as [Point] gives it, or compressed.
func NewEC(curve string, point []byte) (crypto.PublicKey, error) {
	c := curveNamed(curve)
	if c == nil {
		return nil, fmt.Errorf("the curve %q is not one of %s", curve, strings.Join(Curves(), ", "))
	}
	key, err := c.parse(point)
	if err != nil {
		return nil, fmt.Errorf("the point %w", err)
	}
	return key, nil
}

func curveNamed(name string) *curve {
	return findCurve(func(c *curve) bool { return c.name == name })
}

func curveOf(pub crypto.PublicKey) *curve {
	switch key := pub.(type) {
	case *ecdsa.PublicKey:
		return findCurve(func(c *curve) bool { return key != nil && c.nist != nil && c.nist == key.Curve })
	case *secp256k1.PublicKey:
		if key != nil {
			return curveNamed(Secp256k1)
		}
	case ed25519.PublicKey:
		if len(key) == ed25519.PublicKeySize {
			return curveNamed(Ed25519)
		}
	}
	return nil
}

func findCurve(is func(*curve) bool) *curve {
	for i := range curves {
		if is(&curves[i]) {
			return &curves[i]
		}
	}
	return nil
}

// parseParams reads CKA_EC_PARAMS. Its errors continue a sentence that begins with the attribute's name.
func parseParams(params []byte) (*curve, error) {
	var oid asn1.ObjectIdentifier
	var name cryptobyte.String
	if len(params) == 0 {
		return nil, errors.New("is absent")
	}
	if in := cryptobyte.String(params); in.ReadASN1ObjectIdentifier(&oid) && in.Empty() {
		if c := curveIdentified(oid); c != nil {
			return c, nil
		}
		return nil, &UnsupportedCurveError{Curve: oid.String()}
	}
	var domain cryptobyte.String
	if in := cryptobyte.String(params); in.ReadASN1(&domain, cbasn1.SEQUENCE) && in.Empty() {
		return nil, &UnsupportedCurveError{Curve: "of explicit parameters"}
	}
	if in := cryptobyte.String(params); !in.ReadASN1(&name, cbasn1.PrintableString) || !in.Empty() {
		name = params
	}
	c := findCurve(func(c *curve) bool {
		return strings.EqualFold(c.name, string(name)) ||
			slices.ContainsFunc(c.names, func(n string) bool { return strings.EqualFold(n, string(name)) })
	})
	switch {
	case c != nil:
		return c, nil
	case isText(name):
		return nil, &UnsupportedCurveError{Curve: string(name)}
	}
	return nil, fmt.Errorf("is neither the OID nor the name of one of %s", strings.Join(Curves(), ", "))
}

func isText(name []byte) bool {
	return len(name) > 0 && !slices.ContainsFunc(name, func(b byte) bool { return b < ' ' || b > '~' })
}

// UnsupportedCurveError says that CKA_EC_PARAMS make sense, but name a curve that is not one of [Curves].
type UnsupportedCurveError struct {
	Curve string // its OID or name, or "of explicit parameters"
}

func (e *UnsupportedCurveError) Error() string {
	return fmt.Sprintf("names the curve %s, which is not one of %s", e.Curve, strings.Join(Curves(), ", "))
}

func curveIdentified(oid asn1.ObjectIdentifier) *curve {
	return findCurve(func(c *curve) bool { return slices.ContainsFunc(c.oids, oid.Equal) })
}

// unwrap takes a point out of a DER OCTET STRING, or on Ed25519 out of a DER BIT STRING.
func (c *curve) unwrap(der []byte) (point []byte, ok bool) {
	in := cryptobyte.String(der)
	if c.name == Ed25519 && in.PeekASN1Tag(cbasn1.BIT_STRING) {
		return point, in.ReadASN1BitStringAsBytes(&point) && in.Empty()
	}
	if size := 1 + 2*c.size; size > 127 && len(der) == 2+size && der[0] == 4 && der[1] == byte(size) {
		return der[2:], true // some tokens write the length of such a point as if it were a short one
	}
	var octets cryptobyte.String
	return octets, in.ReadASN1(&octets, cbasn1.OCTET_STRING) && in.Empty()
}

// parse makes the key of a raw point. Its errors continue a sentence that begins with the point's name.
func (c *curve) parse(point []byte) (crypto.PublicKey, error) {
	switch {
	case len(point) == 0:
		return nil, errors.New("is absent")
	case !c.fits(point):
		return nil, fmt.Errorf("is not a point on %s: its %d bytes have none of the forms that a point can have",
			c.name, len(point))
	}
	key, ok := c.decode(c, point)
	if !ok {
		return nil, fmt.Errorf("is not on %s", c.name)
	}
	return key, nil
}

// fits says that a point has one of the curve's forms: a length with the right first byte.
func (c *curve) fits(point []byte) bool {
	if c.name == Ed25519 {
		return len(point) == c.size
	}
	switch len(point) {
	case 1 + 2*c.size:
		return point[0] == 4
	case 1 + c.size:
		return point[0] == 2 || point[0] == 3
	}
	return false
}

// oid is the curve's OID as DER.
func (c *curve) oid() []byte { return mustMarshal(c.oids[0], "") }

// mustMarshal gives the DER of a constant in the table.
func mustMarshal(constant any, params string) []byte {
	der, err := asn1.MarshalWithParams(constant, params)
	if err != nil {
		panic(err) // not reached: a test marshals each row
	}
	return der
}

func decodeNIST(c *curve, point []byte) (crypto.PublicKey, bool) {
	if point[0] != 4 {
		x, y := elliptic.UnmarshalCompressed(c.nist, point)
		if x == nil {
			return nil, false
		}
		whole := make([]byte, 1+2*c.size)
		whole[0] = 4
		x.FillBytes(whole[1 : 1+c.size])
		y.FillBytes(whole[1+c.size:])
		point = whole
	}
	key, err := ecdsa.ParseUncompressedPublicKey(c.nist, point)
	return key, err == nil
}

func decodeSecp256k1(_ *curve, point []byte) (crypto.PublicKey, bool) {
	key, err := secp256k1.ParsePubKey(point)
	return key, err == nil
}
