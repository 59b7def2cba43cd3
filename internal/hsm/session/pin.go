package session

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
)

// PIN is a user PIN. It prints as "(sensitive)" with every verb. It leaves this package only for C_Login.
type PIN struct{ reveal func() []byte }

// NewPIN keeps a PIN as it is, with leading zeros. "" is no PIN.
func NewPIN(s string) PIN {
	if s == "" {
		return PIN{}
	}
	return PIN{func() []byte { return []byte(s) }}
}

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
