package cryptoki

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/miekg/pkcs11"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki/internal/ck"
)

// AttributeType is a CK_ATTRIBUTE_TYPE.
type AttributeType uint

// The attributes that this project reads or writes (PKCS#11 v2.40, section 4 and the mechanisms' pages).
const (
	CKA_CLASS             AttributeType = pkcs11.CKA_CLASS
	CKA_TOKEN             AttributeType = pkcs11.CKA_TOKEN
	CKA_PRIVATE           AttributeType = pkcs11.CKA_PRIVATE
	CKA_LABEL             AttributeType = pkcs11.CKA_LABEL
	CKA_VALUE             AttributeType = pkcs11.CKA_VALUE
	CKA_VALUE_LEN         AttributeType = pkcs11.CKA_VALUE_LEN
	CKA_KEY_TYPE          AttributeType = pkcs11.CKA_KEY_TYPE
	CKA_ID                AttributeType = pkcs11.CKA_ID
	CKA_SENSITIVE         AttributeType = pkcs11.CKA_SENSITIVE
	CKA_ENCRYPT           AttributeType = pkcs11.CKA_ENCRYPT
	CKA_DECRYPT           AttributeType = pkcs11.CKA_DECRYPT
	CKA_WRAP              AttributeType = pkcs11.CKA_WRAP
	CKA_UNWRAP            AttributeType = pkcs11.CKA_UNWRAP
	CKA_SIGN              AttributeType = pkcs11.CKA_SIGN
	CKA_SIGN_RECOVER      AttributeType = pkcs11.CKA_SIGN_RECOVER
	CKA_VERIFY            AttributeType = pkcs11.CKA_VERIFY
	CKA_VERIFY_RECOVER    AttributeType = pkcs11.CKA_VERIFY_RECOVER
	CKA_DERIVE            AttributeType = pkcs11.CKA_DERIVE
	CKA_MODULUS           AttributeType = pkcs11.CKA_MODULUS
	CKA_MODULUS_BITS      AttributeType = pkcs11.CKA_MODULUS_BITS
	CKA_PUBLIC_EXPONENT   AttributeType = pkcs11.CKA_PUBLIC_EXPONENT
	CKA_EXTRACTABLE       AttributeType = pkcs11.CKA_EXTRACTABLE
	CKA_LOCAL             AttributeType = pkcs11.CKA_LOCAL
	CKA_NEVER_EXTRACTABLE AttributeType = pkcs11.CKA_NEVER_EXTRACTABLE
	CKA_ALWAYS_SENSITIVE  AttributeType = pkcs11.CKA_ALWAYS_SENSITIVE
	CKA_EC_PARAMS         AttributeType = pkcs11.CKA_EC_PARAMS
	CKA_EC_POINT          AttributeType = pkcs11.CKA_EC_POINT
	CKA_CHECK_VALUE       AttributeType = pkcs11.CKA_CHECK_VALUE
	CKA_START_DATE        AttributeType = pkcs11.CKA_START_DATE
	CKA_END_DATE          AttributeType = pkcs11.CKA_END_DATE
	CKA_MODIFIABLE        AttributeType = pkcs11.CKA_MODIFIABLE
	CKA_COPYABLE          AttributeType = pkcs11.CKA_COPYABLE
	CKA_DESTROYABLE       AttributeType = pkcs11.CKA_DESTROYABLE

	CKA_ALWAYS_AUTHENTICATE AttributeType = pkcs11.CKA_ALWAYS_AUTHENTICATE
	CKA_ALLOWED_MECHANISMS  AttributeType = pkcs11.CKA_ALLOWED_MECHANISMS

	CKA_CERTIFICATE_TYPE AttributeType = pkcs11.CKA_CERTIFICATE_TYPE
	CKA_SUBJECT          AttributeType = pkcs11.CKA_SUBJECT
	CKA_ISSUER           AttributeType = pkcs11.CKA_ISSUER
	CKA_SERIAL_NUMBER    AttributeType = pkcs11.CKA_SERIAL_NUMBER

	CKA_PARAMETER_SET AttributeType = 0x61d // PKCS#11 3.2
)

