package cryptoki

import (
	"cmp"
	"context"
	"crypto"
	"fmt"

	"github.com/miekg/pkcs11"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki/internal/ck"
)

// Object is an object's handle. It is good for as long as its session's application is logged in.
type Object uint

// MaxObjects is how many objects a search may find. A search that finds more counts as one that never ends.
const MaxObjects = 1 << 20

// batch is how many handles one C_FindObjects asks for.
const batch = 4096

// FindObjects gives the handles of all objects that have the template's attributes, of all objects for an
// empty template. It makes the three calls of a search, and ends the search on every path.
func (s *Session) FindObjects(ctx context.Context, template []Attribute) ([]Object, error) {
	return patiently(ctx, s.module.busy, func() ([]Object, error) { return s.findObjects(ctx, template) })
}

func (s *Session) findObjects(ctx context.Context, template []Attribute) ([]Object, error) {
	lost := s.Lost()
	call := &Call{Function: "C_FindObjectsInit", Session: s.handle, Template: template}
	err := run(ctx, s.module, call, func() error {
		return s.module.ck.FindObjectsInit(s.handle, tableTemplate(call.Template))
	})
	if err = s.operation(s.check(err)); err != nil {
		return nil, err
	}
	objects, err := s.collectObjects(ctx)
	if s.Lost() && !s.module.busy.asksForPatience(err) {
		return nil, err
	}
	final := s.operation(s.run(ctx, "C_FindObjectsFinal", 0, func() error { return s.module.ck.FindObjectsFinal(s.handle) }))
	switch {
	case err == nil:
		err = final
	case final == nil && !lost && s.module.busy.asksForPatience(err):
		s.Unharmed() // the search has ended, and may be made anew
	}
	return objects, err
}

func (s *Session) collectObjects(ctx context.Context) ([]Object, error) {
	var objects []Object
	seen := map[Object]bool{}
	for {
		call := &Call{Function: "C_FindObjects", Session: s.handle}
		found, err := invoke(ctx, s.module, call, func() ([]Object, error) {
			handles, err := s.module.ck.FindObjects(s.handle, batch)
			found := make([]Object, len(handles))
			for i, handle := range handles {
				found[i] = Object(handle)
			}
			return found, err
		})
		if err = s.check(err); err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return objects, nil
		}
		for _, o := range found {
			if seen[o] {
				return nil, s.nonsense("C_FindObjects", o, "one search finds the same object twice")
			}
			seen[o] = true
		}
		if objects = append(objects, found...); len(objects) > MaxObjects {
			return nil, s.nonsense("C_FindObjects", 0, fmt.Sprintf("the search has found %d objects and does not end",
				len(objects)))
		}
	}
}

func (s *Session) nonsense(function string, o Object, problem string) error {
	return s.check(&AnswerError{Function: function, Object: o, Problem: problem})
}

// SetAttributeValue changes attributes of one object.
func (s *Session) SetAttributeValue(ctx context.Context, object Object, attributes []Attribute) error {
	call := &Call{Function: "C_SetAttributeValue", Session: s.handle, Object: object, Template: attributes}
	return s.check(run(ctx, s.module, call, func() error {
		return s.module.ck.SetAttributeValue(s.handle, uint(object), tableTemplate(call.Template))
	}))
}

// CreateObject makes an object of all its attributes.
func (s *Session) CreateObject(ctx context.Context, template []Attribute) (Object, error) {
	call := &Call{Function: "C_CreateObject", Session: s.handle, Template: template}
	object, err := invoke(ctx, s.module, call, func() (Object, error) {
		o, err := s.module.ck.CreateObject(s.handle, tableTemplate(call.Template))
		return Object(o), err
	})
	return object, s.check(err)
}

// DestroyObject destroys one object.
func (s *Session) DestroyObject(ctx context.Context, object Object) error {
	return s.run(ctx, "C_DestroyObject", object, func() error {
		return s.module.ck.DestroyObject(s.handle, uint(object))
	})
}

// Pair are the handles of a new key pair.
type Pair struct{ Public, Private Object }

// GenerateKeyPair makes a key pair in the token.
func (s *Session) GenerateKeyPair(ctx context.Context, m Mechanism, public, private []Attribute) (Pair, error) {
	call := &Call{
		Function: "C_GenerateKeyPair", Session: s.handle, Mechanism: m.Type, Public: public, Template: private,
	}
	pair, err := invoke(ctx, s.module, call, func() (Pair, error) {
		pub, priv, err := s.module.ck.GenerateKeyPair(s.handle, m.of(call), tableTemplate(call.Public),
			tableTemplate(call.Template))
		return Pair{Public: Object(pub), Private: Object(priv)}, err
	})
	return pair, s.check(err)
}

