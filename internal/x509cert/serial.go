package x509cert

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
)

// NewSerial is a serial number of 20 random bytes, positive (RFC 5280, 4.1.2.2).
func NewSerial() (*big.Int, error) {
	octets := make([]byte, mostSerialBytes)
	for {
		if _, err := rand.Read(octets); err != nil {
			return nil, err
		}
		octets[0] &= 0x7f // else DER needs a byte more, or the number is negative
		if serial := new(big.Int).SetBytes(octets); serial.Sign() > 0 {
			return serial, nil
		}
	}
}

const mostSerialBytes = 20

// serialFits says that a number is positive and at most 20 bytes in DER.
func serialFits(serial *big.Int) bool {
	return serial.Sign() > 0 && serial.BitLen() < 8*mostSerialBytes
}

// FormatSerial is a serial number in lower-case hex, two digits a byte.
func FormatSerial(serial *big.Int) string {
	if serial.Sign() == 0 {
		return "00"
	}
	text := hex.EncodeToString(serial.Bytes())
	if serial.Sign() < 0 {
		return "-" + text
	}
	return text
}

// ParseSerial reads what FormatSerial writes, in either case, with colons or without. Errors are full sentences without
// a stop at their end.
func ParseSerial(text string) (*big.Int, error) {
	digits := text
	if strings.Contains(text, ":") {
		for part := range strings.SplitSeq(text, ":") {
			if len(part) != 2 {
				return nil, errors.New("the serial number has colons, but not two hex digits between each")
			}
		}
		digits = strings.ReplaceAll(text, ":", "")
	}
	if digits == "" {
		return nil, errors.New("the serial number is empty")
	}
	if strings.HasPrefix(digits, "0x") || strings.HasPrefix(digits, "0X") {
		return nil, errors.New("the serial number begins with 0x; leave that out")
	}
	if strings.Trim(digits, "0123456789abcdefABCDEF") != "" {
		return nil, errors.New("the serial number must be hex digits, such as 1f or 00:1f")
	}
	if len(digits) > 1024 {
		return nil, errors.New("the serial number is too long; it may have 20 bytes")
	}
	serial, _ := new(big.Int).SetString(digits, 16)
	return serial, nil
}
