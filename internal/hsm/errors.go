package hsm

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/session"
)

// Errors that callers decide on, besides those of package object. Most come wrapped in a type of the same name, which
// has the details.
var (
	// ErrNoPIN: the token wants a login, and no PIN is given.
	ErrNoPIN = session.ErrNoPIN
	// ErrPINIncorrect: the token refused the PIN, now or earlier in this process, which does not try it again.
	ErrPINIncorrect = session.ErrPINIncorrect
	// ErrPINLocked: the user PIN is locked.
	ErrPINLocked = session.ErrPINLocked
	// ErrPINFinalTry: one more wrong PIN would lock the token, so none is sent.
	ErrPINFinalTry = session.ErrPINFinalTry
	// ErrPINExpired: the PIN is right but has to be changed before anything else is allowed.
	ErrPINExpired = session.ErrPINExpired
	// ErrPINNotSet: the token has no user PIN yet.
	ErrPINNotSet = session.ErrPINNotSet
	// ErrUserType: the token has no user of the type that is to log in, or not for a login of its own.
	ErrUserType = session.ErrUserType
	// ErrPINUnfit: the token does not take such a PIN as a new one.
	ErrPINUnfit = session.ErrPINUnfit
	// ErrNoOfficerPIN, ErrOfficerPINIncorrect, ErrOfficerPINLocked, ErrOfficerPINFinalTry and ErrOfficerPINExpired are
	// the same for the security officer's PIN.
	ErrNoOfficerPIN        = session.ErrNoOfficerPIN
	ErrOfficerPINIncorrect = session.ErrOfficerPINIncorrect
	ErrOfficerPINLocked    = session.ErrOfficerPINLocked
	ErrOfficerPINFinalTry  = session.ErrOfficerPINFinalTry
	ErrOfficerPINExpired   = session.ErrOfficerPINExpired
	// ErrNoOfficer: this make of token has no security officer who could do that.
	ErrNoOfficer = errors.New("this make of token has no security officer")
	// ErrNoErasure: this make of token cannot be initialised once more.
	ErrNoErasure = errors.New("this make of token cannot be initialised once more")
	// ErrNoToken: no token, or more than one, matches the selector, see TokenError; or the token was exchanged.
	ErrNoToken = session.ErrNoToken

	// ErrLibrary: the PKCS#11 module cannot be loaded; see LibraryError.
	ErrLibrary = errors.New("the PKCS#11 module cannot be loaded")
	// ErrParameters: this process has the module open with other parameters.
	ErrParameters = cryptoki.ErrParameters
	// ErrTokenNotInitialized: the token was never initialised; see BlankTokenError.
	ErrTokenNotInitialized = errors.New("the token is not initialised")
	// ErrReadOnly: the token is write-protected.
	ErrReadOnly = errors.New("the token is write-protected")
)

// IsPINError says that a failure is about the PIN or its state on the token, so that another try may lock the token.
func IsPINError(err error) bool { return session.IsPINError(err) }

// PINFormError says that the PIN does not have the form that the token's make wants.
type PINFormError = session.PINFormError

// NotHereError says that a make of token does not do what an hsm_token would have it do.
type NotHereError struct {
	Ask  quirk.Ask
	Says string // the way that its vendor has for it: full sentences
}

func (e *NotHereError) Error() string {
	return fmt.Sprintf("this make of token does not do this through PKCS#11 (%s)", e.Ask)
}

// refusal is a *NotHereError where the make refuses what is asked.
func refusal(d quirk.Differences, ask quirk.Ask) error {
	if says, refused := d.Refuses[ask]; refused {
		return &NotHereError{Ask: ask, Says: says}
	}
	return nil
}

// LibraryError says which module could not be loaded, and the loader's reason.
type LibraryError struct {
	Path string // "" where none was given
	Err  error
}

func (e *LibraryError) Error() string {
	if e.Path == "" {
		return "no PKCS#11 module is given"
	}
	reason := e.Err
	if loading, ok := errors.AsType[*cryptoki.LoadError](reason); ok {
		reason = loading.Err
	}
	return fmt.Sprintf("the PKCS#11 module %s cannot be loaded: %v", quotedPath(e.Path), reason)
}

