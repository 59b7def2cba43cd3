package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// Errors of logins.
var (
	// ErrNoPIN: the token wants a login, and no PIN is given.
	ErrNoPIN = errors.New("no PIN is given")
	// ErrPINIncorrect: the token refused the PIN, now or earlier in this process, which does not try it again.
	ErrPINIncorrect = errors.New("the token refused the PIN")
	// ErrPINLocked: the user PIN is locked.
	ErrPINLocked = errors.New("the user PIN is locked")
	// ErrPINFinalTry: one more wrong PIN would lock the token, so none is sent.
	ErrPINFinalTry = errors.New("one more wrong PIN would lock the token")
	// ErrPINExpired: the PIN is right but has to be changed before anything else is allowed.
	ErrPINExpired = errors.New("the PIN has to be changed first")
	// ErrPINNotSet: the token has no user PIN yet.
	ErrPINNotSet = errors.New("the token has no user PIN yet")
	// ErrNoToken: no token, or more than one, matches; or another token is in the slot now.
	ErrNoToken = errors.New("there is not exactly one token that matches")
)

// exchangedError says that another token is in the slot than was opened.
type exchangedError struct{ was, is cryptoki.TokenInfo }

func (e *exchangedError) Error() string {
	return fmt.Sprintf("another token is in the slot now: it was %s, and is %s", e.was, e.is)
}

// Is matches ErrNoToken.
func (e *exchangedError) Is(target error) bool { return target == ErrNoToken }

// pinErrors are the codes of C_Login that are about the PIN, and the errors that callers get for them.
var pinErrors = map[cryptoki.RV]error{
	cryptoki.CKR_PIN_INCORRECT:            ErrPINIncorrect,
	cryptoki.CKR_PIN_INVALID:              ErrPINIncorrect,
	cryptoki.CKR_PIN_LEN_RANGE:            ErrPINIncorrect,
	cryptoki.CKR_PIN_LOCKED:               ErrPINLocked,
	cryptoki.CKR_PIN_EXPIRED:              ErrPINExpired,
	cryptoki.CKR_USER_PIN_NOT_INITIALIZED: ErrPINNotSet,
}

// IsPINError says that a failure is about the PIN or its state on the token, so that another try may lock the token.
func IsPINError(err error) bool {
	for _, sentinel := range []error{ErrPINIncorrect, ErrPINLocked, ErrPINFinalTry, ErrPINExpired, ErrPINNotSet} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}

// Repeatable says whether a read that failed with err may be tried again. A refused PIN is never tried again, and
// nobody waits twice for a call that hangs.
func Repeatable(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil {
		return false
	}
	for _, sentinel := range pinErrors {
		if errors.Is(err, sentinel) {
			return false
		}
	}
	var call *cryptoki.Error
	var answer *cryptoki.AnswerError
	return errors.As(err, &call) || errors.As(err, &answer) || errors.Is(err, object.ErrMalformed)
}
