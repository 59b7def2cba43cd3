package object

import (
	"bytes"
	"cmp"
	"crypto"
	"fmt"
	"slices"
	"strings"
)

// Key is a whole key: a value, as it was read from the token.
type Key struct {
	ID                 []byte // CKA_ID, the same on both halves
	Label, PublicLabel string // CKA_LABEL of the private and of the public half
	Type               KeyType
	Kind               string           // of a secret key: AES or Generic
	Bits               int              // of a secret key; 0 where the token does not tell
	PublicKey          crypto.PublicKey // one of package publickey; nil of a secret key
	Usage              Usage            // what the private half may do
	// PublicUsage is what the public half's flags allow, in the private half's words. It is Usage where the token does
	// not show them.
	PublicUsage Usage
	Claims      // of the private half

	// Private is the private half, or the secret key. Public is the public half, nil for a secret key. Nobody changes
	// them.
	Private, Public *Object
	// Strays are public halves beside those of the key that are nobody's, or of which no key can be made. Anyone may
	// make such. They are only there where Choose picked the key by its fingerprint.
	Strays []Object

	fingerprint string
	contested   bool
}

// Contested says that one of several public halves was taken for that of the key because the fingerprint names it.
// Only an operation with the key shows that its private half belongs to it.
func (k Key) Contested() bool { return k.contested }

// NewKey makes a key of its parts. Errors: *MalformedError.
func NewKey(spec *Spec, private, public *Object) (Key, error) {
	key := Key{
		ID: private.ID, Label: private.Label, PublicLabel: private.Label, Type: spec.Name,
		Claims: private.Claims(), Private: private, Public: public,
	}
	for _, row := range usages {
		if spec.usages.Has(row.usage) && private.Is(row.private) {
			key.Usage |= row.usage
		}
	}
	key.PublicUsage = key.Usage
	if spec.Alone() {
		key.Kind, key.Bits, key.fingerprint = spec.kind, 8*int(private.valueLen), spec.Fingerprint(*private)
		return key, nil
	}
	var err error
	if key.PublicKey, key.fingerprint, err = spec.read(*public); err != nil {
		return Key{}, err
	}
	key.PublicLabel = public.Label
	for _, row := range usages {
		if !spec.usages.Has(row.usage) || !public.Has(row.public) {
			continue
		}
		key.PublicUsage &^= row.usage
		if public.Is(row.public) {
			key.PublicUsage |= row.usage
		}
	}
	return key, nil
}

// Spec gives the row of the key's type.
func (k Key) Spec() *Spec { return SpecOf(k.Private.CKK) }

// Fingerprint tells the key from others, in lower-case hex. For a pair it is the SHA-256 of the public key's
// SubjectPublicKeyInfo. For a secret key it is the check value (CKA_CHECK_VALUE), or "" where the token does not show
// one.
func (k Key) Fingerprint() string { return k.fingerprint }

// WithFingerprint gives the key with a check value that was computed.
func (k Key) WithFingerprint(fingerprint string) Key {
	k.fingerprint = fingerprint
	return k
}

// MayUse is what a key of this type can be used for. The flags of this key do not matter.
func (k Key) MayUse() Usage { return k.Spec().May }

// Objects gives the objects that make up the key, the private half first.
func (k Key) Objects() []Object {
	if k.Public == nil {
		return []Object{*k.Private}
	}
	return []Object{*k.Private, *k.Public}
}

// Belong says whether the two halves show the same key.
func (k Key) Belong() Verdict { return k.Spec().Belong(k.Private, k.Public) }

// Shown says that the two halves show that they are one key, down to the last of it. Else only an operation with the
// key proves it.
func (k Key) Shown() bool {
	spec := k.Spec()
	return spec.Alone() || k.Belong() == Same && spec.whole(*k.Private)
}

// Ref says which key is meant.
type Ref struct {
	Type        KeyType // "": any key pair
	ID          []byte
	Kind        string // of a secret key; "": not known
	Bits        int    // of a secret key; 0: not known
	Fingerprint string // "": not known. It decides where several keys have the ID
}

// Is says that the key is the one that ref means, as far as both tell: kind, size and fingerprint are the same.
func (k Key) Is(ref Ref) bool {
	return k.fits(ref) && (ref.Fingerprint == "" || k.fingerprint == "" || ref.Fingerprint == k.fingerprint)
}

// fits says that a secret key has the kind and the size that ref asks for, as far as both tell.
func (k Key) fits(ref Ref) bool {
	return (ref.Kind == "" || ref.Kind == k.Kind) && (ref.Bits == 0 || k.Bits == 0 || ref.Bits == k.Bits)
}

// Differs is nil where the key is the one that ref means, as far as the token shows it. Else it says in what the key
// differs.
func (k Key) Differs(ref Ref) *DifferentKeyError {
	if k.Is(ref) {
		return nil
	}
	e := &DifferentKeyError{ID: ref.ID, Want: ref.Fingerprint, Found: k.fingerprint}
	if !k.fits(ref) {
		e.WantKind, e.FoundKind = sizedKind(cmp.Or(ref.Kind, k.Kind), ref.Bits), sizedKind(k.Kind, k.Bits)
	}
	return e
}

func sizedKind(kind string, bits int) string {
	if bits == 0 {
		return kind
	}
	return fmt.Sprintf("%s (%d bits)", kind, bits)
}

// SortKeys orders keys by ID, then fingerprint, which a new label does not change. The label decides last.
func SortKeys(keys []Key) {
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(bytes.Compare(a.ID, b.ID), strings.Compare(a.fingerprint, b.fingerprint),
			strings.Compare(a.Label, b.Label))
	})
}
