package object

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// Name names an object on the token, for messages.
type Name struct {
	Class string // "public key", "private key" or "secret key"
	Type  string // "RSA", "EC", ...; or the number of CKA_KEY_TYPE
	ID    []byte
	Label string
}

// String is such as `RSA private key "web" (ID 6b31)`.
func (n Name) String() string {
	id := "without an ID"
	if len(n.ID) > 0 {
		id = "ID " + FormatID(n.ID)
	}
	return fmt.Sprintf("%s %s %q (%s)", n.Type, n.Class, n.Label, id)
}

// ClassNames are the words for the classes of keys.
var ClassNames = map[uint]string{
	cryptoki.CKO_PUBLIC_KEY: "public key", cryptoki.CKO_PRIVATE_KEY: "private key", cryptoki.CKO_SECRET_KEY: "secret key",
}

// Object is an object as it was read from the token: everything that the packages ask of it. It is small, since a
// token may hold tens of thousands of objects.
type Object struct {
	Handle cryptoki.Object // of the session that read it: see package session
	Class  uint            // CKO_...
	CKK    uint            // CKA_KEY_TYPE, CKK_...
	ID     []byte
	Label  string
	// Err is a *MalformedError where an attribute makes no sense; else nil.
	Err error
	// Unclassified: not even its class can be read. An interrupted creation may leave such an object. It is not a key.
	Unclassified bool

	shown    Set // the attributes that the token shows
	isTrue   Set // the flags among them that are true
	modulus  []byte
	exponent []byte
	params   []byte // CKA_EC_PARAMS, or CKA_PARAMETER_SET
	point    []byte // CKA_EC_POINT, or CKA_VALUE of a public half
	valueLen uint   // bytes, of a secret key
	// checkValue is CKA_CHECK_VALUE of a secret key: the first bytes of something that the key encrypted. It may be
	// empty.
	checkValue []byte
	limits     *limits // nil for most
}

// Decode makes an object of the attributes that a token shows. What makes no sense is noted in Err, which names the
// attribute. So one malformed object does not hide the others, and is not taken for something that it is not.
func Decode(handle cryptoki.Object, a cryptoki.Attributes, d quirk.Differences) Object {
	o := Object{
		Handle: handle, ID: a[cryptoki.CKA_ID], Label: string(a[cryptoki.CKA_LABEL]), modulus: a[cryptoki.CKA_MODULUS],
		exponent: a[cryptoki.CKA_PUBLIC_EXPONENT], params: a[cryptoki.CKA_EC_PARAMS], point: a[cryptoki.CKA_EC_POINT],
	}
	for t := range a {
		o.shown.add(t)
	}
	note := func(err error) {
		if o.Err == nil {
			o.Err = err
		}
	}
	number := func(t cryptoki.AttributeType, needed bool) uint {
		v, ok, err := a.ULong(t)
		note(err)
		if needed && !ok {
			note(fmt.Errorf("the token did not give %s", t))
		}
		return v
	}
	o.Class = number(cryptoki.CKA_CLASS, true)
	if o.Class == cryptoki.CKO_SECRET_KEY {
		o.checkValue = a[cryptoki.CKA_CHECK_VALUE] // which some tokens have of other keys too
		if len(o.checkValue) == 0 {                // there and empty is none
			o.checkValue = nil
			o.shown.remove(cryptoki.CKA_CHECK_VALUE)
		}
	}
	o.valueLen = number(cryptoki.CKA_VALUE_LEN, false)
	if o.Err != nil || o.IsKey() {
		o.CKK = number(cryptoki.CKA_KEY_TYPE, true)
		if !o.shown.Has(cryptoki.CKA_ID) {
			note(fmt.Errorf("the token did not give %s", cryptoki.CKA_ID))
		}
	}
	if len(Further(a)) > 0 {
		o.params, o.point = a[cryptoki.CKA_PARAMETER_SET], a[cryptoki.CKA_VALUE]
	}
	for _, t := range Flags {
		v, ok, err := a.Bool(t)
		note(err)
		if ok && v {
			o.isTrue.add(t)
		}
	}
	limits, err := limitsOf(a)
	note(err)
	o.limits, o.Unclassified = limits, !o.shown.Has(cryptoki.CKA_CLASS)
	if d.NoPublicUsage && o.Class == cryptoki.CKO_PUBLIC_KEY {
		for _, row := range usages {
			o.shown.remove(row.public)
		}
	}
	if d.NoPublicDerive && o.Class == cryptoki.CKO_PUBLIC_KEY { // it is false of every one
		o.shown.remove(cryptoki.CKA_DERIVE)
	}
	if d.NoLogin { // where nobody logs in, it says nothing of who may use the key
		o.shown.remove(cryptoki.CKA_PRIVATE)
		o.isTrue.remove(cryptoki.CKA_PRIVATE)
	}
	if o.Err != nil {
		o.Err = &MalformedError{Object: o.Name(), Handle: handle, Err: o.Err}
	}
	return o
}

