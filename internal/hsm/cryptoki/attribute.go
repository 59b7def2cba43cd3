package cryptoki

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/miekg/pkcs11"
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
)

// names are for messages: an attribute that a token got wrong is named, not numbered.
var names = map[AttributeType]string{
	CKA_CLASS: "CKA_CLASS", CKA_TOKEN: "CKA_TOKEN", CKA_PRIVATE: "CKA_PRIVATE", CKA_LABEL: "CKA_LABEL",
	CKA_VALUE: "CKA_VALUE", CKA_VALUE_LEN: "CKA_VALUE_LEN", CKA_KEY_TYPE: "CKA_KEY_TYPE", CKA_ID: "CKA_ID",
	CKA_SENSITIVE: "CKA_SENSITIVE", CKA_ENCRYPT: "CKA_ENCRYPT", CKA_DECRYPT: "CKA_DECRYPT", CKA_WRAP: "CKA_WRAP",
	CKA_UNWRAP: "CKA_UNWRAP", CKA_SIGN: "CKA_SIGN", CKA_SIGN_RECOVER: "CKA_SIGN_RECOVER", CKA_VERIFY: "CKA_VERIFY",
	CKA_VERIFY_RECOVER: "CKA_VERIFY_RECOVER", CKA_DERIVE: "CKA_DERIVE", CKA_MODULUS: "CKA_MODULUS",
	CKA_MODULUS_BITS: "CKA_MODULUS_BITS", CKA_PUBLIC_EXPONENT: "CKA_PUBLIC_EXPONENT",
	CKA_EXTRACTABLE: "CKA_EXTRACTABLE", CKA_LOCAL: "CKA_LOCAL", CKA_NEVER_EXTRACTABLE: "CKA_NEVER_EXTRACTABLE",
	CKA_ALWAYS_SENSITIVE: "CKA_ALWAYS_SENSITIVE", CKA_EC_PARAMS: "CKA_EC_PARAMS", CKA_EC_POINT: "CKA_EC_POINT",
	CKA_CHECK_VALUE: "CKA_CHECK_VALUE",
}

