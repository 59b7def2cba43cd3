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
	// ErrUserType: the token has no user of the type that is to log in, or not for a login of its own.
	ErrUserType = errors.New("the token takes no login of this user type")
	// ErrPINUnfit: the token does not take such a PIN as a new one.
	ErrPINUnfit = errors.New("the token does not take this new PIN")
	// ErrNoOfficerPIN: the security officer is needed, and no PIN of one is given.
	ErrNoOfficerPIN = errors.New("no security officer's PIN is given")
	// ErrOfficerPINIncorrect: the token refused the security officer's PIN, now or earlier in this process, which does
	// not try it again.
	ErrOfficerPINIncorrect = errors.New("the token refused the security officer's PIN")
	// ErrOfficerPINLocked: the security officer's PIN is locked.
	ErrOfficerPINLocked = errors.New("the security officer's PIN is locked")
	// ErrOfficerPINFinalTry: one more wrong PIN of the security officer would lock the token for good, so none is sent.
	ErrOfficerPINFinalTry = errors.New("one more wrong PIN of the security officer would lock the token")
	// ErrOfficerPINExpired: the security officer's PIN is right but has to be changed before anything else is allowed.
	ErrOfficerPINExpired = errors.New("the security officer's PIN has to be changed first")
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

// pinErrors are the codes that are about a user's PIN, and the errors that callers get for them.
var pinErrors = map[cryptoki.User]struct {
	of        map[cryptoki.RV]error
	incorrect error
	low       uint // the flag that says that wrong ones have been tried
}{
	cryptoki.CKU_USER: {map[cryptoki.RV]error{
		cryptoki.CKR_PIN_INCORRECT:            ErrPINIncorrect,
		cryptoki.CKR_PIN_INVALID:              ErrPINIncorrect,
		cryptoki.CKR_PIN_LEN_RANGE:            ErrPINIncorrect,
		cryptoki.CKR_PIN_LOCKED:               ErrPINLocked,
		cryptoki.CKR_PIN_EXPIRED:              ErrPINExpired,
		cryptoki.CKR_USER_PIN_NOT_INITIALIZED: ErrPINNotSet,
	}, ErrPINIncorrect, cryptoki.CKF_USER_PIN_COUNT_LOW},
	cryptoki.CKU_SO: {map[cryptoki.RV]error{
		cryptoki.CKR_PIN_INCORRECT: ErrOfficerPINIncorrect,
		cryptoki.CKR_PIN_INVALID:   ErrOfficerPINIncorrect,
		cryptoki.CKR_PIN_LEN_RANGE: ErrOfficerPINIncorrect,
		cryptoki.CKR_PIN_LOCKED:    ErrOfficerPINLocked,
		cryptoki.CKR_PIN_EXPIRED:   ErrOfficerPINExpired,
	}, ErrOfficerPINIncorrect, cryptoki.CKF_SO_PIN_COUNT_LOW},
}

// IsPINError says that a failure is about the PIN, its state on the token or whose it is, so that another try may lock the
// token.
func IsPINError(err error) bool {
	for _, sentinel := range []error{
		ErrPINIncorrect, ErrPINLocked, ErrPINFinalTry, ErrPINExpired, ErrPINNotSet,
		ErrOfficerPINIncorrect, ErrOfficerPINLocked, ErrOfficerPINFinalTry, ErrOfficerPINExpired, ErrUserType,
	} {
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
	if IsPINError(err) {
		return false
	}
	var call *cryptoki.Error
	var answer *cryptoki.AnswerError
	return errors.As(err, &call) || errors.As(err, &answer) || errors.Is(err, object.ErrMalformed)
}