// DecodeLong is Decode for an object with a value that is too long to read. A key of that sort is malformed. What is
// no key is nothing to mind.
func DecodeLong(handle cryptoki.Object, a cryptoki.Attributes, d quirk.Differences, long *cryptoki.LongError) Object {
	o := Decode(handle, a, d)
	if o.Has(cryptoki.CKA_CLASS) && !o.IsKey() {
		o.Err = nil
		return o
	}
	o.Err = &MalformedError{Object: o.Name(), Handle: handle, Err: long}
	return o
}

// Unclassified makes an object that has an ID, but of which the token does not even show the class.
func Unclassified(handle cryptoki.Object, id []byte, err error) Object {
	o := Object{Handle: handle, ID: id, Unclassified: true}
	o.Err = &MalformedError{Object: o.Name(), Handle: handle, Err: err}
	return o
}

// Kind says which attributes an object has: objects of one kind have the same ones.
type Kind struct{ Class, CKK uint }

// Kind gives the object's kind.
func (o Object) Kind() Kind { return Kind{o.Class, o.CKK} }

// Absent gives the attributes that the token does not show, although every object of this kind has and shows them
// (PKCS#11 v2.40, 4.7 to 4.9 and the pages of RSA and EC).
func (o Object) Absent() (absent Set) {
	for _, t := range Attributes {
		if !o.shown.Has(t) && o.shouldHave(t) {
			absent.add(t)
		}
	}
	return absent
}

func (o Object) shouldHave(t cryptoki.AttributeType) bool {
	onCurve := o.CKK == cryptoki.CKK_EC || o.CKK == cryptoki.CKK_EC_EDWARDS
	switch t {
	case cryptoki.CKA_CLASS:
		return true
	case cryptoki.CKA_KEY_TYPE, cryptoki.CKA_ID, cryptoki.CKA_LABEL, cryptoki.CKA_TOKEN, cryptoki.CKA_PRIVATE:
		return o.IsKey()
	case cryptoki.CKA_SENSITIVE, cryptoki.CKA_EXTRACTABLE:
		return o.IsKey() && o.Class != cryptoki.CKO_PUBLIC_KEY
	case cryptoki.CKA_MODULUS, cryptoki.CKA_PUBLIC_EXPONENT:
		return o.Class == cryptoki.CKO_PUBLIC_KEY && o.CKK == cryptoki.CKK_RSA
	case cryptoki.CKA_EC_PARAMS:
		return onCurve && o.IsKey()
	case cryptoki.CKA_EC_POINT:
		return onCurve && o.Class == cryptoki.CKO_PUBLIC_KEY
	}
	spec := SpecOf(o.CKK)
	if spec == nil || !slices.Contains(spec.Classes, o.Class) {
		return false
	}
	if spec.Alone() && t == cryptoki.CKA_VALUE_LEN {
		return true
	}
	for _, row := range usages {
		flag := row.private
		if o.Class == cryptoki.CKO_PUBLIC_KEY {
			flag = row.public
		}
		if spec.usages.Has(row.usage) && t == flag {
			return true
		}
	}
	return false
}

// ShowsItself says that the object shows a part of its key that no other key has. For a secret key that is the check
// value, which few other keys have.
func (o Object) ShowsItself() bool { return len(o.modulus)+len(o.point)+len(o.checkValue) > 0 }

// IsKey says that the object is a key, or half of one.
func (o Object) IsKey() bool { return ClassNames[o.Class] != "" }

// IsSecretKey says that the object is a secret key, and so no half of a pair.
func (o Object) IsSecretKey() bool { return o.Class == cryptoki.CKO_SECRET_KEY }

// OnToken is false for session objects. They die with their session, and are nobody's keys.
func (o Object) OnToken() bool { return !o.Has(cryptoki.CKA_TOKEN) || o.Is(cryptoki.CKA_TOKEN) }

// Stored says that somebody has put the object on the token: it is neither a session object nor one of those that
// describe the token itself.
func (o Object) Stored() bool { return o.OnToken() && !slices.Contains(cryptoki.OwnClasses, o.Class) }

// Counts says that the object is a key object on the token, or that it makes too little sense to tell.
func (o Object) Counts() bool { return o.Err != nil || o.Unclassified || o.IsKey() && o.OnToken() }

