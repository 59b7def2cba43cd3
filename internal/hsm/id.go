package hsm

import (
	"encoding/hex"
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// MaxIDLength is the longest CKA_ID that is accepted, in bytes.
const MaxIDLength = 255

// ParseID reads a key ID: hex in either case, whole bytes, 1 to 255 of them.
func ParseID(s string) ([]byte, error) {
	id, err := hex.DecodeString(s)
	var bad hex.InvalidByteError
	switch {
	case s == "":
		return nil, errors.New("a key ID is at least one byte of hex, such as \"6b31\"")
	case errors.As(err, &bad):
		return nil, fmt.Errorf("a key ID is written in hex: %q is no hex digit", rune(bad))
	case err != nil:
		return nil, fmt.Errorf("a key ID is whole bytes of hex: %d digits are an odd number", len(s))
	case len(id) > MaxIDLength:
		return nil, fmt.Errorf("a key ID has at most %d bytes, this one has %d", MaxIDLength, len(id))
	}
	return id, nil
}

// FormatID writes a key ID as lower-case hex.
func FormatID(id []byte) string { return hex.EncodeToString(id) }

// KID is the key ID of a JWK (RFC 7517, 4.5) as Ory Hydra makes it from CKA_ID: the bytes as text where they
// are printable UTF-8, else their lower-case hex.
func KID(id []byte) string {
	if !utf8.Valid(id) {
		return FormatID(id)
	}
	for _, r := range string(id) {
		if !unicode.IsPrint(r) {
			return FormatID(id)
		}
	}
	return string(id)
}
