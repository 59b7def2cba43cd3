package jwk

import (
	"encoding/hex"
	"unicode"
	"unicode/utf8"
)

// KID is the kid (RFC 7517, 4.5) of a key on a token, by the bytes of its CKA_ID: they are the text, as Ory Hydra has
// it, where they are printable UTF-8; else it is their lower-case hex.
func KID(id []byte) string {
	if !utf8.Valid(id) {
		return hex.EncodeToString(id)
	}
	for _, r := range string(id) {
		if !unicode.IsPrint(r) {
			return hex.EncodeToString(id)
		}
	}
	return string(id)
}
