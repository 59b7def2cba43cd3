package hsm

import (
	"fmt"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// Object names a key object on the token, for messages.
type Object struct {
	Class string // "public key", "private key" or "secret key"
	Type  string // "RSA", "EC", ...; or the number of CKA_KEY_TYPE
	ID    []byte
	Label string
}

// String is such as `RSA private key "web" (ID 6b31)`.
func (o Object) String() string {
	return fmt.Sprintf("%s %s %q (ID %s)", o.Type, o.Class, o.Label, FormatID(o.ID))
}

var classes = map[uint]string{
	cryptoki.CKO_PUBLIC_KEY: "public key", cryptoki.CKO_PRIVATE_KEY: "private key", cryptoki.CKO_SECRET_KEY: "secret key",
}

// object is a key object as it was read from the token: everything that is ever asked of it, in the least
// room, since a token may hold tens of thousands.
type object struct {
	handle   cryptoki.Object
	read     bool // false for the zero object
	class    uint // CKO_...
	ckk      uint // CKK_...
	id       []byte
	label    string
	flags    flags // what is true
	known    flags // what came back at all
	absent   flags // what did not come back, and should have: a bit for each of objectAttributes
	modulus  []byte
	exponent []byte
	params   []byte
	point    []byte
	valueLen uint // bytes, of a secret key
	// checkValue is what a secret key shows of itself, if anything: some bytes of something that is computed by it.
	checkValue []byte
	err        error // a *MalformedError: an attribute that makes no sense
	debris     bool  // not even its class can be read, so that it is no key: what an interrupted creation leaves
}

// flags are the object's boolean attributes, a bit each in the order of flagAttributes.
type flags uint32

var flagAttributes = []cryptoki.AttributeType{
	cryptoki.CKA_TOKEN, cryptoki.CKA_PRIVATE, cryptoki.CKA_SENSITIVE, cryptoki.CKA_EXTRACTABLE, cryptoki.CKA_LOCAL,
	cryptoki.CKA_ALWAYS_SENSITIVE, cryptoki.CKA_NEVER_EXTRACTABLE, cryptoki.CKA_SIGN, cryptoki.CKA_VERIFY,
	cryptoki.CKA_ENCRYPT, cryptoki.CKA_DECRYPT, cryptoki.CKA_WRAP, cryptoki.CKA_UNWRAP, cryptoki.CKA_DERIVE,
}

var flagBits = func() map[cryptoki.AttributeType]flags {
	bits := map[cryptoki.AttributeType]flags{}
	for i, a := range flagAttributes {
		bits[a] = 1 << i
	}
	return bits
}()

// objectAttributes are read from every object, in one call: an object answers with what it has.
var objectAttributes = append([]cryptoki.AttributeType{
	cryptoki.CKA_CLASS, cryptoki.CKA_KEY_TYPE, cryptoki.CKA_ID, cryptoki.CKA_LABEL, cryptoki.CKA_MODULUS,
	cryptoki.CKA_PUBLIC_EXPONENT, cryptoki.CKA_EC_PARAMS, cryptoki.CKA_EC_POINT, cryptoki.CKA_VALUE_LEN, cryptoki.CKA_CHECK_VALUE,
}, flagAttributes...)

// decode makes an object of what came back. What makes no sense is noted in err, which names the attribute:
// one broken object must not hide the others, and must not be taken for something it is not.
func decode(handle cryptoki.Object, a cryptoki.Attributes) object {
	o := object{
		handle: handle, read: true, id: a[cryptoki.CKA_ID], label: string(a[cryptoki.CKA_LABEL]), modulus: a[cryptoki.CKA_MODULUS],
		exponent: a[cryptoki.CKA_PUBLIC_EXPONENT], params: a[cryptoki.CKA_EC_PARAMS], point: a[cryptoki.CKA_EC_POINT],
	}
	note := func(err error) {
		if err != nil && o.err == nil {
			o.err = err
		}
	}
	number := func(t cryptoki.AttributeType, needed bool) uint {
		v, known, err := a.ULong(t)
		note(err)
		if needed && !known {
			note(fmt.Errorf("%s did not come back", t))
		}
		return v
	}
	o.class = number(cryptoki.CKA_CLASS, true)
	if o.class == cryptoki.CKO_SECRET_KEY {
		o.checkValue = a[cryptoki.CKA_CHECK_VALUE] // which some tokens have of other keys too
	}
	o.valueLen = number(cryptoki.CKA_VALUE_LEN, false)
	if o.err != nil || o.isKey() {
		o.ckk = number(cryptoki.CKA_KEY_TYPE, true)
		if _, ok := a[cryptoki.CKA_ID]; !ok {
			note(fmt.Errorf("%s did not come back", cryptoki.CKA_ID))
		}
	}
	for _, t := range flagAttributes {
		v, known, err := a.Bool(t)
		note(err)
		if known {
			o.known |= flagBits[t]
		}
		if v {
			o.flags |= flagBits[t]
		}
	}
	_, classified := a[cryptoki.CKA_CLASS]
	o.debris = !classified
	for i, t := range objectAttributes {
		if _, came := a[t]; !came && o.shouldHave(t) {
			o.absent |= 1 << i
		}
	}
	if o.err != nil {
		o.err = &MalformedError{Object: o.name(), Handle: handle, Err: o.err}
	}
	return o
}

// kind is what objects have in common that have the same attributes.
type kind struct{ class, ckk uint }

func (o object) kind() kind { return kind{o.class, o.ckk} }

// shouldHave says that every object of this kind has the attribute and shows it (PKCS#11 v2.40, 4.7 to 4.9 and the
// pages of RSA and EC).
func (o object) shouldHave(t cryptoki.AttributeType) bool {
	onCurve := o.ckk == cryptoki.CKK_EC || o.ckk == cryptoki.CKK_EC_EDWARDS
	switch t {
	case cryptoki.CKA_CLASS:
		return true
	case cryptoki.CKA_KEY_TYPE, cryptoki.CKA_ID, cryptoki.CKA_LABEL, cryptoki.CKA_TOKEN, cryptoki.CKA_PRIVATE:
		return o.isKey()
	case cryptoki.CKA_SENSITIVE, cryptoki.CKA_EXTRACTABLE:
		return o.isKey() && o.class != cryptoki.CKO_PUBLIC_KEY
	case cryptoki.CKA_MODULUS, cryptoki.CKA_PUBLIC_EXPONENT:
		return o.class == cryptoki.CKO_PUBLIC_KEY && o.ckk == cryptoki.CKK_RSA
	case cryptoki.CKA_EC_PARAMS:
		return onCurve && o.isKey()
	case cryptoki.CKA_EC_POINT:
		return onCurve && o.class == cryptoki.CKO_PUBLIC_KEY
	}
	kt := typeOf(o.ckk)
	if kt == nil || !slices.Contains(kt.classes, o.class) {
		return false
	}
	if kt.alone() && t == cryptoki.CKA_VALUE_LEN {
		return true
	}
	for _, row := range usages {
		flag := row.private
		if o.class == cryptoki.CKO_PUBLIC_KEY {
			flag = row.public
		}
		if kt.usages.Has(row.usage) && t == flag {
			return true
		}
	}
	return false
}

// showsItself says that the object shows a part of its key that no other key has; of a secret key, one that few others
// have.
func (o object) showsItself() bool { return len(o.modulus)+len(o.point)+len(o.checkValue) > 0 }

func (o object) isKey() bool { return classes[o.class] != "" }

// onToken is false for session objects, which die with their session and are nobody's keys.
func (o object) onToken() bool { return !o.knows(cryptoki.CKA_TOKEN) || o.is(cryptoki.CKA_TOKEN) }

func (o object) is(t cryptoki.AttributeType) bool    { return o.flags&flagBits[t] != 0 }
func (o object) knows(t cryptoki.AttributeType) bool { return o.known&flagBits[t] != 0 }

// claim is what the token says of a flag: nil where it says nothing.
func (o object) claim(t cryptoki.AttributeType) *bool {
	if !o.knows(t) {
		return nil
	}
	v := o.is(t)
	return &v
}

// unreadableClass is the Object.Class of one of which not even the class can be read.
const unreadableClass = "object"

func (o object) name() Object {
	if o.debris {
		return Object{Class: unreadableClass, Type: "unreadable", ID: o.id, Label: o.label}
	}
	class := classes[o.class]
	if class == "" {
		class = fmt.Sprintf("object of class 0x%X", o.class)
	}
	return Object{Class: class, Type: keyTypeName(o.ckk), ID: o.id, Label: o.label}
}

func namesOf(objects []object) []Object {
	names := make([]Object, len(objects))
	for i, o := range objects {
		names[i] = o.name()
	}
	return names
}
