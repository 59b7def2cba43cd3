package publickey

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidRSA = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1} // rsaEncryption, RFC 3279, 2.3.1
	oidEC  = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}     // id-ecPublicKey, RFC 5480, 2.1.1
)

// MarshalSPKI is the key's SubjectPublicKeyInfo (RFC 5280, 4.1.2.7), DER. A key on a curve is an uncompressed point on
// a named curve (RFC 5480, RFC 8410).
func MarshalSPKI(pub crypto.PublicKey) ([]byte, error) {
	if key, ok := pub.(*rsa.PublicKey); ok {
		if key == nil || key.N == nil {
			return nil, errors.New("no RSA public key")
		}
		return x509.MarshalPKIXPublicKey(key)
	}
	c := curveOf(pub)
	if c == nil {
		return nil, fmt.Errorf("%T is not a public key that can be encoded", pub)
	}
	if _, ok := pub.(*secp256k1.PublicKey); !ok {
		return x509.MarshalPKIXPublicKey(pub)
	}
	point := Point(pub)
	return asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}{
		pkix.AlgorithmIdentifier{Algorithm: oidEC, Parameters: asn1.RawValue{FullBytes: c.oid()}},
		asn1.BitString{Bytes: point, BitLength: 8 * len(point)},
	})
}

// ParseSPKI reads a SubjectPublicKeyInfo, DER with nothing after it. A point may be compressed.
func ParseSPKI(der []byte) (crypto.PublicKey, error) {
	in := cryptobyte.String(der)
	var info, params cryptobyte.String
	var algorithm asn1.ObjectIdentifier
	var key []byte
	if !in.ReadASN1(&info, cbasn1.SEQUENCE) || !in.Empty() ||
		!info.ReadASN1(&params, cbasn1.SEQUENCE) || !params.ReadASN1ObjectIdentifier(&algorithm) ||
		!info.ReadASN1BitStringAsBytes(&key) || !info.Empty() {
		return nil, errors.New("the key is not a SubjectPublicKeyInfo")
	}
	switch {
	case algorithm.Equal(oidRSA):
		var null cryptobyte.String
		if !params.ReadASN1(&null, cbasn1.NULL) || !null.Empty() || !params.Empty() {
			return nil, errors.New("the key is RSA, but its parameters are not NULL")
		}
		return parsePKCS1(key)
	case algorithm.Equal(oidEC):
		return parseECInfo(params, key)
	}
	if c := curveIdentified(algorithm); c != nil && c.name == Ed25519 {
		if !params.Empty() {
			return nil, errors.New("the key is Ed25519, but it has parameters")
		}
		return NewEC(c.name, key)
	}
	return nil, fmt.Errorf("the key's algorithm is %s; only RSA, EC and Ed25519 are supported", algorithm)
}

func parseECInfo(params cryptobyte.String, point []byte) (crypto.PublicKey, error) {
	var oid asn1.ObjectIdentifier
	if !params.ReadASN1ObjectIdentifier(&oid) || !params.Empty() {
		return nil, errors.New("the key's curve is not given by its OID")
	}
	c := curveIdentified(oid)
	if c == nil || c.name == Ed25519 {
		return nil, fmt.Errorf("the key is on the curve %s, which is not one of %s", oid, strings.Join(Curves(), ", "))
	}
	return NewEC(c.name, point)
}

// parsePKCS1 reads an RSAPublicKey (RFC 8017, A.1.1).
func parsePKCS1(der []byte) (crypto.PublicKey, error) {
	in := cryptobyte.String(der)
	var numbers cryptobyte.String
	modulus, exponent := new(big.Int), new(big.Int)
	if !in.ReadASN1(&numbers, cbasn1.SEQUENCE) || !in.Empty() ||
		!numbers.ReadASN1Integer(modulus) || !numbers.ReadASN1Integer(exponent) || !numbers.Empty() ||
		modulus.Sign() < 0 || exponent.Sign() < 0 {
		return nil, errors.New("the key is not an RSAPublicKey")
	}
	key, err := NewRSA(modulus.Bytes(), exponent.Bytes())
	if err != nil {
		return nil, err
	}
	return key, nil
}

// Fingerprint is the SHA-256 of the key's SubjectPublicKeyInfo, in lower-case hex.
func Fingerprint(pub crypto.PublicKey) (string, error) {
	der, err := MarshalSPKI(pub)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}

// The labels of PEM blocks that hold a public key (RFC 7468, 13 and 5), and what reads each.
var pemBlocks = map[string]func(der []byte) (crypto.PublicKey, error){
	"PUBLIC KEY":     ParseSPKI,
	"RSA PUBLIC KEY": parsePKCS1,
	"CERTIFICATE": func(der []byte) (crypto.PublicKey, error) {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, errors.New("the certificate cannot be read")
		}
		return ParseSPKI(certificate.RawSubjectPublicKeyInfo)
	},
}

// PEM is the key's SubjectPublicKeyInfo as a PEM block "PUBLIC KEY" (RFC 7468, 13), with a newline at its end.
func PEM(pub crypto.PublicKey) (string, error) {
	der, err := MarshalSPKI(pub)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

// ParsePEM reads a text that is one PEM block, with white space around it: PUBLIC KEY, RSA PUBLIC KEY, or CERTIFICATE
// for the key in it. It looks at nothing else in a certificate, and cannot read one with a key on secp256k1, a curve
// that crypto/x509 does not know. It refuses a private key. Errors repeat nothing of the text.
func ParsePEM(text string) (crypto.PublicKey, error) {
	if strings.Contains(text, "PRIVATE KEY-----") {
		return nil, errors.New("the text holds a private key; only its public half belongs here")
	}
	if strings.Count(text, "-----BEGIN ") > 1 {
		return nil, errors.New("the text holds more than one PEM block")
	}
	text = strings.TrimSpace(text)
	block, rest := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("the text holds no PEM block")
	}
	if !strings.HasPrefix(text, "-----BEGIN ") || len(rest) > 0 {
		return nil, errors.New("the text holds more than the PEM block")
	}
	parse, ok := pemBlocks[block.Type]
	if !ok {
		return nil, errors.New("the PEM block must be PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE")
	}
	return parse(block.Bytes)
}
