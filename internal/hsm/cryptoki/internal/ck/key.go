package ck

// #include "calls.h"
import "C"

import (
	"errors"
	"unsafe"
)

// GenerateKey calls C_GenerateKey.
func (l *Library) GenerateKey(session uint, m Mechanism, attributes []Attribute) (key uint, err error) {
	f := newFrame()
	defer f.done()
	template, count := f.template(attributes)
	handle := f.ulong(0)
	return made(C.ck_GenerateKey(l.list, ulong(session), f.mechanism(m), template, count, handle), handle)
}

// GenerateKeyPair calls C_GenerateKeyPair.
func (l *Library) GenerateKeyPair(session uint, m Mechanism, public, private []Attribute) (pub, priv uint, err error) {
	f := newFrame()
	defer f.done()
	publicTemplate, publicCount := f.template(public)
	privateTemplate, privateCount := f.template(private)
	a, b := f.ulong(0), f.ulong(0)
	rv := C.ck_GenerateKeyPair(l.list, ulong(session), f.mechanism(m), publicTemplate, publicCount,
		privateTemplate, privateCount, a, b)
	if pub, err = made(rv, a); err != nil {
		return 0, 0, err
	}
	if priv, err = made(rv, b); err != nil {
		return 0, 0, err
	}
	if pub == priv {
		return 0, 0, lie("both halves have the handle %d", pub)
	}
	return pub, priv, nil
}

// DeriveKey calls C_DeriveKey.
func (l *Library) DeriveKey(session uint, m Mechanism, base uint, attributes []Attribute) (key uint, err error) {
	f := newFrame()
	defer f.done()
	template, count := f.template(attributes)
	handle := f.ulong(0)
	rv := C.ck_DeriveKey(l.list, ulong(session), f.mechanism(m), ulong(base), template, count, handle)
	return made(rv, handle)
}

// SignInit calls C_SignInit.
func (l *Library) SignInit(session uint, m Mechanism, key uint) error {
	f := newFrame()
	defer f.done()
	return result(C.ck_SignInit(l.list, ulong(session), f.mechanism(m), ulong(key)))
}

// Sign calls C_Sign. If exact is not 0, the buffer and the signature have exactly that length.
func (l *Library) Sign(session uint, data []byte, exact int) ([]byte, error) {
	return transform(data, exact, false, func(in unsafe.Pointer, size ulong, out unsafe.Pointer, length *ulong) C.CK_RV {
		return C.ck_Sign(l.list, ulong(session), in, size, out, length)
	})
}

// VerifyInit calls C_VerifyInit.
func (l *Library) VerifyInit(session uint, m Mechanism, key uint) error {
	f := newFrame()
	defer f.done()
	return result(C.ck_VerifyInit(l.list, ulong(session), f.mechanism(m), ulong(key)))
}

// Verify calls C_Verify.
func (l *Library) Verify(session uint, data, signature []byte) error {
	f := newFrame()
	defer f.done()
	return result(C.ck_Verify(l.list, ulong(session), f.copy(data), ulong(len(data)),
		f.copy(signature), ulong(len(signature))))
}

// EncryptInit calls C_EncryptInit.
func (l *Library) EncryptInit(session uint, m Mechanism, key uint) error {
	f := newFrame()
	defer f.done()
	return result(C.ck_EncryptInit(l.list, ulong(session), f.mechanism(m), ulong(key)))
}

// Encrypt calls C_Encrypt. exact is as with Sign.
func (l *Library) Encrypt(session uint, data []byte, exact int) ([]byte, error) {
	return transform(data, exact, false, func(in unsafe.Pointer, size ulong, out unsafe.Pointer, length *ulong) C.CK_RV {
		return C.ck_Encrypt(l.list, ulong(session), in, size, out, length)
	})
}

// DecryptInit calls C_DecryptInit.
func (l *Library) DecryptInit(session uint, m Mechanism, key uint) error {
	f := newFrame()
	defer f.done()
	return result(C.ck_DecryptInit(l.list, ulong(session), f.mechanism(m), ulong(key)))
}

// Decrypt calls C_Decrypt. exact is as with Sign.
func (l *Library) Decrypt(session uint, data []byte, exact int) ([]byte, error) {
	return transform(data, exact, true, func(in unsafe.Pointer, size ulong, out unsafe.Pointer, length *ulong) C.CK_RV {
		return C.ck_Decrypt(l.list, ulong(session), in, size, out, length)
	})
}

const (
	// surplus is how many bytes the buffer for the output is longer than the input. It is enough for every signature
	// and ciphertext of today, and no output has exactly this length.
	surplus = 8191
	// maxSurplus is the most that a module may ask for instead. The largest signature (SLH-DSA) has 49,856 bytes.
	maxSurplus = 64 << 10
)

// transform has the module turn an input into an output, in one call with a buffer that is large enough. Only if the
// module wants a larger one does it call a second time: after CKR_BUFFER_TOO_SMALL the operation goes on. Behind the
// buffer is room for a module that writes more than it is told.
func transform(
	data []byte, exact int, mayBeEmpty bool,
	call func(in unsafe.Pointer, size ulong, out unsafe.Pointer, length *ulong) C.CK_RV,
) ([]byte, error) {
	f := newFrame()
	defer f.done()
	in, size := f.copy(data), exact
	if exact == 0 {
		size = len(data) + surplus
	}
	length, out := f.ulong(ulong(size)), f.roomWith(maxSurplus, size)
	err := result(call(in, ulong(len(data)), pointer(out), length))
	if errors.Is(err, ErrBufferTooSmall) && exact == 0 {
		if uint64(*length) <= uint64(size) || uint64(*length) > uint64(len(data)+maxSurplus) {
			return nil, lie("it says that a buffer of %d bytes is too small, but wants one of %d",
				size, number(*length))
		}
		size = int(*length)
		out = f.roomWith(maxSurplus, size)
		err = result(call(in, ulong(len(data)), pointer(out), length))
	}
	if err != nil {
		return nil, err
	}
	switch {
	case uint64(*length) > uint64(size):
		return nil, lie("it gave %d bytes where there was room for %d", number(*length), size)
	case exact != 0 && int(*length) != exact:
		return nil, lie("it gave %d bytes where there must be %d", *length, exact)
	case *length == 0 && !mayBeEmpty:
		return nil, LieError("it gave no bytes at all")
	case size == len(data)+surplus && int(*length) == size:
		return nil, LieError("it wrote no length")
	case cutShort(out[:*length]):
		return nil, lie("it gave %d bytes, but wrote fewer", *length)
	}
	return append([]byte{}, out[:*length]...), nil
}