// GenerateKey makes a secret key in the token.
func (s *Session) GenerateKey(ctx context.Context, m Mechanism, template []Attribute) (Object, error) {
	call := &Call{Function: "C_GenerateKey", Session: s.handle, Mechanism: m.Type, Template: template}
	object, err := invoke(ctx, s.module, call, func() (Object, error) {
		o, err := s.module.ck.GenerateKey(s.handle, m.of(call), tableTemplate(call.Template))
		return Object(o), err
	})
	return object, s.check(err)
}

// Sign signs with a private or secret key (C_SignInit, C_Sign).
func (s *Session) Sign(ctx context.Context, m Mechanism, key Object, data []byte) ([]byte, error) {
	return s.SignAfter(ctx, m, key, data, nil)
}

// SignAfter is Sign with something to do between its two calls, such as the login that a key wants for each use. nil:
// nothing. Where that fails, nothing is signed.
func (s *Session) SignAfter(
	ctx context.Context, m Mechanism, key Object, data []byte, between func() error,
) ([]byte, error) {
	init := func(c *Call) error { return s.module.ck.SignInit(s.handle, m.of(c), uint(key)) }
	return s.transform(ctx, "C_Sign", m, key, data, init, between, func(c *Call) ([]byte, error) {
		return s.module.ck.Sign(s.handle, c.Data, m.OutputLength)
	})
}

// Verify verifies a signature with a public or secret key (C_VerifyInit, C_Verify). One that does not hold is the error
// CKR_SIGNATURE_INVALID or CKR_SIGNATURE_LEN_RANGE.
func (s *Session) Verify(ctx context.Context, m Mechanism, key Object, data, signature []byte) error {
	init := func(c *Call) error { return s.module.ck.VerifyInit(s.handle, m.of(c), uint(key)) }
	_, err := s.transform(ctx, "C_Verify", m, key, data, init, nil, func(c *Call) ([]byte, error) {
		return nil, s.module.ck.Verify(s.handle, c.Data, signature)
	})
	return err
}

// Encrypt encrypts with a public or secret key (C_EncryptInit, C_Encrypt).
func (s *Session) Encrypt(ctx context.Context, m Mechanism, key Object, data []byte) ([]byte, error) {
	init := func(c *Call) error { return s.module.ck.EncryptInit(s.handle, m.of(c), uint(key)) }
	return s.transform(ctx, "C_Encrypt", m, key, data, init, nil, func(c *Call) ([]byte, error) {
		return s.module.ck.Encrypt(s.handle, c.Data, m.OutputLength)
	})
}

// Decrypt decrypts with a private or secret key (C_DecryptInit, C_Decrypt).
func (s *Session) Decrypt(ctx context.Context, m Mechanism, key Object, data []byte) ([]byte, error) {
	init := func(c *Call) error { return s.module.ck.DecryptInit(s.handle, m.of(c), uint(key)) }
	return s.transform(ctx, "C_Decrypt", m, key, data, init, nil, func(c *Call) ([]byte, error) {
		return s.module.ck.Decrypt(s.handle, c.Data, m.OutputLength)
	})
}

// DeriveKey derives a key (C_DeriveKey).
func (s *Session) DeriveKey(ctx context.Context, m Mechanism, base Object, template []Attribute) (Object, error) {
	call := &Call{Function: "C_DeriveKey", Session: s.handle, Object: base, Mechanism: m.Type, Template: template}
	if agreement, ok := m.parameter.(ck.ECDH1); ok {
		call.Point = agreement.Point
	}
	object, err := invoke(ctx, s.module, call, func() (Object, error) {
		o, err := s.module.ck.DeriveKey(s.handle, m.of(call), uint(base), tableTemplate(call.Template))
		return Object(o), err
	})
	return object, s.check(err)
}

