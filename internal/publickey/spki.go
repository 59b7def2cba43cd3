package publickey

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
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
// a named curve (RFC 5480, RFC 8410). A key of ML-DSA has no parameters (RFC 9881).
func MarshalSPKI(pub crypto.PublicKey) ([]byte, error) {
	if key, ok := pub.(*rsa.PublicKey); ok {
		if key == nil || key.N == nil {
			return nil, errors.New("no RSA public key")
		}
		return x509.MarshalPKIXPublicKey(key)
	}
	if key := mldsaOf(pub); key != nil {
		return marshalInfo(pkix.AlgorithmIdentifier{Algorithm: key.set.oid}, []byte(key.bytes))
	}
	c := curveOf(pub)
	if c == nil {
		return nil, errors.New("this kind of public key cannot be encoded")
	}
	if _, ok := pub.(*secp256k1.PublicKey); !ok {
		return x509.MarshalPKIXPublicKey(pub)
	}
	return marshalInfo(pkix.AlgorithmIdentifier{Algorithm: oidEC, Parameters: asn1.RawValue{FullBytes: c.oid()}},
		Point(pub))
}

func marshalInfo(algorithm pkix.AlgorithmIdentifier, key []byte) ([]byte, error) {
	return asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}{algorithm, asn1.BitString{Bytes: key, BitLength: 8 * len(key)}})
}

// Info is what a SubjectPublicKeyInfo says: a key, and what it is restricted to.
type Info struct {
	PublicKey crypto.PublicKey
	PSS       *PSS // nil for a key that is not restricted to RSASSA-PSS
}

// ParseSPKI gives the key alone of what [ReadSPKI] reads.
func ParseSPKI(der []byte) (crypto.PublicKey, error) {
	info, err := ReadSPKI(der)
	return info.PublicKey, err
}

// ReadSPKI reads a SubjectPublicKeyInfo, DER with nothing after it. A point may be compressed, and its curve may be
// given by all of its numbers instead of its name. An RSA key may be one for RSASSA-PSS alone.
func ReadSPKI(der []byte) (Info, error) {
	in := cryptobyte.String(der)
	var info, params cryptobyte.String
	var algorithm asn1.ObjectIdentifier
	var key []byte
	if !in.ReadASN1(&info, cbasn1.SEQUENCE) || !in.Empty() ||
		!info.ReadASN1(&params, cbasn1.SEQUENCE) || !params.ReadASN1ObjectIdentifier(&algorithm) ||
		!info.ReadASN1BitStringAsBytes(&key) || !info.Empty() {
		return Info{}, errors.New("the key is not a SubjectPublicKeyInfo")
	}
	if algorithm.Equal(oidPSS) {
		pss, err := parsePSS(params)
		if err != nil {
			return Info{}, err
		}
		pub, err := parsePKCS1(key)
		if err != nil {
			return Info{}, err
		}
		return Info{pub, pss}, nil
	}
	pub, err := parseUnrestricted(algorithm, params, key)
	return Info{PublicKey: pub}, err
}

// parseUnrestricted reads the key of any algorithm but id-RSASSA-PSS.
func parseUnrestricted(algorithm asn1.ObjectIdentifier, params cryptobyte.String, key []byte) (
	crypto.PublicKey, error,
) {
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
	if p := findParameterSet(func(p *parameterSet) bool { return algorithm.Equal(p.oid) }); p != nil {
		if !params.Empty() {
			return nil, fmt.Errorf("the key is %s, but it has parameters", p.name)
		}
		return NewMLDSA(p.name, key)
	}
	return nil, fmt.Errorf("the key's algorithm is %s; only RSA, EC, Ed25519 and ML-DSA are supported",
		named(algorithm))
}

func parseECInfo(params cryptobyte.String, point []byte) (crypto.PublicKey, error) {
	var oid asn1.ObjectIdentifier
	var numbers cryptobyte.String
	switch whole := params; {
	case params.ReadASN1ObjectIdentifier(&oid) && params.Empty():
		c := curveIdentified(oid)
		if c == nil || c.name == Ed25519 {
			return nil, fmt.Errorf("the key is on the curve %s, which is not one of %s", named(oid),
				strings.Join(Curves(), ", "))
		}
		return NewEC(c.name, point)
	case whole.ReadASN1(&numbers, cbasn1.SEQUENCE) && whole.Empty():
		c := curveOfDomain(numbers)
		if c == nil {
			return nil, fmt.Errorf("the key's curve is given by its numbers, and they are not all those of one of %s",
				strings.Join(Curves(), ", "))
		}
		return NewEC(c.name, point)
	}
	return nil, errors.New("the key's curve is given neither by its OID nor by its numbers")
}

// wellKnown are names of algorithms and curves that are not supported, for errors.
var wellKnown = map[string]string{
	"1.2.840.10040.4.1":     "DSA",
	"1.2.840.10046.2.1":     "X9.42 Diffie-Hellman",
	"1.2.840.113549.1.3.1":  "Diffie-Hellman",
	"1.2.840.113549.1.1.7":  "RSA for OAEP alone",
	"1.3.101.110":           "X25519",
	"1.3.101.111":           "X448",
	"1.3.101.113":           "Ed448",
	"1.2.840.10045.3.1.1":   "P-192",
	"1.3.132.0.33":          "P-224",
	"1.2.156.10197.1.301":   "SM2",
	"1.3.36.3.3.2.8.1.1.7":  "brainpoolP256r1",
	"1.3.36.3.3.2.8.1.1.11": "brainpoolP384r1",
	"1.3.36.3.3.2.8.1.1.13": "brainpoolP512r1",
}

// named is an OID, with the name that people know it by.
func named(oid asn1.ObjectIdentifier) string {
	if name, ok := wellKnown[oid.String()]; ok {
		return fmt.Sprintf("%s (%s)", name, oid)
	}
	return oid.String()
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