// Is says that the flag is true.
func (o Object) Is(flag cryptoki.AttributeType) bool { return o.isTrue.Has(flag) }

// Has says that the token shows the attribute.
func (o Object) Has(t cryptoki.AttributeType) bool { return o.shown.Has(t) }

// Claim is what the token says of a flag, nil where it says nothing.
func (o Object) Claim(flag cryptoki.AttributeType) *bool {
	if !o.Has(flag) {
		return nil
	}
	if o.Is(flag) {
		return &isTrue
	}
	return &isFalse
}

// What claims point to, so that ten thousand keys do not make a hundred thousand of them. Nobody changes them.
var isTrue, isFalse = true, false

// Blank says that the object is one that a token began to make and did not finish: it shows that it has neither a name
// nor a key.
func (o Object) Blank() bool {
	return o.Err == nil && o.Absent() == Set{} && o.IsKey() && o.Has(cryptoki.CKA_TOKEN) && !o.OnToken() &&
		o.Has(cryptoki.CKA_LOCAL) && !o.Is(cryptoki.CKA_LOCAL) &&
		len(o.ID)+len(o.Label)+len(o.modulus)+len(o.params)+len(o.point) == 0 && o.valueLen == 0
}

// SameObject says that two readings show the same object. Handles do not matter.
func SameObject(a, b Object) bool {
	return a.Label == b.Label && bytes.Equal(a.ID, b.ID) && SameKey(a, b)
}

// SameKey says that two readings show the same key material. IDs and labels do not matter, since they may change.
func SameKey(a, b Object) bool {
	return a.Class == b.Class && a.CKK == b.CKK && bytes.Equal(a.modulus, b.modulus) && bytes.Equal(a.params, b.params) && bytes.Equal(a.point, b.point) &&
		a.valueLen == b.valueLen && bytes.Equal(a.checkValue, b.checkValue)
}

// IsOneOf says that o is one of our own objects, even if its handle is another by now. An object that shows nothing of
// its key is recognised by its handle, or by being the only one of its kind among the objects found.
func IsOneOf(own []Object, o Object, found []Object) bool {
	alone := o.ShowsItself()
	if !alone {
		alike := 0
		for _, other := range found {
			if SameObject(o, other) {
				alike++
			}
		}
		alone = alike == 1
	}
	return slices.ContainsFunc(own, func(k Object) bool { return SameObject(k, o) && (alone || k.Handle == o.Handle) })
}

// Distinct leaves out what is the same object again under another handle. It never leaves out an object that shows
// nothing of its key.
func Distinct(objects []Object) []Object {
	seen := map[string]bool{}
	return slices.DeleteFunc(objects, func(o Object) bool {
		if !o.ShowsItself() {
			return false
		}
		key := fmt.Sprintf("%d %d %x %q %x", o.Class, o.CKK, o.ID, o.Label, o.material())
		again := seen[key]
		seen[key] = true
		return again
	})
}

// Material is what the object shows of itself besides its ID. It tells readings of different objects apart, as far as
// they show a difference.
func (o Object) Material() string { return o.Label + "\x00" + string(o.material()) }

// material tells the object from others of the same name: it is what the object shows of its key, then its length and
// its flags.
func (o Object) material() []byte {
	m := slices.Concat(o.modulus, o.params, o.point, o.checkValue)
	m = binary.BigEndian.AppendUint64(m, uint64(o.valueLen))
	for _, t := range Flags {
		m = append(m, b2i(o.Is(t)), b2i(o.Has(t)))
	}
	return m
}

func b2i(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// PrivateFirst orders objects: private halves, then others.
func PrivateFirst(a, b Object) int {
	rank := func(o Object) int {
		if o.Class == cryptoki.CKO_PRIVATE_KEY {
			return 0
		}
		return 1
	}
	return rank(a) - rank(b)
}

// unclassifiedClass is the Name.Class of an unclassified object.
const unclassifiedClass = "object"

// Name names the object.
func (o Object) Name() Name {
	if o.Unclassified {
		return Name{Class: unclassifiedClass, Type: "unreadable", ID: o.ID, Label: o.Label}
	}
	class := ClassNames[o.Class]
	if o.Class == CertificateClass {
		return Name{Class: "certificate", Type: "X.509", ID: o.ID, Label: o.Label}
	}
	if class == "" {
		class = fmt.Sprintf("object of class 0x%X", o.Class)
	}
	return Name{Class: class, Type: typeName(o.CKK), ID: o.ID, Label: o.Label}
}

// Names names objects.
func Names(objects []Object) []Name {
	names := make([]Name, len(objects))
	for i, o := range objects {
		names[i] = o.Name()
	}
	return names
}