// transform makes the two calls of a one-part operation, and what is to be done between them, if that is anything.
func (s *Session) transform(
	ctx context.Context, function string, m Mechanism, key Object, data []byte, init func(*Call) error,
	between func() error, do func(*Call) ([]byte, error),
) ([]byte, error) {
	lost := s.Lost()
	var stopped error
	if between != nil {
		do := between
		between = func() error { stopped = do(); return stopped }
	}
	out, err := patiently(ctx, s.module.busy, func() ([]byte, error) {
		out, err := s.transformOnce(ctx, function, m, key, data, init, between, do)
		switch {
		case stopped != nil:
			err = nil // not to be made anew: the operation is active in this session
		case !lost && s.module.busy.asksForPatience(err):
			s.Unharmed() // the operation has ended with its failure (PKCS#11 v2.40, 5.2), and may be made anew
		}
		return out, err
	})
	return out, cmp.Or(stopped, err)
}

func (s *Session) transformOnce(
	ctx context.Context, function string, m Mechanism, key Object, data []byte, init func(*Call) error,
	between func() error, do func(*Call) ([]byte, error),
) ([]byte, error) {
	first := &Call{Function: function + "Init", Session: s.handle, Object: key, Mechanism: m.Type}
	err := run(ctx, s.module, first, func() error { return init(first) })
	if err = s.operation(s.check(err)); err != nil {
		return nil, err
	}
	if between != nil {
		if err := between(); err != nil {
			return nil, s.operation(err)
		}
	}
	second := &Call{Function: function, Session: s.handle, Object: key, Data: data}
	out, err := invoke(ctx, s.module, second, func() ([]byte, error) { return do(second) })
	return out, s.operation(s.check(err))
}

// operation notes a failure within an operation of several calls. Whatever its code, the operation may still be active
// and block the session's next one.
func (s *Session) operation(err error) error {
	if err != nil {
		s.lost.Store(true)
	}
	return err
}

// Mechanism is a mechanism with its parameter.
type Mechanism struct {
	Type MechanismType
	// OutputLength is how many bytes C_Sign, C_Encrypt or C_Decrypt gives, where that is known. The buffer then has
	// exactly that length, and another length is an error. 0: the buffer is large enough for all.
	OutputLength int

	parameter ck.Parameter
}

// OAEP is CKM_RSA_PKCS_OAEP with SHA-1 and MGF1-SHA-1 and no label: the set of parameters that every token
// with OAEP has.
func OAEP() Mechanism {
	parameter := ck.OAEP{Hash: pkcs11.CKM_SHA_1, MGF: pkcs11.CKG_MGF1_SHA1, Source: pkcs11.CKZ_DATA_SPECIFIED}
	return Mechanism{Type: CKM_RSA_PKCS_OAEP, parameter: parameter}
}

// PSS gives a mechanism of RSASSA-PSS its parameters: the hash, MGF1 with the same hash, and how many bytes the salt
// has; in JOSE, that is as many as the hash has (RFC 7518, 3.5). Hashes are SHA-256, SHA-384 and SHA-512.
func PSS(m MechanismType, hash crypto.Hash, salt int) Mechanism {
	parameter := ck.PSS{Hash: pkcs11.CKM_SHA256, MGF: pkcs11.CKG_MGF1_SHA256, Salt: salt}
	switch hash {
	case crypto.SHA384:
		parameter.Hash, parameter.MGF = pkcs11.CKM_SHA384, pkcs11.CKG_MGF1_SHA384
	case crypto.SHA512:
		parameter.Hash, parameter.MGF = pkcs11.CKM_SHA512, pkcs11.CKG_MGF1_SHA512
	}
	return Mechanism{Type: m, parameter: parameter}
}

// ECDH1 is CKM_ECDH1_DERIVE without a key derivation function, with the other side's public point as
// PKCS#11 v2.40 wants it: raw.
func ECDH1(point []byte) Mechanism {
	return Mechanism{Type: CKM_ECDH1_DERIVE, parameter: ck.ECDH1{KDF: pkcs11.CKD_NULL, Point: point}}
}

// of is the mechanism as the call has it, whose hooks may have exchanged it.
func (m Mechanism) of(c *Call) ck.Mechanism {
	if _, ok := m.parameter.(ck.ECDH1); ok {
		m = ECDH1(c.Point)
	}
	return ck.Mechanism{Type: uint(c.Mechanism), Parameter: m.parameter}
}

func tableTemplate(attributes []Attribute) []ck.Attribute {
	template := make([]ck.Attribute, len(attributes))
	for i, a := range attributes {
		template[i] = ck.Attribute{Type: uint(a.Type), Value: a.Value}
	}
	return template
}
