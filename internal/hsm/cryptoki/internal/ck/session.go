package ck

// #include "calls.h"
import "C"

import (
	"bytes"
	"unsafe"
)

// OpenSession calls C_OpenSession.
func (l *Library) OpenSession(slot, flags uint) (session uint, err error) {
	f := newFrame()
	defer f.done()
	handle := f.ulong(0)
	return made(C.ck_OpenSession(l.list, ulong(slot), ulong(flags), handle), handle)
}

// made gives the handle that a call made. Zero is CK_INVALID_HANDLE.
func made(rv C.CK_RV, handle *ulong) (uint, error) {
	if err := result(rv); err != nil {
		return 0, err
	}
	if *handle == 0 {
		return 0, LieError("it answered CKR_OK, but gave no handle")
	}
	return number(*handle), nil
}

// CloseSession calls C_CloseSession.
func (l *Library) CloseSession(session uint) error {
	return result(C.ck_CloseSession(l.list, ulong(session)))
}

// CloseAllSessions calls C_CloseAllSessions.
func (l *Library) CloseAllSessions(slot uint) error {
	return result(C.ck_CloseAllSessions(l.list, ulong(slot)))
}

// Login calls C_Login. A nil PIN becomes a NULL pointer.
func (l *Library) Login(session, user uint, pin []byte) error {
	f := newFrame()
	defer f.done()
	return result(C.ck_Login(l.list, ulong(session), ulong(user), f.pin(pin), ulong(len(pin))))
}

// Logout calls C_Logout.
func (l *Library) Logout(session uint) error { return result(C.ck_Logout(l.list, ulong(session))) }

// leastRandom is how many random bytes the module is asked for at least. As many that are all the same come of no
// generator.
const leastRandom = 16

// GenerateRandom calls C_GenerateRandom, and gives that many bytes.
func (l *Library) GenerateRandom(session uint, size int) ([]byte, error) {
	f := newFrame()
	defer f.done()
	random := f.room(max(size, leastRandom))
	if err := result(C.ck_GenerateRandom(l.list, ulong(session), pointer(random), ulong(len(random)))); err != nil {
		return nil, err
	}
	switch {
	case cutShort(random):
		return nil, lie("it was to give %d random bytes, but wrote fewer", len(random))
	case bytes.Count(random, random[:1]) == len(random):
		return nil, lie("it gave %d random bytes, which are all the same", len(random))
	}
	return bytes.Clone(random[:size]), nil
}

// InitToken calls C_InitToken, with the label padded to its 32 bytes. A nil PIN becomes a NULL pointer.
func (l *Library) InitToken(slot uint, pin []byte, label [32]byte) error {
	f := newFrame()
	defer f.done()
	return result(C.ck_InitToken(l.list, ulong(slot), f.pin(pin), ulong(len(pin)), f.copy(label[:])))
}

// InitPIN calls C_InitPIN. A nil PIN becomes a NULL pointer.
func (l *Library) InitPIN(session uint, pin []byte) error {
	f := newFrame()
	defer f.done()
	return result(C.ck_InitPIN(l.list, ulong(session), f.pin(pin), ulong(len(pin))))
}

// SetPIN calls C_SetPIN. A nil PIN becomes a NULL pointer.
func (l *Library) SetPIN(session uint, old, pin []byte) error {
	f := newFrame()
	defer f.done()
	return result(C.ck_SetPIN(l.list, ulong(session), f.pin(old), ulong(len(old)), f.pin(pin), ulong(len(pin))))
}

// pin copies a PIN to where C finds it. A nil one is a NULL pointer: the token asks for it on a keypad of its own.
func (f *frame) pin(pin []byte) unsafe.Pointer {
	if pin == nil {
		return nil
	}
	return f.copy(pin)
}
