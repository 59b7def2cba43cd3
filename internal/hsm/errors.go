package hsm

import (
	"errors"
	"fmt"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// What callers decide on. Most come wrapped in a type of the same name that has the details.
var (
	// ErrNotFound: no key of that ID and type is on the token. It is a proven absence: the search went
	// through, and the process was logged in when it did.
	ErrNotFound = errors.New("no such key is on the token")
	// ErrExists: key objects on the token bear the ID already; see ExistsError.
	ErrExists = errors.New("the key ID is taken")
	// ErrAmbiguous: several keys bear the ID, and no fingerprint says which is meant; see AmbiguousError.
	ErrAmbiguous = errors.New("several keys bear the key ID")
	// ErrHalfPair: one half of the pair is missing; see HalfPairError.
	ErrHalfPair = errors.New("half of the key pair is missing")

	// ErrNoPIN: the token wants a login, and no PIN is given.
	ErrNoPIN = errors.New("no PIN is given")
	// ErrPINIncorrect: the token refused the PIN, now or earlier in this process; it is not tried again.
	ErrPINIncorrect = errors.New("the token refused the PIN")
	// ErrPINLocked: the user PIN is locked.
	ErrPINLocked = errors.New("the user PIN is locked")
	// ErrPINFinalTry: one more wrong PIN would lock the token, so none is sent.
	ErrPINFinalTry = errors.New("one more wrong PIN would lock the token")
	// ErrPINExpired: the PIN is right but has to be changed before anything else is allowed.
	ErrPINExpired = errors.New("the PIN has to be changed first")
	// ErrPINNotSet: the token has no user PIN yet.
	ErrPINNotSet = errors.New("the token has no user PIN yet")

	// ErrLibrary: the PKCS#11 module cannot be loaded; see LibraryError.
	ErrLibrary = errors.New("the PKCS#11 module cannot be loaded")
	// ErrNoToken: no token, or more than one, is what the selector names; see TokenError.
	ErrNoToken = errors.New("not exactly one token matches")
	// ErrTokenNotInitialized: the token was never initialised.
	ErrTokenNotInitialized = errors.New("the token is not initialised")
	// ErrReadOnly: the token is write-protected.
	ErrReadOnly = errors.New("the token is write-protected")
	// ErrMechanism: the token cannot make such a key; see MechanismError.
	ErrMechanism = errors.New("the token cannot make such a key")
	// ErrUnfit: no token makes such a key; see UnfitError.
	ErrUnfit = errors.New("no key is such")
	// ErrMalformed: an object on the token has an attribute that makes no sense; see MalformedError.
	ErrMalformed = errors.New("an object on the token makes no sense")
)

// ExistsError lists what bears an ID already.
type ExistsError struct {
	ID      []byte
	Objects []Object
	Whole   KeyType // of the one whole key that Objects are; "" where they are none, or more
	Raced   bool    // it was free when it was looked at, and taken by someone else while the key was made
}

func (e *ExistsError) Error() string {
	text := fmt.Sprintf("key ID %s is taken on the token by %s", FormatID(e.ID), list(e.Objects))
	if e.Raced {
		text += ", which someone else made at the same time"
	}
	return text
}

// Is matches ErrExists.
func (e *ExistsError) Is(target error) bool { return target == ErrExists }

// AmbiguousError lists the keys that bear one ID.
type AmbiguousError struct {
	ID      []byte
	Objects []Object // the private halves, or the secret keys
	// Fingerprints are those of the keys, in the order of Objects: check values of secret keys, "" where they have none.
	Fingerprints []string
	// Halves: Objects are halves of pairs, and nothing shows which of them belong together. Fingerprints has "" for
	// those that show nothing of their key.
	Halves bool
}

func (e *AmbiguousError) Error() string {
	var each []string
	for i, o := range e.Objects {
		if e.Fingerprints[i] == "" {
			each = append(each, o.String())
			continue
		}
		mark := "fingerprint"
		if o.Class == classes[cryptoki.CKO_SECRET_KEY] {
			mark = "check value"
		}
		each = append(each, fmt.Sprintf("%s (%s %s)", o, mark, e.Fingerprints[i]))
	}
	if e.Halves {
		return fmt.Sprintf("key ID %s is borne by several keys, and nothing shows which of the halves belong together: %s", FormatID(e.ID), strings.Join(each, "; "))
	}
	return fmt.Sprintf("key ID %s is borne by %d keys: %s", FormatID(e.ID), len(e.Objects), strings.Join(each, "; "))
}

// Is matches ErrAmbiguous.
func (e *AmbiguousError) Is(target error) bool { return target == ErrAmbiguous }

// HalfPairError says which half is there and which is missing.
type HalfPairError struct {
	ID      []byte
	Present Object
	Missing string  // "private key" or "public key"
	Twin    *Object // the missing half under another ID, where it was found
}

func (e *HalfPairError) Error() string {
	text := fmt.Sprintf("of the key pair %s the %s is missing: only the %s is on the token", FormatID(e.ID), e.Missing, e.Present)
	if e.Twin != nil {
		text += fmt.Sprintf("; its other half bears another ID: %s", *e.Twin)
	}
	return text
}

// Is matches ErrHalfPair.
func (e *HalfPairError) Is(target error) bool { return target == ErrHalfPair }

// LibraryError says which module could not be loaded, and the loader's reason.
type LibraryError struct {
	Path string // "" where none was given
	Err  error
}

func (e *LibraryError) Error() string {
	if e.Path == "" {
		return "no PKCS#11 module is given"
	}
	return e.Err.Error()
}

// Unwrap gives the loader's error.
func (e *LibraryError) Unwrap() error { return e.Err }

// Is matches ErrLibrary.
func (e *LibraryError) Is(target error) bool { return target == ErrLibrary }

// TokenError says how many tokens the selector names, and lists those that are there.
type TokenError struct {
	Selector Selector
	Matches  int
	Tokens   []TokenInfo // every token that the module shows
	Skipped  []string    // slots that did not answer, with their errors
}

func (e *TokenError) Error() string {
	var b strings.Builder
	if e.Matches == 0 {
		fmt.Fprintf(&b, "no token with %s is there", e.Selector)
	} else {
		fmt.Fprintf(&b, "%d tokens match %s", e.Matches, e.Selector)
	}
	if len(e.Tokens) == 0 {
		b.WriteString("; the module shows no token at all")
	} else {
		b.WriteString("; the module shows:")
	}
	for _, t := range e.Tokens {
		fmt.Fprintf(&b, "\n  - %s", t)
	}
	for _, s := range e.Skipped {
		fmt.Fprintf(&b, "\n  - %s", s)
	}
	return b.String()
}

// Is matches ErrNoToken.
func (e *TokenError) Is(target error) bool { return target == ErrNoToken }

// MechanismError says what the token offers instead of what was asked.
type MechanismError struct {
	Wanted string // "RSA keys of 8192 bits"
	Offers string // "RSA keys of 512 to 4096 bits", or "no key generation of this type"
}

func (e *MechanismError) Error() string {
	return fmt.Sprintf("the token does not make %s; it offers %s", e.Wanted, e.Offers)
}

// Is matches ErrMechanism.
func (e *MechanismError) Is(target error) bool { return target == ErrMechanism }

// UnfitError says what is asked for that no key of the type has: a size, or a usage.
type UnfitError struct{ Problem string }

func (e *UnfitError) Error() string { return e.Problem }

// Is matches ErrUnfit.
func (e *UnfitError) Is(target error) bool { return target == ErrUnfit }

// MalformedError names an object, and what is wrong with it.
type MalformedError struct {
	Object Object
	Handle cryptoki.Object // 0 where it would be of no help
	Err    error           // names the attribute
}

func (e *MalformedError) Error() string {
	text := fmt.Sprintf("the %s: %v", e.Object, e.Err)
	if e.Handle != 0 {
		text += fmt.Sprintf(" (object handle %d)", e.Handle)
	}
	return text
}

// Unreadable says that not even the object's class can be read.
func (e *MalformedError) Unreadable() bool { return e.Object.Class == unreadableClass }

// Unwrap gives what is wrong.
func (e *MalformedError) Unwrap() error { return e.Err }

// Is matches ErrMalformed.
func (e *MalformedError) Is(target error) bool { return target == ErrMalformed }

// VerifyError says in what a new or changed key differs from what was asked for.
type VerifyError struct{ Problems []string }

func (e *VerifyError) Error() string {
	return "what the token holds is not what was asked for: " + strings.Join(e.Problems, "; ")
}

// Holding says what a failed operation left on the token.
type Holding int

// What a token may hold after a failure.
const (
	HoldsUnknown    Holding = iota // the token could not be asked, or showed what makes no sense
	HoldsUntouched                 // nothing was begun
	HoldsNothing                   // no key of that ID
	HoldsAsBefore                  // the key as it was before the operation
	HoldsKey                       // the whole key: a pair, or a secret key
	HoldsPublic                    // the public half alone
	HoldsPrivate                   // the private half alone
	HoldsMixed                     // the key, with some of the changes made
	HoldsKeyAtLeast                // the key, with or without the changes
	HoldsOther                     // a key or keys of this ID that this operation did not make
)

var holdings = map[Holding]string{
	HoldsUnknown:    "Whether the token holds the key, or part of it, is not known: it could not be asked any more, or what it showed makes no sense.",
	HoldsUntouched:  "Nothing was made or changed.",
	HoldsNothing:    "The token holds no key of this ID.",
	HoldsAsBefore:   "The token holds the key as it was before.",
	HoldsKey:        "The token holds the whole key.",
	HoldsPublic:     "The token holds the public half of the key pair, and no private half.",
	HoldsPrivate:    "The token holds the private half of the key pair, and no public half.",
	HoldsMixed:      "The token holds the whole key, but only some of the changes were made.",
	HoldsKeyAtLeast: "The token held the key when it was last asked; whether the change was made, in whole or in part, is not known.",
	HoldsOther:      "The token holds nothing of this operation, but other key objects bear the ID.",
}

// String is a full sentence.
func (h Holding) String() string { return holdings[h] }

// OperationError is a failed change of the token: what failed, and what the token holds now.
type OperationError struct {
	Operation string // "generate", "change" or "destroy"
	ID        []byte
	Label     string
	Err       error
	Holds     Holding
}

func (e *OperationError) Error() string {
	return fmt.Sprintf("%s key %s (label %q): %v. %s", e.Operation, FormatID(e.ID), e.Label, e.Err, e.Holds)
}

// Unwrap gives the cause.
func (e *OperationError) Unwrap() error { return e.Err }

// pinErrors are the codes of C_Login that speak of the PIN, and what callers are told.
var pinErrors = map[cryptoki.RV]error{
	cryptoki.CKR_PIN_INCORRECT:            ErrPINIncorrect,
	cryptoki.CKR_PIN_INVALID:              ErrPINIncorrect,
	cryptoki.CKR_PIN_LEN_RANGE:            ErrPINIncorrect,
	cryptoki.CKR_PIN_LOCKED:               ErrPINLocked,
	cryptoki.CKR_PIN_EXPIRED:              ErrPINExpired,
	cryptoki.CKR_USER_PIN_NOT_INITIALIZED: ErrPINNotSet,
}

func list[T fmt.Stringer](items []T) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = item.String()
	}
	return strings.Join(texts, ", ")
}

// IsPINError says that a failure is about the PIN or its state on the token, so that trying again may lock it.
func IsPINError(err error) bool {
	for _, sentinel := range []error{ErrPINIncorrect, ErrPINLocked, ErrPINFinalTry, ErrPINExpired, ErrPINNotSet} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}
