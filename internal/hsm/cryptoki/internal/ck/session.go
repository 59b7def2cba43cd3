package ck

// #include "calls.h"
import "C"

import "unsafe"

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
	var p unsafe.Pointer
	if pin != nil {
		p = f.copy(pin)
	}
	return result(C.ck_Login(l.list, ulong(session), ulong(user), p, ulong(len(pin))))
}
