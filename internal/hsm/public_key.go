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
)

// PublicKey is a public key on the token, with or without its private half: a value, as it was read from there.
type PublicKey struct {
	ID         []byte
	Label      string // the private half's, where there is one
	Type       KeyType
	PublicKey  crypto.PublicKey
	HasPrivate bool     // the private half is there too
	Usage      Usage    // what the private half may do; without one, what the public half's flags say, in its words
	PublicUses []string // what the public half's flags allow: "encrypt", "verify", ...
	// The token's claims: of the private half, where there is one; nil where it makes none.
	Local, AlwaysSensitive, NeverExtractable *bool

	fingerprint string
}

// Fingerprint is the SHA-256 of the key's SubjectPublicKeyInfo, in lower-case hex.
func (k PublicKey) Fingerprint() string { return k.fingerprint }

// PublicKey finds the one public key that want names. One that was imported alone, to verify with, is found as well; a
// private half alone is none. Errors: a *MatchError where it names none or several, a *HalfPairError where it names a
// private half alone, an *AmbiguousError where nothing shows which halves belong together, a *MalformedError where what it
// names makes no sense, or the token's failure.
func (t *Token) PublicKey(ctx context.Context, want URI) (PublicKey, error) {
	if want.ID == nil {
		all, err := t.snapshot.all(ctx, t)
		if err != nil {
			return PublicKey{}, err
		}
		return t.pick(all, want, all)
	}
	objects, ok, err := t.snapshot.lookup(ctx, t, want.ID)
	if err != nil {
		return PublicKey{}, err
	}
	if ok {
		// What is not a plain success is looked at again, directly: others may have changed the token.
		if key, err := t.pick(objects, want, nil); err == nil {
			return key, nil
		}
	}
	if objects, err = t.find(ctx, want.ID); err != nil {
		return PublicKey{}, err
	}
	key, err := t.pick(objects, want, nil)
	if errors.Is(err, ErrNoMatch) {
		all, failure := t.snapshot.all(ctx, t) // it only helps the message, so its failure is none
		if failure == nil {
			key, err = t.pick(objects, want, all)
		}
	}
	return key, err
}

// pick chooses what want names from among the objects. Where it names not one public key, the error lists what it
// names or, where that is nothing, what is there.
func (t *Token) pick(objects []object, want URI, there []object) (PublicKey, error) {
	keys, lone, err := publicKeys(objects, func(o object) bool { return want.Matches(t.info, o.class == cryptoki.CKO_SECRET_KEY, o.label, o.id) })
	switch {
	case err != nil:
		return PublicKey{}, err
	case len(keys) == 1 && len(lone) == 0:
		return keys[0], nil
	case len(keys) == 0 && len(lone) == 1:
		return PublicKey{}, halfError(lone[0].id, lone)
	case len(keys)+len(lone) == 0:
		return PublicKey{}, &MatchError{There: publicNames(there)}
	}
	miss := &MatchError{}
	for _, k := range keys {
		name := Object{Class: classes[cryptoki.CKO_PUBLIC_KEY], Type: string(k.Type), ID: k.ID, Label: k.Label}
		miss.Found = append(miss.Found, fmt.Sprintf("%s, SHA-256 fingerprint %s", name, k.fingerprint))
	}
	for _, o := range lone {
		miss.Found = append(miss.Found, fmt.Sprintf("%s, which has no public half", o.name()))
	}
	slices.Sort(miss.Found)
	return PublicKey{}, miss
}

// publicKeys gives the public keys that are named, by the private half where there is one, and the private halves
// that are named and have no public one. What makes no sense is an error only where it is named.
func publicKeys(objects []object, named func(object) bool) (keys []PublicKey, lone []object, err error) {
	byID := map[string][]object{}
	for _, o := range objects {
		if o.debris {
			continue
		}
		if o.err == nil {
			byID[string(o.id)] = append(byID[string(o.id)], o)
		} else if named(o) {
			return nil, nil, o.err
		}
	}
	for _, group := range byID {
		if !slices.ContainsFunc(group, named) {
			continue
		}
		m, err := match(ofType(group, ""))
		if err != nil {
			return nil, nil, err
		}
		if slices.ContainsFunc(m.undecided, named) {
			return nil, nil, m.ambiguous(group[0].id)
		}
		for _, pair := range m.keys {
			if named(pair.private) {
				keys = append(keys, PublicKey{
					ID: pair.ID, Label: pair.Label, Type: pair.Type, PublicKey: pair.PublicKey, HasPrivate: true, Usage: pair.Usage, PublicUses: pair.public.uses(),
					Local: pair.Local, AlwaysSensitive: pair.AlwaysSensitive, NeverExtractable: pair.NeverExtractable, fingerprint: pair.fingerprint,
				})
			}
		}
		for _, half := range m.halves {
			switch {
			case !named(half):
			case half.class == cryptoki.CKO_PRIVATE_KEY:
				lone = append(lone, half)
			default:
				key, err := newPublicKey(half)
				if err != nil {
					return nil, nil, err
				}
				keys = append(keys, key)
			}
		}
	}
	slices.SortFunc(keys, func(a, b PublicKey) int {
		return cmp.Or(strings.Compare(a.Label, b.Label), bytes.Compare(a.ID, b.ID), strings.Compare(a.fingerprint, b.fingerprint))
	})
	return keys, lone, nil
}

// newPublicKey is a public half without a private one.
func newPublicKey(o object) (PublicKey, error) {
	kt := typeOf(o.ckk)
	pub, fingerprint, err := kt.read(o)
	if err != nil {
		return PublicKey{}, err
	}
	key := PublicKey{
		ID: o.id, Label: o.label, Type: kt.name, PublicKey: pub, PublicUses: o.uses(), fingerprint: fingerprint,
		Local: o.claim(cryptoki.CKA_LOCAL), AlwaysSensitive: o.claim(cryptoki.CKA_ALWAYS_SENSITIVE), NeverExtractable: o.claim(cryptoki.CKA_NEVER_EXTRACTABLE),
	}
	for _, row := range usages {
		if kt.usages.Has(row.usage) && o.knows(row.public) && o.is(row.public) {
			key.Usage |= row.usage
		}
	}
	return key, nil
}

// publicNames names the public keys among objects, and the private halves whose ID no public half bears.
func publicNames(objects []object) []string {
	public := map[string]bool{}
	for _, o := range objects {
		if o.class == cryptoki.CKO_PUBLIC_KEY {
			public[string(o.id)] = true
		}
	}
	names := []string{}
	for _, o := range objects {
		if o.err == nil && (o.class == cryptoki.CKO_PUBLIC_KEY || o.class == cryptoki.CKO_PRIVATE_KEY && !public[string(o.id)]) {
			names = append(names, o.name().String())
		}
	}
	slices.Sort(names)
	return names
}

// ErrNoMatch says that a name is not that of one public key; see MatchError.
var ErrNoMatch = errors.New("not exactly one public key matches")

// MatchError lists what a name matches, where that is not one public key.
type MatchError struct {
	Found []string // those that match, where they are several
	There []string // where none matches, those that are there
}

// maxListed is how many keys an error lists.
const maxListed = 20

func (e *MatchError) Error() string {
	var b strings.Builder
	names := e.Found
	switch {
	case len(e.Found) > 0:
		fmt.Fprintf(&b, "%d keys match:", len(e.Found))
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
