package object

import (
	"errors"
	"fmt"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// What callers decide on. Most come wrapped in a type of the same name that has the details.
var (
	// ErrNotFound: the token has no key of that ID and type. After a search on the token the absence is proven: the
	// search succeeded while the process was logged in.
	ErrNotFound = errors.New("the token has no such key")
	// ErrExists: other key objects already use the ID; see ExistsError.
	ErrExists = errors.New("the key ID is in use")
	// ErrAmbiguous: several keys have the ID, and no fingerprint says which is meant; see AmbiguousError.
	ErrAmbiguous = errors.New("several keys have the key ID")
	// ErrHalfPair: one half of the pair is missing; see HalfPairError.
	ErrHalfPair = errors.New("half of the key pair is missing")
	// ErrMechanism: the token cannot make such a key; see MechanismError.
	ErrMechanism = errors.New("the token cannot make such a key")
	// ErrUnfit: no token makes a key of this type, size or usage; see UnfitError.
	ErrUnfit = errors.New("no key has this size or usage")
	// ErrMalformed: an object on the token has an attribute that makes no sense; see MalformedError.
	ErrMalformed = errors.New("an object on the token makes no sense")
	// ErrNoCertificate: the token has no certificate of that ID and value. A search on the token has proven it.
	ErrNoCertificate = errors.New("the token has no such certificate")
	// ErrNoMatch: a name does not match exactly one public key; see MatchError.
	ErrNoMatch = errors.New("there is not exactly one public key that matches")
)

// ExistsError lists what has the ID already.
type ExistsError struct {
	ID      []byte
	Objects []Name
	Whole   KeyType // the type of the whole key that Objects make; "" where they do not make exactly one
	// Unprotected: that key has CKA_PRIVATE=false, so that anyone may have made it.
	Unprotected bool
	Raced       bool // the ID was free at first, and someone else took it while the key was made
}

func (e *ExistsError) Error() string {
	text := fmt.Sprintf("key ID %s is already used on the token by %s", FormatID(e.ID), List(e.Objects))
	if e.Raced {
		text += ", which someone else made at the same time"
	}
	return text
}

// Is matches ErrExists.
func (e *ExistsError) Is(target error) bool { return target == ErrExists }

// AmbiguousError lists the keys of one ID.
type AmbiguousError struct {
	ID      []byte
	Objects []Name // the private halves, or the secret keys
	// Fingerprints are those of the keys, in the order of Objects; "" where a key shows none.
	Fingerprints []string
	// Halves: Objects are halves of pairs, and nothing shows which of them belong together.
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
		if o.Class == ClassNames[cryptoki.CKO_SECRET_KEY] {
			mark = "check value"
		}
		each = append(each, fmt.Sprintf("%s (%s %s)", o, mark, e.Fingerprints[i]))
	}
	have := "have the key ID " + FormatID(e.ID)
	if len(e.ID) == 0 {
		have = "have one label and no ID"
	}
	if e.Halves {
		return fmt.Sprintf("several keys %s, and nothing shows which of their halves belong together: %s", have,
			strings.Join(each, "; "))
	}
	return fmt.Sprintf("%d keys %s: %s", len(e.Objects), have, strings.Join(each, "; "))
}

// Is matches ErrAmbiguous.
func (e *AmbiguousError) Is(target error) bool { return target == ErrAmbiguous }

// HalfPairError says which half is there and which is missing.
type HalfPairError struct {
	ID      []byte
	Present Name
	Missing string // "private key" or "public key"
	Other   *Name  // the missing half, where it was found under another ID
	// Certificates are those that have the ID. The public half may be in one.
	Certificates []Name
}

func (e *HalfPairError) Error() string {
	pair := "the key pair " + FormatID(e.ID)
	if len(e.ID) == 0 {
		pair = fmt.Sprintf("a key pair %q without an ID", e.Present.Label)
	}
	text := fmt.Sprintf("of %s the %s is missing: only the %s is on the token", pair, e.Missing, e.Present)
	if e.Other != nil {
		text += fmt.Sprintf("; its other half has another ID: %s", *e.Other)
	}
	return text
}

// Is matches ErrHalfPair.
func (e *HalfPairError) Is(target error) bool { return target == ErrHalfPair }

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

// UnfitError says which size or usage no key of the type has.
type UnfitError struct{ Problem string }

func (e *UnfitError) Error() string { return e.Problem }

// Is matches ErrUnfit.
func (e *UnfitError) Is(target error) bool { return target == ErrUnfit }

// MalformedError names an object, and says what is wrong with it.
type MalformedError struct {
	Object Name
	Handle cryptoki.Object // 0 where the message shows none
	Err    error           // names the attribute
}

func (e *MalformedError) Error() string {
	text := fmt.Sprintf("the %s: %v", e.Object, e.Err)
	if e.Handle != 0 {
		text += fmt.Sprintf(" (object handle %d)", e.Handle)
	}
	return text
}

// Unclassified says that not even the object's class can be read.
func (e *MalformedError) Unclassified() bool { return e.Object.Class == unclassifiedClass }

// Unwrap gives what is wrong.
func (e *MalformedError) Unwrap() error { return e.Err }

// Is matches ErrMalformed.
func (e *MalformedError) Is(target error) bool { return target == ErrMalformed }

// DifferentKeyError says that the key with an ID is not the one that is meant.
type DifferentKeyError struct {
	ID          []byte
	Want, Found string // fingerprints, as Key has them
	// Kinds and sizes of secret keys, where those differ: such as "aes (256 bits)".
	WantKind, FoundKind string
}

func (e *DifferentKeyError) Error() string {
	if e.FoundKind != e.WantKind {
		return fmt.Sprintf("the key with the key ID %s is not the one that was meant: its type is %s, not %s",
			FormatID(e.ID), e.FoundKind, e.WantKind)
	}
	return fmt.Sprintf("the key with the key ID %s is not the one that was meant: its fingerprint is %s, not %s",
		FormatID(e.ID), e.Found, e.Want)
}

// MatchError lists the keys that a name matches, where that is not one public key.
type MatchError struct {
	Found []string // the keys that match, where there are several
	There []string // the keys on the token, where none matches
	// Halves are public halves that the name matches, where it does not match the private ones: pairs go by those.
	Halves []string
	// Secrets are secret keys that the name matches, where it matches no public key.
	Secrets []string
}

// maxListed is how many keys an error lists.
const maxListed = 20

func (e *MatchError) Error() string {
	var b strings.Builder
	names := e.Found
	switch {
	case len(e.Found) > 0:
		fmt.Fprintf(&b, "%d keys match:", len(e.Found))
	case len(e.Halves) > 0:
		b.WriteString("no public key matches. A key pair goes by the label of its private half, and this names a " +
			"public half:")
		names = e.Halves
	case len(e.Secrets) > 0:
		b.WriteString("no public key matches. The name is that of a secret key, which has no public key:")
		names = e.Secrets
	case len(e.There) > 0:
		b.WriteString("no public key matches; the token holds:")
		names = e.There
	default:
		b.WriteString("no public key matches")
	}
	for _, name := range names[:min(len(names), maxListed)] {
		fmt.Fprintf(&b, "\n  - %s", name)
	}
	if more := len(names) - maxListed; more > 0 {
		fmt.Fprintf(&b, "\n  - and %d more", more)
	}
	return b.String()
}

// Is matches ErrNoMatch.
func (e *MatchError) Is(target error) bool { return target == ErrNoMatch }

// List joins the texts of items.
func List[T fmt.Stringer](items []T) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = item.String()
	}
	return strings.Join(texts, ", ")
}
