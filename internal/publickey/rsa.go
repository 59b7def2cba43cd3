package publickey

import (
	"bytes"
	"crypto/rsa"
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
// An error names the attribute at fault.
func ParseRSA(modulus, exponent []byte) (*rsa.PublicKey, error) {
	return parseRSA("CKA_MODULUS", modulus, "CKA_PUBLIC_EXPONENT", exponent)
}

// NewRSA is [ParseRSA] for numbers that are not attributes: its errors speak of the modulus and the public exponent.
func NewRSA(modulus, exponent []byte) (*rsa.PublicKey, error) {
	return parseRSA("the modulus", modulus, "the public exponent", exponent)
}

func parseRSA(nName string, modulus []byte, eName string, exponent []byte) (*rsa.PublicKey, error) {
	n, err := parseOdd(nName, modulus, minModulusBits, maxModulusBits)
	if err != nil {
		return nil, err
	}
	e, err := parseOdd(eName, exponent, 1, maxExponentBits)
	if err != nil {
		return nil, err
	}
	if e.IsInt64() && e.Int64() == 1 {
		return nil, fmt.Errorf("%s is 1", eName)
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil // by the bounds, the modulus is the larger one
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
	if len(octets) > (maxBits+7)/8 {
		return nil, fmt.Errorf("%s has %d bytes, but at most %d bits are supported", name, len(octets), maxBits)
	}
	number := new(big.Int).SetBytes(octets)
	switch bits := number.BitLen(); {
	case bits < minBits:
		return nil, fmt.Errorf("%s has %d bits, but at least %d are needed", name, bits, minBits)
	case bits > maxBits:
		return nil, fmt.Errorf("%s has %d bits, but at most %d are supported", name, bits, maxBits)
	case number.Bit(0) == 0:
		return nil, fmt.Errorf("%s is even", name)
	}
	return number, nil
}
