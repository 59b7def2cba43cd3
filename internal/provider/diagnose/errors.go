package diagnose

import (
	"errors"
	"fmt"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
)

// Failures that the provider itself finds, beside those of package hsm.
var (
	// ErrNotConfigured: an operation came before the provider was configured.
	ErrNotConfigured = errors.New("the provider has not been configured")
	// ErrPINToCome: the provider's own PIN is the one that this run is to set.
	ErrPINToCome = errors.New("the token is to get the provider's PIN in this run, and does not have it yet")
	// ErrDisabled: the environment switches the token off.
	ErrDisabled = errors.New("HSM_ENABLED is false in the environment, so nothing may touch the token")
)

// UnknownError says that an operation needs the token, and part of the provider's configuration is not known yet.
type UnknownError struct{ Attributes []string }

func (e *UnknownError) Error() string {
	return fmt.Sprintf("these attributes of the provider's configuration are not known yet: %s",
		strings.Join(e.Attributes, ", "))
}

// MovedError says that a key which the state knows by its fingerprint is on the token under another ID.
type MovedError struct {
	From, To string // hexadecimal
	Label    string
	Noun     string // "key pair"
	Doubtful bool   // the fingerprint is a check value, which is too short to tell for certain
}

func (e *MovedError) Error() string {
	which := "the same key"
	if e.Doubtful {
		which = "a key with the same check value, which may be another key,"
	}
	return fmt.Sprintf("no %s has the key ID %s any more; %s is on the token under the ID %s (label %q)", e.Noun,
		e.From, which, e.To, e.Label)
}

// Unwrap lets it match object.ErrNotFound too.
func (e *MovedError) Unwrap() error { return object.ErrNotFound }

// KindError says that a key is of a kind that the provider does not know.
type KindError struct {
	Noun      string // "key pair" or "secret key"
	ID, Label string // ID is "" where there is none
	Kind      string // such as "type 0x1"
}

func (e *KindError) Error() string {
	id := "without an ID"
	if e.ID != "" {
		id = "key_id " + e.ID
	}
	return fmt.Sprintf("the %s %q (%s) is of a kind that this provider does not know: %s", e.Noun, e.Label, id, e.Kind)
}

// TypeError says that an import found no key of its type, but that the token has something else under that name.
type TypeError struct {
	Noun, Resource string // of the import: "key pair", "hsm_rsa_keypair"
	ID             string // what was asked for, in hexadecimal; "" where it was a label
	Found          []Other
}

// Other is something on the token that is not what an import is for.
type Other struct {
	Text     string // such as `EC key pair "web" (key_id 6b31)`
	Resource string // the resource that imports it; "" where none does, since it is half of a pair
	ImportID string

	Unprotected bool // the PIN does not protect it
}

func (e *TypeError) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "the token has no %s for %s", e.Noun, e.Resource)
	if e.ID != "" {
		fmt.Fprintf(&text, " with the key ID %s", e.ID)
	}
	text.WriteString(", but it has:")
	for _, other := range e.Found {
		fmt.Fprintf(&text, "\n  - %s", other.Text)
		if other.Unprotected {
			text.WriteString(", not protected by the PIN")
		}
	}
	return text.String()
}

// UnprotectedError lists private halves that the PIN does not protect, whose public keys were to be published.
type UnprotectedError struct{ Keys []object.Name }

func (e *UnprotectedError) Error() string {
	var text strings.Builder
	text.WriteString("the PIN does not protect these private keys (CKA_PRIVATE=false):")
	for _, key := range e.Keys {
		fmt.Fprintf(&text, "\n  - %s", key)
	}
	return text.String()
}

// NoIDError says that an import named a key that has no ID, so that no resource can manage it.
type NoIDError struct {
	Kind  Kind   // of the resource for keys of its type, which may be another one than was asked for
	Noun  string // what it is, such as "key pair" or "RSA key pair"
	Label string
}

func (e *NoIDError) Error() string {
	return fmt.Sprintf("the %s %q has no ID (CKA_ID), and the resources know their keys by that", e.Noun, e.Label)
}

// LabelError says that an import named another label than the token shows.
type LabelError struct{ Asked, Found string }

func (e *LabelError) Error() string {
	return fmt.Sprintf("the import ID says label %q, but the key on the token is labelled %q", e.Asked, e.Found)
}

// FingerprintError says that an import named another fingerprint than the one key that has the ID shows.
type FingerprintError struct {
	Asked, Found string // hexadecimal; Found is "" where the token shows none
}

func (e *FingerprintError) Error() string {
	found := "shows none"
	if e.Found != "" {
		found = "has " + e.Found
	}
	return fmt.Sprintf("the import ID says fingerprint %s, but the key on the token %s", e.Asked, found)
}

// SerialError says that an import is meant for another token.
type SerialError struct {
	Asked string
	Token hsm.TokenInfo
}

func (e *SerialError) Error() string {
	return fmt.Sprintf("the identity says token_serial %q, but the provider's token is in %s", e.Asked, e.Token)
}

