package object

import (
	"fmt"
	"slices"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// Usage is a set of things that a private or secret key may do.
type Usage uint

// The usages of private keys, then those that only secret keys have, then signing with recovery of the message, which
// no resource offers: it is written as false. Each is an attribute of that name.
const (
	Sign Usage = 1 << iota
	Decrypt
	Unwrap
	Derive
	Encrypt
	Verify
	Wrap
	SignRecover
	verifyRecover // of public halves alone
)

// usages has a row for each usage: its word, its attribute on the private half or the secret key, and its counterpart on
// the public half. In the order of the words.
var usages = []struct {
	word            string
	usage           Usage
	private, public cryptoki.AttributeType
}{
	{"decrypt", Decrypt, cryptoki.CKA_DECRYPT, cryptoki.CKA_ENCRYPT},
	{"derive", Derive, cryptoki.CKA_DERIVE, cryptoki.CKA_DERIVE},
	{"encrypt", Encrypt, cryptoki.CKA_ENCRYPT, noCounterpart},
	{"sign", Sign, cryptoki.CKA_SIGN, cryptoki.CKA_VERIFY},
	{"sign_recover", SignRecover, cryptoki.CKA_SIGN_RECOVER, cryptoki.CKA_VERIFY_RECOVER},
	{"unwrap", Unwrap, cryptoki.CKA_UNWRAP, cryptoki.CKA_WRAP},
	{"verify", Verify, cryptoki.CKA_VERIFY, noCounterpart},
	{"verify_recover", verifyRecover, cryptoki.CKA_VERIFY_RECOVER, noCounterpart},
	{"wrap", Wrap, cryptoki.CKA_WRAP, noCounterpart},
}

// noCounterpart is not an attribute. It marks the usages that no public half has.
const noCounterpart = ^cryptoki.AttributeType(0)

// ParseUsage reads words such as "sign" and "decrypt".
func ParseUsage(words []string) (Usage, error) {
	var u Usage
	for _, word := range words {
		before := u
		for _, row := range usages {
			if row.word == word {
				u |= row.usage
			}
		}
		if u == before && !slices.Contains(u.Words(), word) {
			return 0, fmt.Errorf("%q is not a usage of a key", word)
		}
	}
	return u, nil
}

// Words lists the usages in alphabetical order.
func (u Usage) Words() []string {
	words := []string{}
	for _, row := range usages {
		if u.Has(row.usage) {
			words = append(words, row.word)
		}
	}
	return words
}

// Has says whether all of v is in u.
func (u Usage) Has(v Usage) bool { return u&v == v }

// String lists the words: "decrypt, sign".
func (u Usage) String() string {
	if u == 0 {
		return "nothing"
	}
	return strings.Join(u.Words(), ", ")
}

// isUsage says that a flag is one of usage.
func isUsage(flag cryptoki.AttributeType) bool {
	for _, row := range usages {
		if row.private == flag || row.public == flag {
			return true
		}
	}
	return false
}

// privateAttributes writes each usage that the key type has, true or false. Tokens' defaults differ, and Hydra
// publishes a signing key that may also decrypt as an encryption key.
func (u Usage) privateAttributes(of Usage) []cryptoki.Attribute {
	var a []cryptoki.Attribute
	for _, row := range usages {
		if of.Has(row.usage) {
			a = append(a, cryptoki.Bool(row.private, u.Has(row.usage)))
		}
	}
	return a
}

func (u Usage) publicAttributes(of Usage, d quirk.Differences) []cryptoki.Attribute {
	if d.NoPublicUsage {
		return nil
	}
	var a []cryptoki.Attribute
	for _, row := range usages {
		if of.Has(row.usage) {
			never := d.NoPublicDerive && row.usage == Derive
			a = append(a, cryptoki.Bool(row.public, u.Has(row.usage) && !never))
		}
	}
	return a
}
