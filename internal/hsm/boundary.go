package hsm

import (
	"errors"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// What callers of this package need from package cryptoki, so that they do not import it.

// Hook stands around each call into a PKCS#11 module; see [cryptoki.Hook].
type Hook = cryptoki.Hook

// Call is one call into a PKCS#11 module, as a Hook sees it; see [cryptoki.Call].
type Call = cryptoki.Call

// Cause is why an operation failed, as the token or its module says, where callers treat such a failure in a way of
// its own.
type Cause int

// The causes.
const (
	CauseOther              Cause = iota // none of the causes below
	CauseCurve                           // the token does not offer the curve
	CauseUnchangeable                    // the token does not change the attribute, or the object, in place
	CauseUnsupported                     // the token does not have the function
	CauseTokenFull                       // the token has no room for another object
	CauseTooManySessions                 // the token has no session left
	CauseTokenRemoved                    // the token is not there any more
	CauseParameters                      // the module takes no such parameters, or wants some
	CauseOtherUser                       // the token does this only for another user than the one who is logged in
	CauseTokenDoesNotAnswer              // a call into the module did not return in time, and may still take effect
)

// causeCodes are the codes of each cause. If a failure has codes of several rows, the first row counts.
var causeCodes = []struct {
	cause Cause
	codes []cryptoki.RV
}{
	{CauseCurve, []cryptoki.RV{cryptoki.CKR_CURVE_NOT_SUPPORTED, cryptoki.CKR_DOMAIN_PARAMS_INVALID}},
	{CauseUnchangeable, []cryptoki.RV{cryptoki.CKR_ATTRIBUTE_READ_ONLY, cryptoki.CKR_ACTION_PROHIBITED}},
	{CauseUnsupported, []cryptoki.RV{cryptoki.CKR_FUNCTION_NOT_SUPPORTED}},
	{CauseTokenFull, []cryptoki.RV{cryptoki.CKR_DEVICE_MEMORY}},
	{CauseTooManySessions, []cryptoki.RV{cryptoki.CKR_SESSION_COUNT}},
	{CauseOtherUser, []cryptoki.RV{cryptoki.CKR_USER_NOT_LOGGED_IN}},
	{CauseTokenRemoved, []cryptoki.RV{cryptoki.CKR_TOKEN_NOT_PRESENT, cryptoki.CKR_DEVICE_REMOVED}},
}

// CauseOf gives the cause of a failure, from the module's answers that err wraps.
func CauseOf(err error) Cause {
	e, ok := errors.AsType[*cryptoki.Error](err)
	if ok && e.Function == "C_Initialize" && e.Code == cryptoki.CKR_ARGUMENTS_BAD {
		return CauseParameters
	}
	for _, row := range causeCodes {
		if slices.ContainsFunc(row.codes, func(code cryptoki.RV) bool { return errors.Is(err, code) }) {
			return row.cause
		}
	}
	if _, ok := errors.AsType[*cryptoki.HangError](err); ok {
		return CauseTokenDoesNotAnswer
	}
	return CauseOther
}
