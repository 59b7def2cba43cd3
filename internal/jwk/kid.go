package jwk

import (
	"encoding/hex"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// KID is the kid (RFC 7517, 4.5) of a key on a token, by the bytes of its CKA_ID: they are the text, as Ory Hydra has
// it, where they are printable UTF-8 in Unicode's normal form C; else it is their lower-case hex. Terraform puts every
// text into that form, so that the kid of another would be changed on its way, and could become another key's.
func KID(id []byte) string {
	if !utf8.Valid(id) || !norm.NFC.IsNormal(id) {
		return hex.EncodeToString(id)
	}
	for _, r := range string(id) {
		if !unicode.IsPrint(r) {
			return hex.EncodeToString(id)
		}
	}
	return string(id)
}
