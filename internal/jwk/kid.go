package jwk

import (
	"encoding/hex"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// KID is the kid (RFC 7517, 4.5) of a key on a token, made of the bytes of its CKA_ID. If these are printable UTF-8 in
// Unicode's normal form C, they are the kid themselves, as in Ory Hydra; else the kid is their lower-case hex.
// Terraform puts every text into normal form C. A kid in another form would be changed on its way, and could become
// the kid of another key.
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
