package publickey

import (
	"bytes"
	"cmp"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
)

// Bounds of the RSA keys that are supported. They are wide, since tokens hold old keys that must stay readable.
const (
	minModulusBits = 512
	maxModulusBits = 16384 // as in OpenSSL and OpenSSH
	// maxExponentBits is what crypto/rsa can use, and what rsa.PublicKey.E can hold on every platform.
	maxExponentBits = 31
)

// ParseRSA makes a public key of CKA_MODULUS and CKA_PUBLIC_EXPONENT (PKCS#11, RSA public key objects): big-endian
// numbers, which may have leading zeros. It reads odd moduli of 512 to 16384 bits and odd exponents from 3 to 2^31-1.
// An error names the attribute at fault; it is an [UnsupportedRSAError] if only the size of a number is. A modulus of less than
// 256 bits is no key's.
func ParseRSA(modulus, exponent []byte) (*rsa.PublicKey, error) {
	return parseRSA("CKA_MODULUS", modulus, "CKA_PUBLIC_EXPONENT", exponent)
}

// NewRSA is [ParseRSA] for numbers that are not attributes: its errors speak of the modulus and the public exponent.
func NewRSA(modulus, exponent []byte) (*rsa.PublicKey, error) {
	return parseRSA("the modulus", modulus, "the public exponent", exponent)
}

func parseRSA(nName string, modulus []byte, eName string, exponent []byte) (*rsa.PublicKey, error) {
	n, nErr := parseOdd(nName, modulus, minModulusBits, maxModulusBits)
	e, eErr := parseOdd(eName, exponent, 1, maxExponentBits)
	if e != nil && e.Cmp(big.NewInt(1)) == 0 {
		eErr = fmt.Errorf("%s is 1", eName)
	}
	for _, err := range []error{nErr, eErr} { // what makes no sense is told before what is only of a wrong size
		if _, size := errors.AsType[*UnsupportedRSAError](err); err != nil && !size {
			return nil, err
		}
	}
	n0, e0 := bytes.TrimLeft(modulus, "\x00"), bytes.TrimLeft(exponent, "\x00")
	if len(e0) > len(n0) || len(e0) == len(n0) && bytes.Compare(e0, n0) >= 0 {
		return nil, fmt.Errorf("%s is not smaller than %s", eName, nName)
	}
	if err := cmp.Or(nErr, eErr); err != nil {
		return nil, err
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

// UnsupportedRSAError says that an RSA public key makes sense, but that one of its numbers is larger or smaller than
// the ones that are supported.
type UnsupportedRSAError struct {
	Number string // the attribute, or the number's name
	Size   string // such as "511 bits"
	Limit  string // such as "at least 512 are needed"
}

func (e *UnsupportedRSAError) Error() string {
	return fmt.Sprintf("%s has %s, but %s", e.Number, e.Size, e.Limit)
}

// parseOdd reads a big-endian odd number. It checks the length first, so that a hostile number costs nothing.
func parseOdd(name string, octets []byte, minBits, maxBits int) (*big.Int, error) {
	if len(octets) == 0 {
		return nil, fmt.Errorf("%s is absent", name)
	}
	octets = bytes.TrimLeft(octets, "\x00")
	if len(octets) == 0 {
		return nil, fmt.Errorf("%s is 0", name)
	}
	if octets[len(octets)-1]%2 == 0 {
		return nil, fmt.Errorf("%s is even", name)
	}
	if len(octets) > (maxBits+7)/8 {
		return nil, &UnsupportedRSAError{
			name, fmt.Sprintf("%d bytes", len(octets)), fmt.Sprintf("at most %d bits are supported", maxBits),
		}
	}
	number := new(big.Int).SetBytes(octets)
	switch bits := number.BitLen(); {
	case bits < minBits/2:
		return nil, fmt.Errorf("%s has %d bits, but at least %d are needed", name, bits, minBits)
	case bits < minBits:
		return nil, &UnsupportedRSAError{name, fmt.Sprintf("%d bits", bits), fmt.Sprintf("at least %d are needed", minBits)}
	case bits > maxBits:
		return nil, &UnsupportedRSAError{name, fmt.Sprintf("%d bits", bits), fmt.Sprintf("at most %d are supported", maxBits)}
	}
	return number, nil
}
