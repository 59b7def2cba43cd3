package object

import (
	"encoding/hex"
	"errors"
	"fmt"
)

// MaxIDLength is the longest CKA_ID that is accepted, in bytes.
const MaxIDLength = 255

// ParseID reads a key ID: hex in either case, whole bytes, 1 to 255 of them.
func ParseID(s string) ([]byte, error) {
	id, err := hex.DecodeString(s)
	var bad hex.InvalidByteError
	switch {
	case s == "":
		return nil, errors.New("a key ID has at least one byte, but this one is empty")
	case errors.As(err, &bad):
		return nil, fmt.Errorf("a key ID is written in hex, and %q is not a hex digit", rune(bad))
	case err != nil:
		return nil, fmt.Errorf("a key ID is written in hex, two digits for each byte, and a digit of this one is missing: it has %d", len(s))
	case len(id) > MaxIDLength:
		return nil, fmt.Errorf("a key ID has at most %d bytes, but this one has %d", MaxIDLength, len(id))
	}
	return id, nil
}

// TextID makes a key ID of the bytes of a text, 1 to 255 of them.
func TextID(text string) ([]byte, error) {
	switch {
	case text == "":
		return nil, errors.New("a key ID has at least one byte, but the text is empty")
	case len(text) > MaxIDLength:
		return nil, fmt.Errorf("a key ID has at most %d bytes, but the text has %d", MaxIDLength, len(text))
	}
	return []byte(text), nil
}

// FormatID writes a key ID as lower-case hex.
func FormatID(id []byte) string { return hex.EncodeToString(id) }
