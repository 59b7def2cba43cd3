package object

import (
	"crypto"
	"fmt"
	"maps"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// PublicKey is a public key on the token, with or without its private half: a value, as it was read from there.
type PublicKey struct {
	ID         []byte
	Label      string // the private half's, where there is one
	Type       KeyType
	PublicKey  crypto.PublicKey
	HasPrivate bool     // the private half is there too
	Pair       *Key     // the two halves; nil where the private one is not there
	Usage      Usage    // what the private half may do; without one, what the public half's flags say, in its words
	PublicUses []string // what the public half's flags allow: "encrypt", "verify", ...
	Claims              // of the private half, or of the public half where there is no private one

	fingerprint string
}

// Fingerprint is the SHA-256 of the key's SubjectPublicKeyInfo, in lower-case hex.
func (k PublicKey) Fingerprint() string { return k.fingerprint }

// MatchPublicKey chooses from the objects the one public key that is named. named says whether an object is; there are
// all objects, for the error where none is. It also finds a public key without a private half, which somebody imported
// to verify with, but no private half without a public one. What makes no sense is an error only where it is named.
// Nothing that MatchPublicKey looks at proves that the halves of a pair belong together. Errors: *MatchError,
// *HalfPairError, *AmbiguousError, *MalformedError.
func MatchPublicKey(objects []Object, named func(Object) bool, there []Object) (PublicKey, error) {
	keys, lone, err := publicKeys(objects, named)
	switch {
	case err != nil:
		return PublicKey{}, err
	case len(keys) == 1 && len(lone) == 0:
		return keys[0], nil
	case len(keys) == 0 && len(lone) == 1:
		return PublicKey{}, halfError(lone[0].ID, lone)
	case len(keys)+len(lone) == 0:
		return PublicKey{}, &MatchError{There: publicNames(there), Halves: namedHalves(there, named),
			Secrets: namedSecrets(there, named)}
	}
	miss := &MatchError{}
	for _, k := range keys {
		name := Name{Class: ClassNames[cryptoki.CKO_PUBLIC_KEY], Type: string(k.Type), ID: k.ID, Label: k.Label}
		miss.Found = append(miss.Found, fmt.Sprintf("%s, SHA-256 fingerprint %s", name, k.fingerprint))
	}
	for _, o := range lone {
		miss.Found = append(miss.Found, fmt.Sprintf("%s, which has no public half", o.Name()))
	}
	slices.Sort(miss.Found)
	return PublicKey{}, miss
}

// publicKeys gives the named public keys, in pairs named by the private half, and the named private halves that have
// no public one. What makes no sense is an error only where it is named.
func publicKeys(objects []Object, named func(Object) bool) (keys []PublicKey, lone []Object, err error) {
	byID := map[string][]Object{}
	for _, o := range objects {
		if o.Unclassified {
			continue
		}
		if o.Err == nil {
			byID[string(o.ID)] = append(byID[string(o.ID)], o)
		} else if named(o) {
			return nil, nil, o.Err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		group := byID[id]
		if !slices.ContainsFunc(group, named) {
			continue
		}
		m := match(OfType(group, ""))
		for _, b := range m.broken(nil) {
			_, half := b.Err.(*HalfPairError) //nolint:errorlint // it is not wrapped
			switch {
			case !slices.ContainsFunc(b.Objects, named):
			case half:
				lone = append(lone, b.Objects[0])
			default:
				return nil, nil, b.Err
			}
		}
		for i, pair := range m.keys {
			if named(*pair.Private) {
				keys = append(keys, PublicKey{
					ID: pair.ID, Label: pair.Label, Type: pair.Type, PublicKey: pair.PublicKey, HasPrivate: true, Pair: &m.keys[i],
					Usage: pair.Usage, PublicUses: pair.Public.uses(), Claims: pair.Claims, fingerprint: pair.fingerprint,
				})
			}
		}
		for _, half := range m.lone {
			if half.Class == cryptoki.CKO_PRIVATE_KEY || !named(half) {
				continue
			}
			key, err := newPublicKey(half)
			if err != nil {
				return nil, nil, err
			}
			keys = append(keys, key)
		}
	}
	return keys, lone, nil
}

// newPublicKey makes a public key of a public half that has no private one.
func newPublicKey(o Object) (PublicKey, error) {
	spec := SpecOf(o.CKK)
	pub, fingerprint, err := spec.read(o)
	if err != nil {
		return PublicKey{}, err
	}
	key := PublicKey{
		ID: o.ID, Label: o.Label, Type: spec.Name, PublicKey: pub, PublicUses: o.uses(), fingerprint: fingerprint,
		Claims: o.Claims(),
	}
	for _, row := range usages {
		if spec.usages.Has(row.usage) && o.Has(row.public) && o.Is(row.public) {
			key.Usage |= row.usage
		}
	}
	return key, nil
}
