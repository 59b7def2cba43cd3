package object

import (
	"fmt"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// supported keeps the objects that are keys, or halves of keys, of a type in the table.
func supported(objects []Object) []Object {
	return slices.DeleteFunc(slices.Clone(objects), func(o Object) bool {
		spec := SpecOf(o.CKK)
		return spec == nil || !slices.Contains(spec.Classes, o.Class)
	})
}

// OfType keeps the objects of a type; of every type of key pair for "".
func OfType(objects []Object, want KeyType) []Object {
	return slices.DeleteFunc(supported(objects), func(o Object) bool {
		spec := SpecOf(o.CKK)
		return want == "" && spec.Alone() || want != "" && spec.Name != want
	})
}

// matching is what the objects of one ID make.
type matching struct {
	keys  []Key
	lone  []Object // halves whose other half is missing
	maybe []Object // halves that may have another half, but nothing shows which one it is
}

// ambiguous names the keys, or the halves of keys, that have the ID.
func (m matching) ambiguous(id []byte) error {
	e := &AmbiguousError{ID: id, Halves: len(m.maybe) > 0}
	for _, key := range m.keys {
		e.Objects = append(e.Objects, key.Private.Name())
		e.Fingerprints = append(e.Fingerprints, key.Fingerprint())
	}
	for _, o := range m.maybe {
		e.Objects = append(e.Objects, o.Name())
		e.Fingerprints = append(e.Fingerprints, SpecOf(o.CKK).Fingerprint(o))
	}
	return e
}

// match makes keys of the objects of one ID. A secret key is one object. Halves become pairs by their key type, then
// by the key itself where the private half shows it. They never become pairs only because they come first: a key with
// a wrong other half signs, but nobody can verify. Errors: *MalformedError.
func match(objects []Object) (m matching, err error) {
	var privates, publics []*Object
	whole := func(private, public *Object) error {
		key, err := NewKey(SpecOf(private.CKK), private, public)
		m.keys = append(m.keys, key)
		return err
	}
	for i := range objects {
		o := &objects[i]
		spec := SpecOf(o.CKK)
		switch {
		case spec.Alone():
			if err := whole(o, nil); err != nil {
				return matching{}, err
			}
		case o.Class == cryptoki.CKO_PRIVATE_KEY:
			privates = append(privates, o)
		default:
			publics = append(publics, o)
		}
	}
	halves := func(private, public *Object) Verdict {
		if private.CKK != public.CKK {
			return Different
		}
		return SpecOf(private.CKK).halves(*private, *public)
	}
	var undecided []*Object
	for _, private := range privates {
		i := slices.IndexFunc(publics, func(public *Object) bool { return halves(private, public) == Same })
		if i < 0 {
			undecided = append(undecided, private)
			continue
		}
		if err := whole(private, publics[i]); err != nil {
			return matching{}, err
		}
		publics = slices.Delete(publics, i, i+1)
	}
	// A private half that shows too little of its key has only its ID to go by. That is enough only where exactly one
	// public half may be its other half, and where no other private half may belong to that one.
	possiblyOf := func(public *Object) func(*Object) bool {
		return func(private *Object) bool { return halves(private, public) == Undecided }
	}
	decided := make([]bool, len(publics))
	for _, private := range undecided {
		possible := indexes(publics, func(public *Object) bool { return halves(private, public) == Undecided })
		switch {
		case len(possible) == 0:
			m.lone = append(m.lone, *private)
		case len(possible) == 1 && len(indexes(undecided, possiblyOf(publics[possible[0]]))) == 1:
			decided[possible[0]] = true
			if err := whole(private, publics[possible[0]]); err != nil {
				return matching{}, err
			}
		default:
			m.maybe = append(m.maybe, *private)
		}
	}
	for i, public := range publics {
		if decided[i] {
			continue
		}
		// A malformed half is an error. Without it, the set of keys would look complete.
		if _, err := SpecOf(public.CKK).parse(*public); err != nil {
			return matching{}, &MalformedError{Object: public.Name(), Err: err}
		}
		switch {
		case slices.ContainsFunc(m.maybe, func(o Object) bool { return o.Class == cryptoki.CKO_PRIVATE_KEY && halves(&o, public) == Undecided }):
			m.maybe = append(m.maybe, *public)
		default:
			m.lone = append(m.lone, *public)
		}
	}
	return m, nil
}

// indexes gives the indexes of the objects for which the function is true.
func indexes(objects []*Object, so func(*Object) bool) (found []int) {
	for i, o := range objects {
		if so(o) {
			found = append(found, i)
		}
	}
	return found
}

// Incomplete says that there is nothing, or a half without its other half.
func Incomplete(objects []Object) bool {
	if len(objects) == 0 {
		return true
	}
	m, err := match(supported(objects))
	return err == nil && len(m.lone) > 0
}

// Fingerprinter gives a key with its fingerprint, where the token does not show it.
type Fingerprinter func(Key) (Key, error)

// Choose picks the key that ref means from among the objects of its ID. Where several keys have the ID, fingerprinted
// completes those that show no fingerprint. Errors: ErrNotFound, *HalfPairError, *AmbiguousError, *MalformedError, or
// those of fingerprinted.
func Choose(objects []Object, ref Ref, fingerprinted Fingerprinter) (Key, error) {
	for _, o := range objects {
		if o.Err != nil {
			return Key{}, o.Err
		}
	}
	m, err := match(OfType(objects, ref.Type))
	if err != nil {
		return Key{}, err
	}
	several := len(m.keys) > 1 || len(m.maybe) > 0
	if several && ref.Fingerprint != "" {
		for i, key := range m.keys {
			if key, err = fingerprinted(key); err != nil {
				return Key{}, err
			}
			if key.fits(ref) && key.Fingerprint() == ref.Fingerprint {
				return key, nil
			}
			m.keys[i] = key
		}
	}
	if (several || len(m.keys) > 0) && ref.Fingerprint != "" {
		// The whole keys may be others, while a half is left of the one that is meant.
		left := slices.DeleteFunc(slices.Clone(m.lone), func(o Object) bool { return SpecOf(o.CKK).Fingerprint(o) != ref.Fingerprint })
		if len(left) > 0 {
			return Key{}, halfError(ref.ID, left)
		}
	}
	switch {
	case several:
		return Key{}, m.ambiguous(ref.ID)
	case len(m.keys) == 1:
		return m.keys[0], nil
	case len(m.lone) == 0:
		return Key{}, fmt.Errorf("key ID %s: %w", FormatID(ref.ID), ErrNotFound)
	}
	return Key{}, halfError(ref.ID, m.lone)
}

// Remnant gives what is left of the pair that ref means, where that is one half and nothing else of its type is there.
// Errors: half, where something else is there too, or *DifferentKeyError.
func Remnant(objects []Object, ref Ref, half *HalfPairError) ([]Object, error) {
	candidates := OfType(objects, ref.Type)
	if len(candidates) > 1 {
		return nil, half
	}
	o := candidates[0]
	shows := SpecOf(o.CKK).Fingerprint(o)
	if ref.Fingerprint != "" && shows != ref.Fingerprint && (shows != "" || o.Class == cryptoki.CKO_PUBLIC_KEY) {
		return nil, &DifferentKeyError{ID: ref.ID, Want: ref.Fingerprint, Found: shows}
	}
	return candidates, nil
}

// halfError says what is wrong with halves that make no pair.
func halfError(id []byte, halves []Object) error {
	count := map[uint]int{}
	for _, h := range halves {
		count[h.Class]++
	}
	if count[cryptoki.CKO_PRIVATE_KEY] > 0 && count[cryptoki.CKO_PUBLIC_KEY] > 0 {
		return &MalformedError{Object: halves[0].Name(), Err: fmt.Errorf(
			"it does not belong together with any other half that has its ID: %s", List(Names(halves)))}
	}
	missing := ClassNames[cryptoki.CKO_PRIVATE_KEY]
	if count[cryptoki.CKO_PRIVATE_KEY] > 0 {
		missing = ClassNames[cryptoki.CKO_PUBLIC_KEY]
	}
	return &HalfPairError{ID: id, Present: halves[0].Name(), Missing: missing}
}

// Exists says which objects have the ID.
func Exists(id []byte, objects []Object) *ExistsError {
	e := &ExistsError{ID: id, Objects: Names(objects)}
	if slices.ContainsFunc(objects, func(o Object) bool { return o.Err != nil }) {
		return e
	}
	if m, err := match(supported(objects)); err == nil && len(m.keys) == 1 && len(m.keys[0].Spec().Classes) == len(objects) {
		e.Whole = m.keys[0].Type
	}
	return e
}
