package cryptoki

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/miekg/pkcs11"
)

// Session is an open session. One goroutine uses it at a time.
type Session struct {
	module *Module
	handle uint
	lost   atomic.Bool
	hangs  atomic.Bool
}

// States of a session (CK_SESSION_INFO).
const (
	CKS_RO_PUBLIC_SESSION uint = pkcs11.CKS_RO_PUBLIC_SESSION
	CKS_RW_PUBLIC_SESSION uint = pkcs11.CKS_RW_PUBLIC_SESSION
	CKS_RO_USER_FUNCTIONS uint = pkcs11.CKS_RO_USER_FUNCTIONS
	CKS_RW_USER_FUNCTIONS uint = pkcs11.CKS_RW_USER_FUNCTIONS
	CKS_RW_SO_FUNCTIONS   uint = pkcs11.CKS_RW_SO_FUNCTIONS
)

// OpenSession opens a session, read/write unless the token takes no writes at all: a security officer cannot log in
// while a read-only session is open.
func (m *Module) OpenSession(ctx context.Context, slot uint, readOnly bool) (*Session, error) {
	var flags uint = pkcs11.CKF_SERIAL_SESSION | pkcs11.CKF_RW_SESSION
	if readOnly {
		flags = pkcs11.CKF_SERIAL_SESSION
	}
	handle, err := invoke(ctx, m, &Call{Function: "C_OpenSession"}, func() (uint, error) {
		h, err := m.ck.OpenSession(slot, flags)
		if err == nil && ctx.Err() != nil {
			// Nobody waits for the session any more, so nobody else would close it.
			_ = m.ck.CloseSession(h)
		}
		return h, err
	})
	if err != nil {
		return nil, err
	}
	return &Session{module: m, handle: handle}, nil
}

// CloseAllSessions closes every session of this process on the token in a slot. That ends its login.
func (m *Module) CloseAllSessions(ctx context.Context, slot uint) error {
	return run(ctx, m, &Call{Function: "C_CloseAllSessions"}, func() error { return m.ck.CloseAllSessions(slot) })
}

// CloseSession closes the session. One in which a call hangs is left alone.
func (s *Session) CloseSession(ctx context.Context) error {
	if s.hangs.Load() {
		return nil
	}
	return s.run(ctx, "C_CloseSession", 0, func() error { return s.module.ck.CloseSession(s.handle) })
}

// GetSessionInfo gives the session's state, CKS_...
func (s *Session) GetSessionInfo(ctx context.Context) (state uint, err error) {
	state, err = invoke(ctx, s.module, &Call{Function: "C_GetSessionInfo", Session: s.handle}, func() (uint, error) {
		return s.module.ck.GetSessionInfo(s.handle)
	})
	return state, s.check(err)
}

// User is who logs in (CK_USER_TYPE).
type User uint

// The users of a token.
const (
	CKU_SO               User = pkcs11.CKU_SO // the security officer
	CKU_USER             User = pkcs11.CKU_USER
	CKU_CONTEXT_SPECIFIC User = pkcs11.CKU_CONTEXT_SPECIFIC
)

// Normal says that it is the token's normal user.
func (u User) Normal() bool { return u == CKU_USER }

// ParseUser reads who logs in: user, so or context, or a vendor's number, decimal or hexadecimal with 0x in front.
func ParseUser(s string) (User, error) {
	if user, ok := map[string]User{"user": CKU_USER, "so": CKU_SO, "context": CKU_CONTEXT_SPECIFIC}[s]; ok {
		return user, nil
	}
	number, err := ParseSlot(s)
	if err != nil {
		return 0, fmt.Errorf("%q is neither user, so or context, nor a number: decimal, or hexadecimal with 0x in front", s)
	}
	return User(number), nil
}

// Login logs the process into the session's token. A nil PIN leaves the asking to the token
// (CKF_PROTECTED_AUTHENTICATION_PATH), here and in all functions that take one.
func (s *Session) Login(ctx context.Context, user User, pin []byte) error {
	call := &Call{Function: "C_Login", Session: s.handle, User: user}
	return s.check(run(ctx, s.module, call, func() error { return s.module.ck.Login(s.handle, uint(call.User), pin) }))
}

