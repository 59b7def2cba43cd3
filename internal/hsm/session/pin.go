package session

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
)

// PIN is the PIN of a token's user or security officer. It prints as "(sensitive)" with every verb. It leaves this
// package only for calls of the module.
type PIN struct{ reveal func() []byte }

// NewPIN keeps a PIN as it is, with leading zeros. "" is no PIN.
func NewPIN(s string) PIN {
	if s == "" {
		return PIN{}
	}
	return PIN{func() []byte { return []byte(s) }}
}

// bytes are what a module gets: nil, where there is no PIN, leaves the asking to the token.
func (p PIN) bytes() []byte {
	if p.IsZero() {
		return nil
	}
	return p.reveal()
}

// Len is how many bytes the PIN has.
func (p PIN) Len() int { return len(p.bytes()) }

// Equal says that two PINs are the same.
func (p PIN) Equal(other PIN) bool { return bytes.Equal(p.bytes(), other.bytes()) }

// IsZero says that there is no PIN.
func (p PIN) IsZero() bool { return p.reveal == nil }

// Format prints "(sensitive)" with every verb.
func (p PIN) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("(sensitive)")) }

// In says that a text has the PIN in it. It is for texts that others wrote: to leave a PIN out of a text of our own
// would tell whoever knows the text what the PIN is.
func (p PIN) In(text string) bool { return !p.IsZero() && bytes.Contains([]byte(text), p.reveal()) }

// MarshalJSON writes "(sensitive)".
func (p PIN) MarshalJSON() ([]byte, error) { return []byte(`"(sensitive)"`), nil }

var digestKey = func() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return key
}()

// digest tells PINs apart in this process. Nobody can read the PIN from it.
func (p PIN) digest() [sha256.Size]byte {
	mac := hmac.New(sha256.New, digestKey)
	if !p.IsZero() {
		mac.Write(p.reveal())
	}
	return [sha256.Size]byte(mac.Sum(nil))
}