// attributes is the one table of what this package needs of an attribute.
var attributes = map[AttributeType]struct {
	name string // in the specification
	room int    // the buffer set out beforehand, in bytes
	// everywhere: each key object has and shows the attribute, and its length has no bound. If it is missing in an
	// answer, the buffer may have been too small, whatever the code says: a module with several complaints names only
	// one.
	everywhere bool
}{
	CKA_CLASS:             {name: "CKA_CLASS", room: number},
	CKA_TOKEN:             {name: "CKA_TOKEN", room: flag},
	CKA_PRIVATE:           {name: "CKA_PRIVATE", room: flag},
	CKA_LABEL:             {name: "CKA_LABEL", room: defaultRoom, everywhere: true},
	CKA_VALUE:             {name: "CKA_VALUE", room: 2592}, // of a public key of ML-DSA-87,
	CKA_VALUE_LEN:         {name: "CKA_VALUE_LEN", room: number},
	CKA_KEY_TYPE:          {name: "CKA_KEY_TYPE", room: number},
	CKA_ID:                {name: "CKA_ID", room: defaultRoom, everywhere: true},
	CKA_SENSITIVE:         {name: "CKA_SENSITIVE", room: flag},
	CKA_ENCRYPT:           {name: "CKA_ENCRYPT", room: flag},
	CKA_DECRYPT:           {name: "CKA_DECRYPT", room: flag},
	CKA_WRAP:              {name: "CKA_WRAP", room: flag},
	CKA_UNWRAP:            {name: "CKA_UNWRAP", room: flag},
	CKA_SIGN:              {name: "CKA_SIGN", room: flag},
	CKA_SIGN_RECOVER:      {name: "CKA_SIGN_RECOVER", room: flag},
	CKA_VERIFY:            {name: "CKA_VERIFY", room: flag},
	CKA_VERIFY_RECOVER:    {name: "CKA_VERIFY_RECOVER", room: flag},
	CKA_DERIVE:            {name: "CKA_DERIVE", room: flag},
	CKA_MODULUS:           {name: "CKA_MODULUS", room: 2048}, // that of 16,384 bits
	CKA_MODULUS_BITS:      {name: "CKA_MODULUS_BITS", room: number},
	CKA_PUBLIC_EXPONENT:   {name: "CKA_PUBLIC_EXPONENT", room: defaultRoom},
	CKA_EXTRACTABLE:       {name: "CKA_EXTRACTABLE", room: flag},
	CKA_LOCAL:             {name: "CKA_LOCAL", room: flag},
	CKA_NEVER_EXTRACTABLE: {name: "CKA_NEVER_EXTRACTABLE", room: flag},
	CKA_ALWAYS_SENSITIVE:  {name: "CKA_ALWAYS_SENSITIVE", room: flag},
	CKA_EC_PARAMS:         {name: "CKA_EC_PARAMS", room: defaultRoom},
	CKA_EC_POINT:          {name: "CKA_EC_POINT", room: defaultRoom},
	CKA_CHECK_VALUE:       {name: "CKA_CHECK_VALUE", room: defaultRoom},
	CKA_START_DATE:        {name: "CKA_START_DATE", room: date},
	CKA_END_DATE:          {name: "CKA_END_DATE", room: date},
	CKA_MODIFIABLE:        {name: "CKA_MODIFIABLE", room: flag},
	CKA_COPYABLE:          {name: "CKA_COPYABLE", room: flag},
	CKA_DESTROYABLE:       {name: "CKA_DESTROYABLE", room: flag},

	CKA_ALWAYS_AUTHENTICATE: {name: "CKA_ALWAYS_AUTHENTICATE", room: flag},
	CKA_ALLOWED_MECHANISMS:  {name: "CKA_ALLOWED_MECHANISMS", room: defaultRoom},

	CKA_CERTIFICATE_TYPE: {name: "CKA_CERTIFICATE_TYPE", room: number},
	CKA_SUBJECT:          {name: "CKA_SUBJECT", room: defaultRoom},
	CKA_ISSUER:           {name: "CKA_ISSUER", room: defaultRoom},
	CKA_SERIAL_NUMBER:    {name: "CKA_SERIAL_NUMBER", room: defaultRoom},

	CKA_PARAMETER_SET: {name: "CKA_PARAMETER_SET", room: number},
}

// Rooms, in bytes. Flags and numbers get exactly what they need: some answer a larger buffer with CKR_BUFFER_TOO_SMALL.
const (
	flag         = 1
	number       = ck.ULongSize
	date         = 8 // CK_DATE: YYYYMMDD
	defaultRoom  = 512
	maxAttribute = 1 << 20 // longer than any attribute that means something
)

// String is the attribute's name in the specification.
func (t AttributeType) String() string {
	if a, ok := attributes[t]; ok {
		return a.name
	}
	return fmt.Sprintf("attribute 0x%X", uint(t))
}