// Logout ends the process's login to the session's token.
func (s *Session) Logout(ctx context.Context) error {
	return s.run(ctx, "C_Logout", 0, func() error { return s.module.ck.Logout(s.handle) })
}

// InitPIN gives the token's user a PIN. The session is logged in as the security officer.
func (s *Session) InitPIN(ctx context.Context, pin []byte) error {
	return s.run(ctx, "C_InitPIN", 0, func() error { return s.module.ck.InitPIN(s.handle, pin) })
}

// SetPIN changes the PIN of whoever is logged in.
func (s *Session) SetPIN(ctx context.Context, old, pin []byte) error {
	return s.run(ctx, "C_SetPIN", 0, func() error { return s.module.ck.SetPIN(s.handle, old, pin) })
}

// MaxRandom is how many random bytes one call may ask for.
const MaxRandom = 4096

// GenerateRandom gives random bytes of the token's generator, 1 to MaxRandom of them.
func (s *Session) GenerateRandom(ctx context.Context, size int) ([]byte, error) {
	call := &Call{Function: "C_GenerateRandom", Session: s.handle}
	random, err := invoke(ctx, s.module, call, func() ([]byte, error) {
		return s.module.ck.GenerateRandom(s.handle, size)
	})
	if err == nil && len(random) != size {
		err = &AnswerError{Function: call.Function, Problem: fmt.Sprintf("it gave %d bytes, not %d", len(random), size)}
	}
	if err != nil {
		return nil, s.check(err)
	}
	return random, nil
}

// Lost says that the session must not be used again: a call in it hangs, or failed in a way that leaves the session in
// doubt.
func (s *Session) Lost() bool { return s.lost.Load() }

// answers are the codes with which a function answers about the request, and which leave the session as good as
// before. Every other code, and every other failure, makes the session lost.
var answers = map[RV]bool{
	CKR_ACTION_PROHIBITED: true, CKR_ATTRIBUTE_READ_ONLY: true, CKR_ATTRIBUTE_SENSITIVE: true,
	CKR_ATTRIBUTE_TYPE_INVALID: true, CKR_ATTRIBUTE_VALUE_INVALID: true, CKR_CURVE_NOT_SUPPORTED: true,
	CKR_DOMAIN_PARAMS_INVALID: true, CKR_FUNCTION_NOT_SUPPORTED: true,
	CKR_KEY_FUNCTION_NOT_PERMITTED: true, CKR_KEY_SIZE_RANGE: true, CKR_KEY_TYPE_INCONSISTENT: true,
	CKR_MECHANISM_INVALID: true, CKR_MECHANISM_PARAM_INVALID: true, CKR_TEMPLATE_INCOMPLETE: true,
	CKR_SESSION_READ_ONLY: true, CKR_TEMPLATE_INCONSISTENT: true, CKR_TOKEN_WRITE_PROTECTED: true, CKR_USER_ALREADY_LOGGED_IN: true,
}

// Refused says that a function answered about the request itself. The same request would get the same answer, and
// nothing was changed.
func Refused(err error) bool {
	var e *Error
	return errors.As(err, &e) && answers[e.Code]
}

// InvalidHandle says that an object's handle means nothing, or no longer means anything. Functions that take a key may
// have a code of their own for that.
func InvalidHandle(err error) bool {
	return errors.Is(err, CKR_OBJECT_HANDLE_INVALID) || errors.Is(err, CKR_KEY_HANDLE_INVALID)
}

// check notes what an error says about the session, and gives the error back.
func (s *Session) check(err error) error {
	if _, ok := errors.AsType[*HangError](err); ok {
		s.hangs.Store(true)
	}
	if e, ok := errors.AsType[*Error](err); err != nil && (!ok || !answers[e.Code] && !InvalidHandle(e)) {
		s.lost.Store(true)
	}
	return err
}

func (s *Session) run(ctx context.Context, function string, object Object, f func() error) error {
	return s.check(run(ctx, s.module, &Call{Function: function, Session: s.handle, Object: object}, f))
}

// Unharmed takes it back that the session is lost, for who has seen it answer after that. One in which a call hangs stays
// lost.
func (s *Session) Unharmed() { s.lost.Store(s.hangs.Load()) }

// Abandon marks the session as lost for a reason that no call gave, and gives the reason back.
func (s *Session) Abandon(reason error) error { return s.check(reason) }