// Unwrap gives the loader's error.
func (e *LibraryError) Unwrap() error { return e.Err }

// Is matches ErrLibrary.
func (e *LibraryError) Is(target error) bool { return target == ErrLibrary }

// TokenError says how many tokens match the selector, and lists the tokens that the module shows.
type TokenError struct {
	Selector Selector
	Matches  int
	Tokens   []cryptoki.TokenInfo // every token that the module shows
	Skipped  []string             // slots that did not answer, with their errors
}

func (e *TokenError) Error() string { return e.Told(e.Selector.String()) }

// Told is the error's text with the selector in other words, such as with where each part of it came from.
func (e *TokenError) Told(selector string) string {
	var b strings.Builder
	switch {
	case e.Matches > 0 && e.Selector == Selector{}:
		fmt.Fprintf(&b, "no label, serial number or slot is given, and %d tokens are initialised", e.Matches)
	case e.Matches > 0:
		fmt.Fprintf(&b, "%d tokens have the %s", e.Matches, selector)
	case e.Selector == Selector{}:
		b.WriteString("no token is initialised, and no label, serial number or slot is given")
	default:
		fmt.Fprintf(&b, "no token has the %s", selector)
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

// Blank gives the slot of a token that is not initialised.
func (e *TokenError) Blank() (slot uint, ok bool) {
	for _, t := range e.Tokens {
		if !t.Initialised() {
			return t.Slot, true
		}
	}
	return 0, false
}

// AllBlank says that the module shows no token that is initialised.
func (e *TokenError) AllBlank() bool {
	return !slices.ContainsFunc(e.Tokens, func(t cryptoki.TokenInfo) bool { return t.Initialised() })
}

// BlankTokenError says that the token in the selected slot was never initialised.
type BlankTokenError struct{ Slot uint }

func (e *BlankTokenError) Error() string {
	return fmt.Sprintf("the token in slot %d (0x%x) is not initialised", e.Slot, e.Slot)
}

// Is matches ErrTokenNotInitialized.
func (e *BlankTokenError) Is(target error) bool { return target == ErrTokenNotInitialized }

// Halves are the two halves of what looks like a pair.
type Halves struct {
	Private, Public object.Name
	Refusal         error // what the token said to the operation that would have proven it; nil where there is none
}

// String is such as `EC private key "web" (ID 6b31) and EC public key "web" (ID 6b31)`.
func (h Halves) String() string {
	text := fmt.Sprintf("%s and %s", h.Private, h.Public)
	if h.Refusal != nil {
		text += ": " + strings.ReplaceAll(h.Refusal.Error(), "\n", "; ")
	}
	return text
}

// maxHalves is how many pairs an error lists.
const maxHalves = 20

func listHalves(b *strings.Builder, pairs []Halves) {
	for _, pair := range pairs[:min(len(pairs), maxHalves)] {
		fmt.Fprintf(b, "\n  - %s", pair)
	}
	if more := len(pairs) - maxHalves; more > 0 {
		fmt.Fprintf(b, "\n  - and %d more", more)
	}
}

// DisprovedError lists halves with one ID that are of different keys: an operation with the private half does not fit
// the public one.
type DisprovedError struct{ Pairs []Halves }

func (e *DisprovedError) Error() string {
	var b strings.Builder
	b.WriteString("the private half does not belong to the public half beside it:")
	listHalves(&b, e.Pairs)
	return b.String()
}

// Is matches object.ErrMalformed.
func (e *DisprovedError) Is(target error) bool { return target == object.ErrMalformed }

// UnprovenError lists halves of which nothing proves that they belong together.
type UnprovenError struct{ Pairs []Halves }

func (e *UnprovenError) Error() string {
	var b strings.Builder
	b.WriteString(unproven)
	b.WriteByte(':')
	listHalves(&b, e.Pairs)
	return b.String()
}

// VerifyError says in what a new or changed key differs from what was asked for.
type VerifyError struct{ Problems []string }

func (e *VerifyError) Error() string {
	return "what the token holds is not what was asked for: " + strings.Join(e.Problems, "; ")
}

// UnreadableError says that the token has objects that this user may not read, and so never sees. Nobody can tell
// whether an ID is free, whether what was not found is there all the same, or what else there is.
type UnreadableError struct {
	ID      []byte // nil where all of the token's keys are meant
	Objects int
}

func (e *UnreadableError) Error() string {
	what := "what else the token holds"
	if e.ID != nil {
		what = "whether the key ID " + object.FormatID(e.ID) + " is among it"
	}
	return fmt.Sprintf("another user has made objects of the token that this user may not read (%d), so nobody can see %s",
		e.Objects, what)
}

// UnseenError says that the token does not show a key, and that this does not prove that the key is gone.
type UnseenError struct {
	ID   []byte // nil where no one key is meant
	Role bool   // another than the normal user is logged in, and sees no private object; else what others do is seen late
}

func (e *UnseenError) Error() string {
	what := "the keys"
	if e.ID != nil {
		what = "a key with the ID " + object.FormatID(e.ID)
	}
	if e.Role {
		return "the token does not show " + what + " to who is logged in (user_type is not user), and no other private " +
			"object either. Many tokens show these to their normal user alone, so this does not prove that nothing is there"
	}
	return "the token does not show " + what + " now. It shows only after a while what other programs and other machines make " +
		"and destroy, so this does not prove that nothing is there"
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

	HoldsNoCertificate      // nothing that the operation was to write
	HoldsCertificate        // the certificate as it was before
	HoldsBothCertificates   // the new certificate, and the old one
	HoldsMixedCertificate   // the certificate, with some of the changes made
	HoldsRenamedCertificate // the certificate, which somebody else has given another label or ID
	HoldsCertificatePerhaps // it is not known whether the certificate is there, or how it is
)

var holdings = map[Holding]string{
	HoldsUnknown: "It is not known whether the token holds the key or part of it: the token no longer answered, " +
		"or its answer makes no sense.",
	HoldsUntouched: "Nothing was made or changed.",
	HoldsNothing:   "The token holds no key with this ID.",
	HoldsAsBefore:  "The token holds the key as it was before.",
	HoldsKey:       "The token holds the whole key.",
	HoldsPublic:    "The token holds the public half of the key pair, and no private half.",
	HoldsPrivate:   "The token holds the private half of the key pair, and no public half.",
	HoldsMixed:     "The token holds the whole key, but only some of the changes were made.",
	HoldsKeyAtLeast: "The token held the key when it was last asked. It is not known whether the change was made, in " +
		"whole or in part.",
	HoldsOther: "The token holds nothing that this operation made, but other key objects use the ID.",

	HoldsNoCertificate:      "The token holds nothing of the certificate that was to be written.",
	HoldsCertificate:        "The token holds the certificate as it was before.",
	HoldsBothCertificates:   "The token holds the new certificate, and still the old one too.",
	HoldsRenamedCertificate: "The token holds the certificate, with another label or ID than before.",
	HoldsMixedCertificate:   "The token holds the certificate, but only some of the changes were made.",
	HoldsCertificatePerhaps: "It is not known whether the token holds the certificate, and with which label and ID: " +
		"the token no longer answered, or its answer makes no sense.",
}

// String is a full sentence.
func (h Holding) String() string { return holdings[h] }

// OperationError is a failed change of the token: what failed, and what the token holds now.
type OperationError struct {
	Operation string // "generate", "change" or "destroy"; "write", "change" or "destroy" of a certificate
	// Certificate: a certificate is meant, and no key.
	Certificate bool
	ID          []byte
	Label       string
	Err         error
	Holds       Holding
}

func (e *OperationError) Error() string {
	noun := "key"
	if e.Certificate {
		noun = "certificate"
	}
	return fmt.Sprintf("%s %s %s (label %q): %v. %s", e.Operation, noun, object.FormatID(e.ID), e.Label, e.Err, e.Holds)
}

// Unwrap gives the cause.
func (e *OperationError) Unwrap() error { return e.Err }
