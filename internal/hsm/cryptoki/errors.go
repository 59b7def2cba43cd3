package cryptoki

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki/internal/ck"
)

// RV is a PKCS#11 return value (CK_RV) other than CKR_OK. It is an error, so that
// errors.Is(err, cryptoki.CKR_PIN_INCORRECT) asks for a code.
type RV uint

// The codes that this project decides on (PKCS#11 v2.40, section 5.1).
const (
	CKR_HOST_MEMORY                  RV = pkcs11.CKR_HOST_MEMORY
	CKR_SLOT_ID_INVALID              RV = pkcs11.CKR_SLOT_ID_INVALID
	CKR_GENERAL_ERROR                RV = pkcs11.CKR_GENERAL_ERROR
	CKR_FUNCTION_FAILED              RV = pkcs11.CKR_FUNCTION_FAILED
	CKR_ARGUMENTS_BAD                RV = pkcs11.CKR_ARGUMENTS_BAD
	CKR_ACTION_PROHIBITED            RV = 0x1B
	CKR_ATTRIBUTE_READ_ONLY          RV = pkcs11.CKR_ATTRIBUTE_READ_ONLY
	CKR_ATTRIBUTE_SENSITIVE          RV = pkcs11.CKR_ATTRIBUTE_SENSITIVE
	CKR_ATTRIBUTE_TYPE_INVALID       RV = pkcs11.CKR_ATTRIBUTE_TYPE_INVALID
	CKR_ATTRIBUTE_VALUE_INVALID      RV = pkcs11.CKR_ATTRIBUTE_VALUE_INVALID
	CKR_CURVE_NOT_SUPPORTED          RV = pkcs11.CKR_CURVE_NOT_SUPPORTED
	CKR_DATA_INVALID                 RV = pkcs11.CKR_DATA_INVALID
	CKR_DATA_LEN_RANGE               RV = pkcs11.CKR_DATA_LEN_RANGE
	CKR_DEVICE_ERROR                 RV = pkcs11.CKR_DEVICE_ERROR
	CKR_DEVICE_MEMORY                RV = pkcs11.CKR_DEVICE_MEMORY
	CKR_DEVICE_REMOVED               RV = pkcs11.CKR_DEVICE_REMOVED
	CKR_DOMAIN_PARAMS_INVALID        RV = pkcs11.CKR_DOMAIN_PARAMS_INVALID
	CKR_FUNCTION_NOT_SUPPORTED       RV = pkcs11.CKR_FUNCTION_NOT_SUPPORTED
	CKR_FUNCTION_REJECTED            RV = pkcs11.CKR_FUNCTION_REJECTED
	CKR_KEY_FUNCTION_NOT_PERMITTED   RV = pkcs11.CKR_KEY_FUNCTION_NOT_PERMITTED
	CKR_KEY_HANDLE_INVALID           RV = pkcs11.CKR_KEY_HANDLE_INVALID
	CKR_KEY_SIZE_RANGE               RV = pkcs11.CKR_KEY_SIZE_RANGE
	CKR_KEY_TYPE_INCONSISTENT        RV = pkcs11.CKR_KEY_TYPE_INCONSISTENT
	CKR_MECHANISM_INVALID            RV = pkcs11.CKR_MECHANISM_INVALID
	CKR_MECHANISM_PARAM_INVALID      RV = pkcs11.CKR_MECHANISM_PARAM_INVALID
	CKR_OBJECT_HANDLE_INVALID        RV = pkcs11.CKR_OBJECT_HANDLE_INVALID
	CKR_OPERATION_ACTIVE             RV = pkcs11.CKR_OPERATION_ACTIVE
	CKR_OPERATION_NOT_INITIALIZED    RV = pkcs11.CKR_OPERATION_NOT_INITIALIZED
	CKR_PIN_INCORRECT                RV = pkcs11.CKR_PIN_INCORRECT
	CKR_PIN_INVALID                  RV = pkcs11.CKR_PIN_INVALID
	CKR_PIN_LEN_RANGE                RV = pkcs11.CKR_PIN_LEN_RANGE
	CKR_PIN_EXPIRED                  RV = pkcs11.CKR_PIN_EXPIRED
	CKR_RANDOM_NO_RNG                RV = pkcs11.CKR_RANDOM_NO_RNG
	CKR_PIN_LOCKED                   RV = pkcs11.CKR_PIN_LOCKED
	CKR_SESSION_CLOSED               RV = pkcs11.CKR_SESSION_CLOSED
	CKR_SIGNATURE_INVALID            RV = pkcs11.CKR_SIGNATURE_INVALID
	CKR_SIGNATURE_LEN_RANGE          RV = pkcs11.CKR_SIGNATURE_LEN_RANGE
	CKR_SESSION_COUNT                RV = pkcs11.CKR_SESSION_COUNT
	CKR_SESSION_EXISTS               RV = pkcs11.CKR_SESSION_EXISTS
	CKR_SESSION_HANDLE_INVALID       RV = pkcs11.CKR_SESSION_HANDLE_INVALID
	CKR_SESSION_READ_ONLY            RV = pkcs11.CKR_SESSION_READ_ONLY
	CKR_TEMPLATE_INCOMPLETE          RV = pkcs11.CKR_TEMPLATE_INCOMPLETE
	CKR_TEMPLATE_INCONSISTENT        RV = pkcs11.CKR_TEMPLATE_INCONSISTENT
	CKR_TOKEN_NOT_PRESENT            RV = pkcs11.CKR_TOKEN_NOT_PRESENT
	CKR_TOKEN_NOT_RECOGNIZED         RV = pkcs11.CKR_TOKEN_NOT_RECOGNIZED
	CKR_TOKEN_WRITE_PROTECTED        RV = pkcs11.CKR_TOKEN_WRITE_PROTECTED
	CKR_USER_ALREADY_LOGGED_IN       RV = pkcs11.CKR_USER_ALREADY_LOGGED_IN
	CKR_USER_NOT_LOGGED_IN           RV = pkcs11.CKR_USER_NOT_LOGGED_IN
	CKR_USER_PIN_NOT_INITIALIZED     RV = pkcs11.CKR_USER_PIN_NOT_INITIALIZED
	CKR_USER_TYPE_INVALID            RV = pkcs11.CKR_USER_TYPE_INVALID
	CKR_BUFFER_TOO_SMALL             RV = pkcs11.CKR_BUFFER_TOO_SMALL
	CKR_CRYPTOKI_NOT_INITIALIZED     RV = pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED
	CKR_CRYPTOKI_ALREADY_INITIALIZED RV = pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED
)

