package hsm

import (
	"fmt"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// NoSignerError says that the token has no pair with a public key, and what it has instead.
type NoSignerError struct {
	Fingerprint string        // of the public key
	Public      []object.Name // public halves with that key, which have no private half
	Pairs       []object.Name // of the pairs that there are, the private halves
}

func (e *NoSignerError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the token holds no key pair with the public key of SHA-256 fingerprint %s", e.Fingerprint)
	if len(e.Public) > 0 {
		b.WriteString("; it holds the public key alone, without the private half that would sign:")
		listNames(&b, e.Public)
		return b.String()
	}
	if len(e.Pairs) == 0 {
		b.WriteString("; it holds no key pair at all")
		return b.String()
	}
	b.WriteString("; it holds the pairs of:")
	listNames(&b, e.Pairs)
	return b.String()
}

func listNames(b *strings.Builder, names []object.Name) {
	for _, name := range names[:min(len(names), maxHalves)] {
		fmt.Fprintf(b, "\n  - %s", name)
	}
	if more := len(names) - maxHalves; more > 0 {
		fmt.Fprintf(b, "\n  - and %d more", more)
	}
}

// CannotSignError says that a pair does not make a signature that was asked for, or none at all.
type CannotSignError struct {
	Key  object.Name // the private half
	Says string      // why not
}

func (e *CannotSignError) Error() string {
	return fmt.Sprintf("the %s does not sign this: %s", e.Key, e.Says)
}

// UnprotectedSignerError says that anyone may sign with a private half, without the PIN.
type UnprotectedSignerError struct{ Key object.Name }

func (e *UnprotectedSignerError) Error() string {
	return fmt.Sprintf("the PIN does not protect the %s (CKA_PRIVATE is false), so anyone who reaches the token may "+
		"sign with it", e.Key)
}

// SignatureError says that the token gave a signature that does not verify with the public key. It does not have the
// signature, which nobody gets.
type SignatureError struct {
	Key       object.Name // the private half
	Mechanism cryptoki.MechanismType
}

func (e *SignatureError) Error() string {
	return fmt.Sprintf("the token gave a signature of the %s by %s that does not verify with its public key", e.Key,
		e.Mechanism)
}

// NoGeneratorError says that the token has no generator of random numbers.
type NoGeneratorError struct{ Err error } // what the token answered; nil where its flags say so (CKF_RNG)

func (e *NoGeneratorError) Error() string {
	const none = "the token has no generator of random numbers"
	if e.Err == nil {
		return none + " (its flags lack CKF_RNG)"
	}
	return fmt.Sprintf("%s (%v)", none, e.Err)
}

// Unwrap gives the token's answer.
func (e *NoGeneratorError) Unwrap() error { return e.Err }
