package hsm

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// KeyPair is a key pair whose two halves are on the token: a value, as it was read back from there.
type KeyPair struct {
	ID                 []byte // CKA_ID, the same on both halves
	Label, PublicLabel string // CKA_LABEL of the private and of the public half
	Type               KeyType
	PublicKey          crypto.PublicKey // *rsa.PublicKey, ...
	Usage              Usage            // what the private half may do
	PublicUsage        Usage            // what the public half's flags say, in the private half's words; where it has none, Usage
	Extractable        bool             // CKA_EXTRACTABLE of the private half
	Sensitive          bool             // CKA_SENSITIVE of the private half
	// The token's claims about the private half's past; nil where it makes none.
	Local, AlwaysSensitive, NeverExtractable *bool

	fingerprint     string
	private, public object
}

// Fingerprint is the SHA-256 of the public key's SubjectPublicKeyInfo, in lower-case hex.
func (k KeyPair) Fingerprint() string { return k.fingerprint }

// Ref says which key is meant.
type Ref struct {
	Type        KeyType // "": any
	ID          []byte
	Fingerprint string // "": not known. It decides where several pairs bear the ID
}

// KeyPair finds a pair by its ID. Errors: ErrNotFound where no half of that ID and type is there (proven by a
// search while logged in), a *HalfPairError, an *AmbiguousError, a *MalformedError, or the token's failure.
func (t *Token) KeyPair(ctx context.Context, ref Ref) (KeyPair, error) {
	objects, ok, err := t.snapshot.lookup(ctx, t, ref.ID)
	if err != nil {
		return KeyPair{}, err
	}
	if ok {
		// What is not a plain success is looked at again, directly: others may have changed the token.
		if pair, err := choose(objects, ref); err == nil {
			return pair, nil
		}
	}
	if objects, err = t.find(ctx, ref.ID); err != nil {
		return KeyPair{}, err
	}
	pair, err := choose(objects, ref)
	if half, ok := errors.AsType[*HalfPairError](err); ok {
		half.Twin = t.strayTwin(ctx, objects, ref)
	}
	return pair, err
}

// strayTwin looks for the missing half under other IDs: an interrupted change of ID leaves the halves apart.
// It only helps a message, so its own failure is none.
func (t *Token) strayTwin(ctx context.Context, objects []object, ref Ref) *Object {
	all, err := t.snapshot.all(ctx, t)
	if err != nil {
		return nil
	}
	for _, half := range ofType(objects, ref.Type) {
		kt := typeOf(half.ckk)
		for _, o := range all {
			private, public := half, o
			if half.class == cryptoki.CKO_PUBLIC_KEY {
				private, public = o, half
			}
			if private.class != cryptoki.CKO_PRIVATE_KEY || public.class != cryptoki.CKO_PUBLIC_KEY || o.ckk != half.ckk || bytes.Equal(o.id, half.id) {
				continue
			}
			if same, known := kt.twins(private, public); same && known {
				name := o.name()
				return &name
			}
		}
	}
	return nil
}

// KeyPairs gives every whole pair on the token, ordered by label, then ID. Halves without a twin, and pairs
// of types that are not known here, are left out, and so is what Unreadable counts; a malformed half is an
// error, since a set without its key would be taken for whole.
func (t *Token) KeyPairs(ctx context.Context) ([]KeyPair, error) {
	objects, err := t.snapshot.all(ctx, t)
	if err != nil {
		return nil, err
	}
	byID := map[string][]object{}
	for _, o := range objects {
		if o.debris {
			continue
		}
		if o.err != nil {
			return nil, o.err
		}
		byID[string(o.id)] = append(byID[string(o.id)], o)
	}
	var pairs []KeyPair
	for _, group := range byID {
		found, _, err := match(ofType(group, ""))
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, found...)
	}
	SortKeyPairs(pairs)
	return pairs, nil
}

// SortKeyPairs orders pairs by label, then ID, then fingerprint.
func SortKeyPairs(pairs []KeyPair) {
	slices.SortFunc(pairs, func(a, b KeyPair) int {
		return cmp.Or(strings.Compare(a.Label, b.Label), bytes.Compare(a.ID, b.ID), strings.Compare(a.fingerprint, b.fingerprint))
	})
}

// choose picks the pair that ref means from among the objects of its ID.
func choose(objects []object, ref Ref) (KeyPair, error) {
	for _, o := range objects {
		if o.err != nil {
			return KeyPair{}, o.err
		}
	}
	pairs, halves, err := match(ofType(objects, ref.Type))
	if err != nil {
		return KeyPair{}, err
	}
	if len(pairs) > 1 && ref.Fingerprint != "" {
		for _, pair := range pairs {
			if pair.Fingerprint() == ref.Fingerprint {
				return pair, nil
			}
		}
	}
	if len(pairs) > 0 && ref.Fingerprint != "" {
		// A foreign pair does not stand in for what is left of the one that is meant.
		left := slices.DeleteFunc(slices.Clone(halves), func(o object) bool { return fingerprintOf(typeOf(o.ckk), o) != ref.Fingerprint })
		if len(left) > 0 {
			return KeyPair{}, halfError(ref.ID, left)
		}
	}
	switch {
	case len(pairs) == 1:
		return pairs[0], nil
	case len(pairs) > 1:
		e := &AmbiguousError{ID: ref.ID}
		for _, pair := range pairs {
			e.Objects = append(e.Objects, pair.private.name())
			e.Fingerprints = append(e.Fingerprints, pair.Fingerprint())
		}
		return KeyPair{}, e
	case len(halves) == 0:
		return KeyPair{}, fmt.Errorf("key ID %s: %w", FormatID(ref.ID), ErrNotFound)
	}
	return KeyPair{}, halfError(ref.ID, halves)
}