// String is the attribute's name in the specification.
func (t AttributeType) String() string {
	if name, ok := names[t]; ok {
		return name
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
	CKK_AES            uint = pkcs11.CKK_AES
	CKK_GENERIC_SECRET uint = pkcs11.CKK_GENERIC_SECRET
)

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

// ULong encodes a CK_ULONG in the machine's byte order.
func ULong(t AttributeType, v uint) Attribute {
	return Attribute{t, binary.NativeEndian.AppendUint64(nil, uint64(v))}
}

// Bytes encodes a byte string, a text or a big integer.
func Bytes(t AttributeType, v []byte) Attribute { return Attribute{t, v} }

// Attributes are what came back for an object: what it does not have, or does not show, is not in the map.
type Attributes map[AttributeType][]byte

// Bool decodes a CK_BBOOL; known is false where the attribute did not come back.
func (a Attributes) Bool(t AttributeType) (value, known bool, err error) {
	v, ok := a[t]
	switch {
	case !ok:
		return false, false, nil
	case len(v) != 1:
		return false, false, fmt.Errorf("%s is %d bytes long where CK_BBOOL has 1", t, len(v))
	}
	return v[0] != 0, true, nil
}

// ULong decodes a CK_ULONG in the machine's byte order; known is false where the attribute did not come back.
func (a Attributes) ULong(t AttributeType) (value uint, known bool, err error) {
	v, ok := a[t]
	switch {
	case !ok:
		return 0, false, nil
	case len(v) != 8:
		return 0, false, fmt.Errorf("%s is %d bytes long where CK_ULONG has 8", t, len(v))
	}
	return uint(binary.NativeEndian.Uint64(v)), true, nil
}

const (
	maxAttribute = 1 << 20 // bytes; no attribute read here comes near, a module that says more lies
	defaultRoom  = 512     // bytes
)

// rooms are the buffers set out beforehand, in bytes, where defaultRoom will not do: flags and numbers need
// no more than 8, an RSA modulus of 16,384 bits has 2,048.
var rooms = map[AttributeType]int{
	CKA_CLASS: 8, CKA_TOKEN: 8, CKA_PRIVATE: 8, CKA_VALUE_LEN: 8, CKA_KEY_TYPE: 8, CKA_SENSITIVE: 8,
	CKA_ENCRYPT: 8, CKA_DECRYPT: 8, CKA_WRAP: 8, CKA_UNWRAP: 8, CKA_SIGN: 8, CKA_SIGN_RECOVER: 8, CKA_VERIFY: 8,
	CKA_VERIFY_RECOVER: 8, CKA_DERIVE: 8, CKA_MODULUS_BITS: 8, CKA_EXTRACTABLE: 8, CKA_LOCAL: 8,
	CKA_NEVER_EXTRACTABLE: 8, CKA_ALWAYS_SENSITIVE: 8, CKA_MODULUS: 2048,
}

// everywhere are the attributes that each key object has and shows, of a length nobody bounds. Where one of
// them does not come back, the buffer may have been the reason, whatever the code: a module that has several
// things to complain of names just one.
var everywhere = map[AttributeType]bool{CKA_ID: true, CKA_LABEL: true}

// Reading is what one C_GetAttributeValue brought.
type Reading struct {
	Attributes Attributes
	short      []request // those to ask for again: the buffer was too small, or may have been
}

// GetAttributeValue reads the attributes of one object in one call, with buffers set out beforehand. What
// the object lacks (CKR_ATTRIBUTE_TYPE_INVALID) or hides (CKR_ATTRIBUTE_SENSITIVE) is left out of the answer
// and is no error. Only where a value did not fit are its length, then its bytes asked for.
func (s *Session) GetAttributeValue(ctx context.Context, object Object, types []AttributeType) (Attributes, error) {
	requests := make([]request, len(types))
	for i, t := range types {
		room, ok := rooms[t]
		if !ok {
			room = defaultRoom
		}
		requests[i] = request{attribute: t, room: room}
	}
	first, err := s.getAttributeValue(ctx, object, requests)
	if err != nil || len(first.short) == 0 {
		return first.Attributes, err
	}
	lengths, err := s.getAttributeValue(ctx, object, first.short)
	if err != nil || len(lengths.short) == 0 {
		return first.Attributes, err
	}
	second, err := s.getAttributeValue(ctx, object, lengths.short)
	if err != nil {
		return nil, err
	}
	if len(second.short) > 0 {
		problem := fmt.Sprintf("%s does not fit a buffer of the length that the module gave", second.short[0].attribute)
		return nil, &AnswerError{Function: "C_GetAttributeValue", Object: object, Problem: problem}
	}
	maps.Copy(first.Attributes, second.Attributes)
	return first.Attributes, nil
}

func (s *Session) getAttributeValue(ctx context.Context, object Object, requests []request) (Reading, error) {
	call := &Call{Function: "C_GetAttributeValue", Session: s.handle, Object: object}
	reading, err := invoke(ctx, s.module, call, func() (Reading, error) {
		asked := slices.Clone(requests) // a caller that stops waiting leaves this running
		err := s.module.fn.getAttributeValue(s.handle, object, asked)
		var code pkcs11.Error
		if err != nil && !errors.As(err, &code) {
			return Reading{}, err
		}
		switch RV(code) {
		case 0, CKR_ATTRIBUTE_SENSITIVE, CKR_ATTRIBUTE_TYPE_INVALID, CKR_BUFFER_TOO_SMALL:
			return collect(asked, RV(code)), nil
		}
		return Reading{}, err
	})
	return reading, s.check(err)
}

// collect sorts what a call brought into what is had and what is to be asked for again.
func collect(asked []request, code RV) Reading {
	r := Reading{Attributes: make(Attributes, len(asked))}
	for _, a := range asked {
		switch {
		case a.value != nil:
			r.Attributes[a.attribute] = a.value
		case a.length > a.room: // a length that was asked for, or a value longer than its buffer
			r.short = append(r.short, request{attribute: a.attribute, room: a.nextRoom()})
		case a.length < 0 && a.room > 0 && (code == CKR_BUFFER_TOO_SMALL || code != 0 && everywhere[a.attribute]):
			r.short = append(r.short, request{attribute: a.attribute})
		}
	}
	return r
}

// nextRoom is the room for the next request: none after a value did not fit (its length is asked for), the
// length after that.
func (r request) nextRoom() int {
	if r.room > 0 {
		return 0
	}
	return r.length
}
