package object

import (
	"math/bits"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// Flags are the boolean attributes that are read from every object.
var Flags = []cryptoki.AttributeType{
	cryptoki.CKA_TOKEN, cryptoki.CKA_PRIVATE, cryptoki.CKA_SENSITIVE, cryptoki.CKA_EXTRACTABLE, cryptoki.CKA_LOCAL,
	cryptoki.CKA_ALWAYS_SENSITIVE, cryptoki.CKA_NEVER_EXTRACTABLE, cryptoki.CKA_SIGN, cryptoki.CKA_VERIFY,
	cryptoki.CKA_ENCRYPT, cryptoki.CKA_DECRYPT, cryptoki.CKA_WRAP, cryptoki.CKA_UNWRAP, cryptoki.CKA_DERIVE,
	cryptoki.CKA_SIGN_RECOVER, cryptoki.CKA_VERIFY_RECOVER, cryptoki.CKA_ALWAYS_AUTHENTICATE,
	cryptoki.CKA_MODIFIABLE, cryptoki.CKA_COPYABLE, cryptoki.CKA_DESTROYABLE,
}

// Attributes are read from every object, in one call. An object answers with those that it has.
var Attributes = append([]cryptoki.AttributeType{
	cryptoki.CKA_CLASS, cryptoki.CKA_KEY_TYPE, cryptoki.CKA_ID, cryptoki.CKA_LABEL, cryptoki.CKA_MODULUS,
	cryptoki.CKA_PUBLIC_EXPONENT, cryptoki.CKA_EC_PARAMS, cryptoki.CKA_EC_POINT, cryptoki.CKA_VALUE_LEN, cryptoki.CKA_CHECK_VALUE,
	cryptoki.CKA_START_DATE, cryptoki.CKA_END_DATE, cryptoki.CKA_ALLOWED_MECHANISMS,
}, Flags...)

// Read gives those of Attributes that are read from a token's objects.
func Read(d quirk.Differences) []cryptoki.AttributeType {
	switch {
	case d.NoDates:
		return undated
	case d.NoModifiable:
		return unfixed
	}
	return Attributes
}

// undated and unfixed are for tokens whose dates, or whose CKA_MODIFIABLE, say nothing.
var (
	undated = without(cryptoki.CKA_START_DATE, cryptoki.CKA_END_DATE)
	unfixed = without(cryptoki.CKA_MODIFIABLE)
)

func without(unread ...cryptoki.AttributeType) []cryptoki.AttributeType {
	return slices.DeleteFunc(slices.Clone(Attributes), func(t cryptoki.AttributeType) bool {
		return slices.Contains(unread, t)
	})
}

// Set is a set of Attributes.
type Set [2]uint64

// places are the attributes' places in a Set, counted from 1, by the attributes' numbers: they are asked for many times an
// object. TestEveryAttributeHasAPlace holds the arrays' lengths against the attributes.
var places = func() (p [1 << 11]uint8) {
	for i, t := range Attributes {
		if int(number(t)) < len(p) {
			p[number(t)] = uint8(i + 1)
		}
	}
	return p
}()

// number is the attribute's without CKF_ARRAY_ATTRIBUTE, which makes it too large for an array.
func number(t cryptoki.AttributeType) uint { return uint(t) &^ 0x40000000 }

// place gives the word and the bit of an attribute; no bit for one that has no place.
func place(t cryptoki.AttributeType) (word int, bit uint64) {
	n := number(t)
	if n >= uint(len(places)) || places[n] == 0 {
		return 0, 0
	}
	i := int(places[n]) - 1
	return i / 64, 1 << (i % 64)
}

func (s *Set) add(t cryptoki.AttributeType) {
	word, bit := place(t)
	s[word] |= bit
}

func (s *Set) remove(t cryptoki.AttributeType) {
	word, bit := place(t)
	s[word] &^= bit
}

// Has says that the attribute is in the set.
func (s Set) Has(t cryptoki.AttributeType) bool {
	word, bit := place(t)
	return s[word]&bit != 0
}

// Without is what is in s and not in other.
func (s Set) Without(other Set) Set { return Set{s[0] &^ other[0], s[1] &^ other[1]} }

// With is what is in s or in other.
func (s Set) With(other Set) Set { return Set{s[0] | other[0], s[1] | other[1]} }

// Len is how many attributes are in the set.
func (s Set) Len() int { return bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]) }

func isFlag(t cryptoki.AttributeType) bool { return slices.Contains(Flags, t) }