// ObjectClass, KeyType: the values of CKA_CLASS and CKA_KEY_TYPE that matter here.
const (
	CKO_PUBLIC_KEY  uint = pkcs11.CKO_PUBLIC_KEY
	CKO_PRIVATE_KEY uint = pkcs11.CKO_PRIVATE_KEY
	CKO_SECRET_KEY  uint = pkcs11.CKO_SECRET_KEY

	CKK_RSA            uint = pkcs11.CKK_RSA
	CKK_EC             uint = pkcs11.CKK_EC
	CKK_EC_EDWARDS     uint = 0x40
	CKK_ML_DSA         uint = 0x4a // PKCS#11 3.2
	CKK_AES            uint = pkcs11.CKK_AES
	CKK_GENERIC_SECRET uint = pkcs11.CKK_GENERIC_SECRET
)

// OwnClasses are the classes of objects that come with a token: CKO_HW_FEATURE, CKO_MECHANISM, CKO_PROFILE,
// CKO_VALIDATION.
var OwnClasses = []uint{pkcs11.CKO_HW_FEATURE, pkcs11.CKO_MECHANISM, 9, 10}

// Attribute is one attribute of a template.
type Attribute struct {
	Type  AttributeType
	Value []byte // as PKCS#11 encodes it; see Bool and ULong
}

// Bool encodes a CK_BBOOL.
func Bool(t AttributeType, v bool) Attribute {
	if v {
		return Attribute{t, []byte{1}}
	}
	return Attribute{t, []byte{0}}
}

// ULong encodes a CK_ULONG in the machine's byte order, as wide as it is on this platform.
func ULong(t AttributeType, v uint) Attribute { return Attribute{t, ck.ULong(v)} }

// Bytes encodes a byte string, a text or a big integer.
func Bytes(t AttributeType, v []byte) Attribute { return Attribute{t, v} }

// Told is the attribute for reports: a flag or a number with its value, a curve with its DER, and of all else the length.
func (a Attribute) Told() string {
	about, known := attributes[a.Type]
	switch {
	case known && about.room == flag && len(a.Value) == flag:
		return fmt.Sprintf("%s=%t", a.Type, a.Value[0] != 0)
	case known && about.room == number && len(a.Value) == number:
		return fmt.Sprintf("%s=0x%X", a.Type, ck.ULongOf(a.Value))
	case a.Type == CKA_EC_PARAMS:
		return fmt.Sprintf("%s=%x", a.Type, a.Value)
	}
	return fmt.Sprintf("%s (%d bytes)", a.Type, len(a.Value))
}

// Attributes are the attributes that an object shows. Those that it does not have or does not show are not in the map.
type Attributes map[AttributeType][]byte

// Bool decodes a CK_BBOOL. ok is false where the object does not show the attribute.
func (a Attributes) Bool(t AttributeType) (value, ok bool, err error) {
	v, ok := a[t]
	switch {
	case !ok:
		return false, false, nil
	case len(v) != 1:
		return false, false, fmt.Errorf("%s has %d bytes, but a CK_BBOOL has 1", t, len(v))
	}
	return v[0] != 0, true, nil
}

// ULong decodes a CK_ULONG in the machine's byte order. ok is false where the object does not show the attribute. A
// number that the token does not tell is Unknown.
func (a Attributes) ULong(t AttributeType) (value uint, ok bool, err error) {
	v, ok := a[t]
	switch {
	case !ok:
		return 0, false, nil
	case len(v) != ck.ULongSize:
		return 0, false, fmt.Errorf("%s has %d bytes, but a CK_ULONG has %d", t, len(v), ck.ULongSize)
	}
	return ck.ULongOf(v), true, nil
}

// ULongs decodes a list of CK_ULONGs. It is nil where the object does not show the attribute.
func (a Attributes) ULongs(t AttributeType) ([]uint, error) {
	v := a[t]
	if len(v)%ck.ULongSize != 0 {
		return nil, fmt.Errorf("%s has %d bytes, but a CK_ULONG has %d", t, len(v), ck.ULongSize)
	}
	var list []uint
	for ; len(v) > 0; v = v[ck.ULongSize:] {
		list = append(list, ck.ULongOf(v[:ck.ULongSize]))
	}
	return list, nil
}

// Reading is the answer to one C_GetAttributeValue.
type Reading struct {
	Attributes Attributes
	short      []ck.Request // to ask for again: the buffer was too small, or may have been
	long       *LongError   // of a value that nobody asks for again
}

// LongError says that an object has a value that is longer than any attribute that means something. Whoever may make
// objects, even without a PIN, can make such a one. It says nothing against the module or the session.
type LongError struct {
	Object Object
	Type   AttributeType
	Length uint // bytes
}