// SelectionError says that an import's URI does not name exactly one key.
type SelectionError struct {
	URI   string
	Noun  string // "key pair"
	Found []object.Key
}

func (e *SelectionError) Error() string {
	if len(e.Found) == 0 {
		text := fmt.Sprintf("%s names no %s of this type on this token", e.URI, e.Noun)
		if hint := pkcs11uri.HexHint(e.URI); hint != "" {
			text += ". " + hint
		}
		return text
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s names %d %ss:", e.URI, len(e.Found), e.Noun)
	for _, k := range e.Found {
		id := "without an ID"
		if len(k.ID) > 0 {
			id = "key_id " + object.FormatID(k.ID)
		}
		fmt.Fprintf(&text, "\n  - %q, %s", k.Label, id)
		if k.Fingerprint() != "" {
			fmt.Fprintf(&text, ", fingerprint %s", k.Fingerprint())
		}
	}
	return text.String()
}

// TokenLostError says that the token of a state is not among those that the module shows.
type TokenLostError struct {
	Name string // `"hydra" (serial number 1f)`
	Err  error  // a *hsm.TokenError
}

func (e *TokenLostError) Error() string {
	return fmt.Sprintf("the state has the token %s: %v", e.Name, e.Err)
}

// TokenErasedError says that the token of a state is not initialised any more.
type TokenErasedError struct {
	Name  string
	Token hsm.TokenInfo
}

func (e *TokenErasedError) Error() string {
	return fmt.Sprintf("the token %s is not initialised any more: somebody has erased it. It is in %s", e.Name, e.Token)
}

// TokenImportError says that an import does not name exactly one token.
type TokenImportError struct {
	Found   int
	Tokens  []hsm.TokenInfo // all that are initialised
	Skipped []string        // slots that did not answer, with their errors
}

func (e *TokenImportError) Error() string {
	var text strings.Builder
	if e.Found == 0 {
		text.WriteString("no token that is initialised has that serial number or label")
	} else {
		fmt.Fprintf(&text, "%d tokens have that serial number or label", e.Found)
	}
	if len(e.Tokens)+len(e.Skipped) > 0 {
		text.WriteString("; the module shows:")
	}
	for _, token := range e.Tokens {
		fmt.Fprintf(&text, "\n  - %s", token)
	}
	for _, slot := range e.Skipped {
		fmt.Fprintf(&text, "\n  - %s", slot)
	}
	return text.String()
}

// TokenToComeError says that a resource of this run makes the token.
type TokenToComeError struct{}

func (*TokenToComeError) Error() string { return "the token is made in this run, and is not there yet" }

// TokenManagedError says that another resource of this run has the token of that label.
type TokenManagedError struct{ Label string }

func (e *TokenManagedError) Error() string {
	return fmt.Sprintf("another resource of this configuration or state has the token %q", e.Label)
}

// RingExistsError says that a new ring would make pairs beside those that the token holds.
type RingExistsError struct {
	Label string
	Pairs string // a line each
}

func (e *RingExistsError) Error() string {
	return fmt.Sprintf("the token already holds pairs of the key ring %q:\n\n%s", e.Label, e.Pairs)
}

// RingImportError says that an import's label does not name exactly one ring.
type RingImportError struct {
	Label    string
	Prefixes []string // of the IDs of the pairs that have the label
}

func (e *RingImportError) Error() string {
	if len(e.Prefixes) == 0 {
		return fmt.Sprintf("no key pair on the token has the label %q and an ID that ends in the number of a "+
			"generation", e.Label)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "pairs of several key rings have the label %q. Their IDs begin with:", e.Label)
	for _, prefix := range e.Prefixes {
		fmt.Fprintf(&text, "\n  - %q", prefix)
	}
	return text.String()
}

// NoPairError says that nothing on the token gives a certificate its ID.
type NoPairError struct {
	Label *string // of the pair that has the certificate's public key, and no ID; nil where there is no pair
}

func (e *NoPairError) Error() string {
	if e.Label != nil {
		return fmt.Sprintf("the key pair %q on the token has the certificate's public key, but has no ID (CKA_ID) "+
			"itself", *e.Label)
	}
	return "no key pair on the token has the certificate's public key"
}

// CertificateImportError says that an import does not name exactly one certificate.
type CertificateImportError struct {
	KeyID   string
	Matches int
	Found   []object.Certificate // all that have the ID
}

func (e *CertificateImportError) Error() string {
	if len(e.Found) == 0 {
		return "no certificate on the token has the ID " + e.KeyID
	}
	var text strings.Builder
	what := "more than one certificate"
	if e.Matches == 0 {
		what = "none of the certificates of the ID"
	}
	fmt.Fprintf(&text, "the import ID names %s:", what)
	for _, c := range e.Found {
		fmt.Fprintf(&text, "\n  - %q, fingerprint %s", c.Label, c.SHA256())
	}
	return text.String()
}