// newer are the names that the binding's table lacks.
var newer = map[RV]string{CKR_ACTION_PROHIBITED: "CKR_ACTION_PROHIBITED", CKR_CURVE_NOT_SUPPORTED: "CKR_CURVE_NOT_SUPPORTED"}

// OfVendor says that the code is a make's own, which PKCS#11 gives no meaning.
func (rv RV) OfVendor() bool { return rv >= pkcs11.CKR_VENDOR_DEFINED }

// Error returns the code's name and number: "CKR_DEVICE_ERROR (0x30)".
func (rv RV) Error() string {
	name, ok := newer[rv]
	if !ok {
		// The binding's text is "pkcs11: 0x30: CKR_DEVICE_ERROR", its name empty where the code is unknown.
		_, name, _ = strings.Cut(strings.TrimPrefix(pkcs11.Error(rv).Error(), "pkcs11: "), ": ")
	}
	if name == "" {
		name = "vendor or unknown code"
	}
	return fmt.Sprintf("%s (0x%X)", name, uint(rv))
}

// Error is the failure of one call: which PKCS#11 function answered what.
type Error struct {
	Function string // the C function: "C_FindObjects"
	Code     RV     // what it answered
}

// Error returns "cryptoki: C_FindObjects: CKR_DEVICE_ERROR (0x30)".
func (e *Error) Error() string { return "cryptoki: " + e.Function + ": " + e.Code.Error() }

// Unwrap gives the code, for errors.Is.
func (e *Error) Unwrap() error { return e.Code }

// HangError says that the caller's context ended while the module was still inside a function. Nobody knows what that
// call did to the token, or will still do.
type HangError struct {
	Function string        // the C function that has not returned
	After    time.Duration // how long the caller waited
	Err      error         // why the waiting ended: the context's error
}

// Error returns "cryptoki: C_Sign has not returned after 2s: context deadline exceeded".
func (e *HangError) Error() string {
	return fmt.Sprintf("cryptoki: %s has not returned after %s: %v", e.Function, e.After.Round(time.Millisecond), e.Err)
}

// Unwrap gives the context's error.
func (e *HangError) Unwrap() error { return e.Err }

// AnswerError says that a module answered a call with something that PKCS#11 does not allow: a length beyond the
// buffer, a key without a handle, a search that never ends. The answer was not used. Nobody knows what the call did to
// the token.
type AnswerError struct {
	Function string // the C function
	Object   Object // the object asked about, 0 for none
	Problem  string // what is wrong with the answer
}

// Error returns "cryptoki: C_FindObjects: the module's answer makes no sense: ...".
func (e *AnswerError) Error() string {
	object := ""
	if e.Object != 0 {
		object = fmt.Sprintf(" for object %d", e.Object)
	}
	return fmt.Sprintf("cryptoki: %s%s: the module's answer makes no sense: %s", e.Function, object, e.Problem)
}

// ErrLoad matches the errors of Open for a file that is missing or is not a PKCS#11 module.
var ErrLoad = errors.New("not a loadable PKCS#11 module")

// LoadError says why a module could not be loaded.
type LoadError struct {
	Path string
	Err  error // the file system's or the loader's own words
}

// Error returns the path and the reason.
func (e *LoadError) Error() string { return fmt.Sprintf("cryptoki: %s: %v", e.Path, e.Err) }

// Unwrap gives the reason.
func (e *LoadError) Unwrap() error { return e.Err }

// Is matches ErrLoad.
func (e *LoadError) Is(target error) bool { return target == ErrLoad }

// functionError turns an error of the call table into one of this package; nil stays nil.
func functionError(c *Call, err error) error {
	if code, ok := errors.AsType[ck.CodeError](err); ok {
		return &Error{Function: c.Function, Code: RV(code)}
	}
	if lie, ok := errors.AsType[ck.LieError](err); ok {
		return &AnswerError{Function: c.Function, Object: c.Object, Problem: lie.Error()}
	}
	return err
}