// Error returns "object 7 has a CKA_LABEL of 2097152 bytes, and this provider reads no more than 1048576".
func (e *LongError) Error() string {
	return fmt.Sprintf("object %d has a %s of %d bytes, and this provider reads no more than %d",
		e.Object, e.Type, e.Length, maxAttribute)
}

// GetAttributeValue reads the attributes of one object in one call, with buffers that it sets out beforehand.
// Attributes that the object lacks (CKR_ATTRIBUTE_TYPE_INVALID) or hides (CKR_ATTRIBUTE_SENSITIVE) are left out of the
// answer; that is no error. Only where a value did not fit does it ask for the length and then for the value. A
// *LongError comes together with the other attributes.
func (s *Session) GetAttributeValue(ctx context.Context, object Object, types []AttributeType) (Attributes, error) {
	requests := make([]ck.Request, len(types))
	for i, t := range types {
		room := defaultRoom
		if a, ok := attributes[t]; ok {
			room = a.room
		}
		requests[i] = ck.Request{Type: uint(t), Room: room}
	}
	first, err := s.getAttributeValue(ctx, object, requests)
	if err != nil {
		return nil, err
	}
	read, short, long := first.Attributes, first.short, first.long
	for range 2 {
		if len(short) == 0 {
			break
		}
		more, err := s.getAttributeValue(ctx, object, short)
		if err != nil {
			return nil, err
		}
		maps.Copy(read, more.Attributes)
		short, long = more.short, cmp.Or(long, more.long)
	}
	if len(short) > 0 {
		problem := fmt.Sprintf("%s fits no buffer, not even of the length that the module gave", AttributeType(short[0].Type))
		return nil, s.nonsense("C_GetAttributeValue", object, problem)
	}
	if long != nil {
		long.Object = object
		return read, long
	}
	return read, nil
}

// getAttributeValue makes one call. The requests belong to the call from then on: a call that hangs may still fill
// them in.
func (s *Session) getAttributeValue(ctx context.Context, object Object, requests []ck.Request) (Reading, error) {
	types := make([]AttributeType, len(requests))
	for i, request := range requests {
		types[i] = AttributeType(request.Type)
	}
	call := &Call{Function: "C_GetAttributeValue", Session: s.handle, Object: object, Types: types}
	given := requests
	reading, err := invoke(ctx, s.module, call, func() (Reading, error) {
		requests := slices.Clone(given) // each try has buffers of its own
		err := s.module.ck.GetAttributeValue(s.handle, uint(object), requests)
		var code ck.CodeError
		if err != nil && !errors.As(err, &code) {
			return Reading{}, err
		}
		switch RV(code) {
		case 0, CKR_ATTRIBUTE_SENSITIVE, CKR_ATTRIBUTE_TYPE_INVALID, CKR_BUFFER_TOO_SMALL:
			return collect(requests, RV(code))
		}
		return Reading{}, err
	})
	return reading, s.check(err)
}

// collect separates the values in an answer from the attributes to ask for again.
func collect(asked []ck.Request, code RV) (Reading, error) {
	r := Reading{Attributes: make(Attributes, len(asked))}
	for _, a := range asked {
		t := AttributeType(a.Type)
		there := a.Length != ck.Unknown
		switch {
		case a.Unwritten && code == 0:
			return Reading{}, ck.LieError(fmt.Sprintf("it answered CKR_OK, but did not write the value of %s", t))
		case there && code == 0 && a.Room > 0 && a.Length > uint(a.Room):
			return Reading{}, ck.LieError(fmt.Sprintf("it gave %s of %d bytes where there was room for %d",
				t, a.Length, a.Room))
		case there && a.Length > maxAttribute && attributes[t].room < defaultRoom && attributes[t].room > 0: // of one length
			return Reading{}, ck.LieError(fmt.Sprintf("it gave %s of %d bytes", t, a.Length))
		case there && a.Length > maxAttribute:
			r.long = &LongError{Type: t, Length: a.Length}
		case a.Value != nil:
			r.Attributes[t] = a.Value
		case there && a.Length > 0: // longer than the buffer, or only the length was asked for
			r.short = append(r.short, ck.Request{Type: a.Type, Room: int(a.Length)})
		case there: // a value that did not fit and now is empty: it may have changed, or the module lies
			r.short = append(r.short, ck.Request{Type: a.Type, Room: defaultRoom})
		case code == CKR_BUFFER_TOO_SMALL || a.Room > 0 && code != 0 && attributes[t].everywhere:
			r.short = append(r.short, ck.Request{Type: a.Type})
		}
	}
	return r, nil
}