// halfError says what is wrong with halves that make no pair.
func halfError(id []byte, halves []object) error {
	count := map[uint]int{}
	for _, h := range halves {
		count[h.class]++
	}
	if count[cryptoki.CKO_PRIVATE_KEY] > 0 && count[cryptoki.CKO_PUBLIC_KEY] > 0 {
		return &MalformedError{Object: halves[0].name(), Err: fmt.Errorf(
			"it does not belong together with any other half of its ID: %s", list(namesOf(halves)))}
	}
	missing := classes[cryptoki.CKO_PRIVATE_KEY]
	if count[cryptoki.CKO_PRIVATE_KEY] > 0 {
		missing = classes[cryptoki.CKO_PUBLIC_KEY]
	}
	return &HalfPairError{ID: id, Present: halves[0].name(), Missing: missing}
}

// ofType keeps the halves of pairs of a type, of every type for "".
func ofType(objects []object, want KeyType) []object {
	return slices.DeleteFunc(slices.Clone(objects), func(o object) bool {
		kt := typeOf(o.ckk)
		return kt == nil || o.class == cryptoki.CKO_SECRET_KEY || want != "" && kt.name != want
	})
}

// match makes pairs of halves that bear one ID: by key type, then by the key itself where the private half
// shows it. Never "the first of its type": a wrong twin signs, and nobody can verify. What is left over
// comes back as halves.
func match(objects []object) (pairs []KeyPair, halves []object, err error) {
	var privates, publics []object
	for _, o := range objects {
		if o.class == cryptoki.CKO_PRIVATE_KEY {
			privates = append(privates, o)
			continue
		}
		// A half that makes no sense is no stray: a set that leaves it out would be taken for whole.
		if _, err := typeOf(o.ckk).parse(o); err != nil {
			return nil, nil, &MalformedError{Object: o.name(), Err: err}
		}
		publics = append(publics, o)
	}
	for _, private := range privates {
		kt := typeOf(private.ckk)
		// A private half that shows nothing of its key is known by its ID alone: that will do only where there
		// is one half of each kind.
		alone := len(ofType(privates, kt.name)) == 1 && len(ofType(publics, kt.name)) == 1
		i := slices.IndexFunc(publics, func(public object) bool {
			if public.ckk != private.ckk {
				return false
			}
			same, known := kt.twins(private, public)
			return known && same || !known && alone
		})
		if i < 0 {
			halves = append(halves, private)
			continue
		}
		pair, err := newKeyPair(kt, private, publics[i])
		if err != nil {
			return nil, nil, err
		}
		pairs = append(pairs, pair)
		publics = slices.Delete(publics, i, i+1)
	}
	return pairs, append(halves, publics...), nil
}

func newKeyPair(kt *keyType, private, public object) (KeyPair, error) {
	key, err := kt.parse(public)
	if err != nil {
		return KeyPair{}, &MalformedError{Object: public.name(), Err: err}
	}
	fingerprint, err := publickey.Fingerprint(key)
	if err != nil {
		return KeyPair{}, &MalformedError{Object: public.name(), Err: err}
	}
	pair := KeyPair{
		ID: private.id, Label: private.label, PublicLabel: public.label, Type: kt.name, PublicKey: key,
		Extractable: private.is(cryptoki.CKA_EXTRACTABLE), Sensitive: private.is(cryptoki.CKA_SENSITIVE),
		Local: private.claim(cryptoki.CKA_LOCAL), AlwaysSensitive: private.claim(cryptoki.CKA_ALWAYS_SENSITIVE),
		NeverExtractable: private.claim(cryptoki.CKA_NEVER_EXTRACTABLE),
		fingerprint:      fingerprint, private: private, public: public,
	}
	for _, row := range usages {
		if !kt.usages.Has(row.usage) {
			continue
		}
		if private.is(row.private) {
			pair.Usage |= row.usage
		}
		twin, from := row.public, public
		if twin == 0 || !public.knows(twin) {
			twin, from = row.private, private
		}
		if from.is(twin) {
			pair.PublicUsage |= row.usage
		}
	}
	return pair, nil
}

// Objects lists every key object on the token, pairs and others.
func (t *Token) Objects(ctx context.Context) ([]Object, error) {
	objects, err := t.snapshot.all(ctx, t)
	if err != nil {
		return nil, err
	}
	return namesOf(slices.DeleteFunc(objects, func(o object) bool { return o.debris })), nil
}

// Unreadable counts the objects of which not even the class can be read, so that nobody can use them. SoftHSM
// 2.6.1 leaves such when a creation is interrupted, or now and then when several run at the same time.
func (t *Token) Unreadable(ctx context.Context) (int, error) {
	objects, err := t.snapshot.all(ctx, t)
	n := 0
	for _, o := range objects {
		if o.debris {
			n++
		}
	}
	return n, err
}
