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
	keys      []Key
	lone      []Object // halves whose other half is missing
	maybe     []Object // halves that may have another half, but nothing shows which one it is
	malformed []Object // public halves of which no public key can be made; each carries its error
}

// ambiguous names the keys, or the halves of keys, that have the ID.
func (m matching) ambiguous(id []byte) error {
	e := &AmbiguousError{ID: id, Halves: len(m.maybe) > 0}
	for _, key := range m.keys {
		e.Objects = append(e.Objects, key.Private.Name())
		e.Fingerprints = append(e.Fingerprints, key.Fingerprint())
	}
	e.addHalves(m.maybe)
	return e
}

func (e *AmbiguousError) addHalves(halves []Object) {
	for _, o := range halves {
		e.Objects = append(e.Objects, o.Name())
		e.Fingerprints = append(e.Fingerprints, SpecOf(o.CKK).Fingerprint(o))
	}
}

// kin is what halves have in common that may belong together: their type, and where they have no ID, their label.
// Anyone may make objects without an ID, and those have nothing to do with each other.
type kin struct {
	ckk     uint
	unnamed bool
	label   string
}

func kinOf(o Object) kin {
	if len(o.ID) > 0 {
		return kin{ckk: o.CKK}
	}
	return kin{o.CKK, true, o.Label}
}

// match makes keys of the objects of one ID. A secret key is one object. Halves become pairs by their key type, then
// by the key itself where the private half shows it. They never become pairs only because they come first: a key with
// a wrong other half signs, but nobody can verify. The time is in proportion to the number of objects: anyone may make
// thousands with one ID, or with none.
func match(objects []Object) (m matching) {
	privates, publics := map[kin][]*Object{}, map[kin][]*Object{}
	var order []kin
	for i := range objects {
		o := &objects[i]
		k := kinOf(*o)
		switch {
		case SpecOf(o.CKK).Alone():
			m.whole(o, nil)
			continue
		case o.Class == cryptoki.CKO_PRIVATE_KEY:
			privates[k] = append(privates[k], o)
		default:
			publics[k] = append(publics[k], o)
		}
		if len(privates[k])+len(publics[k]) == 1 {
			order = append(order, k)
		}
	}
	for _, k := range order {
		m.matchKin(SpecOf(k.ckk), privates[k], publics[k])
	}
	return m
}

// whole adds the key of these halves. If none can be made of the public half, that half is malformed, and the private
// one is alone.
func (m *matching) whole(private, public *Object) {
	key, err := NewKey(SpecOf(private.CKK), private, public)
	if err == nil {
		m.keys = append(m.keys, key)
		return
	}
	m.lone = append(m.lone, *private)
	m.spoilt(public, err)
}

func (m *matching) spoilt(public *Object, err error) {
	o := *public
	o.Err = err
	m.malformed = append(m.malformed, o)
}

// matchKin makes keys of the halves of one type that may belong together.
func (m *matching) matchKin(spec *Spec, privates, publics []*Object) {
	if len(privates) == 1 && len(publics) == 1 && spec.halves(*privates[0], *publics[0]) != Different {
		m.whole(privates[0], publics[0]) // as most are
		return
	}
	publics = slices.DeleteFunc(publics, func(public *Object) bool {
		_, err := spec.parse(*public)
		if err != nil {
			m.spoilt(public, &MalformedError{Object: public.Name(), Err: err})
		}
		return err != nil
	})
	privates, publics = m.matchShown(spec, privates, publics)
	// A private half that shows too little of its key has only its ID to go by. That is enough only where exactly one
	// public half may be its other half, and where no other private half may belong to that one.
	var mine, theirs, doubtful tally
	for _, public := range publics {
		theirs.add(public)
	}
	for _, private := range privates {
		mine.add(private)
	}
	taken := map[*Object]bool{}
	for _, private := range privates {
		n, public := theirs.fits(private)
		if n == 0 {
			m.lone = append(m.lone, *private)
			continue
		}
		if n == 1 {
			if rivals, _ := mine.fits(public); rivals == 1 {
				taken[public] = true
				m.whole(private, public)
				continue
			}
		}
		m.maybe = append(m.maybe, *private)
		doubtful.add(private)
	}
	for _, public := range publics {
		if taken[public] {
			continue
		}
		if n, _ := doubtful.fits(public); n > 0 {
			m.maybe = append(m.maybe, *public)
		} else {
			m.lone = append(m.lone, *public)
		}
	}
}

// matchShown makes pairs of the private halves that show their key. It gives those that do not, and the public halves
// that are left.
func (m *matching) matchShown(spec *Spec, privates, publics []*Object) (undecided, left []*Object) {
	var by map[string][]*Object // the public halves, by what they show; made when it is needed
	taken := map[*Object]bool{}
	for _, private := range privates {
		shown := spec.shows(*private)
		if shown == "" {
			undecided = append(undecided, private)
			continue
		}
		if by == nil {
			by = make(map[string][]*Object, len(publics))
			for _, public := range publics {
				what := spec.shows(*public)
				by[what] = append(by[what], public)
			}
		}
		i := slices.IndexFunc(by[shown], func(public *Object) bool { return spec.halves(*private, *public) == Same })
		if i < 0 {
			m.lone = append(m.lone, *private)
			continue
		}
		taken[by[shown][i]] = true
		m.whole(private, by[shown][i])
		by[shown] = slices.Delete(by[shown], i, i+1)
	}
	return undecided, slices.DeleteFunc(publics, func(public *Object) bool { return taken[public] })
}

// tally counts halves by the curve or the parameter set that they show. One that shows none may be of any.
type tally struct {
	all int
	of  map[string][]*Object
}

func (t *tally) add(o *Object) {
	if t.of == nil {
		t.of = map[string][]*Object{}
	}
	t.all++
	t.of[o.sort()] = append(t.of[o.sort()], o)
}

// fits says how many of the halves may belong to another one, and gives the only one.
func (t *tally) fits(other *Object) (n int, only *Object) {
	sort := other.sort()
	n = len(t.of[sort]) + len(t.of[""])
	if sort == "" {
		n = t.all
	}
	if n != 1 {
		return n, nil
	}
	for at, halves := range t.of {
		if len(halves) > 0 && (sort == "" || at == sort || at == "") {
			only = halves[0]
		}
	}
	return n, only
}

// sort is what curve or parameter set an object shows; "" for none that is known.
func (o Object) sort() string {
	if spec := SpecOf(o.CKK); spec != nil && spec.sort != nil {
		return spec.sort(o)
	}
	return ""
}

// Incomplete says that there is nothing, or a half without its other half.
func Incomplete(objects []Object) bool {
	if len(objects) == 0 {
		return true
	}
	m := match(supported(objects))
	return len(m.malformed) == 0 && len(m.lone) > 0
}

// Fingerprinter gives a key with its fingerprint, where the token does not show it.
type Fingerprinter func(Key) (Key, error)

// Choose picks the key that ref means from among the objects of its ID. Where several keys have the ID, fingerprinted
// completes those that show no fingerprint. Public halves that anyone may have put beside the one of the fingerprint
// are no hindrance; see [Key.Strays] and [Key.Contested]. Errors: ErrNotFound, *HalfPairError, *AmbiguousError,
// *MalformedError, or those of fingerprinted.
func Choose(objects []Object, ref Ref, fingerprinted Fingerprinter) (Key, error) {
	var spoilt []Object
	sound := make([]Object, 0, len(objects))
	for _, o := range objects {
		switch {
		case o.Err == nil:
			sound = append(sound, o)
		case o.Class == cryptoki.CKO_PUBLIC_KEY && ref.Type == Secret: // it cannot be the key
		case o.Class == cryptoki.CKO_PUBLIC_KEY && ref.Fingerprint != "":
			spoilt = append(spoilt, o)
		default:
			return Key{}, o.Err
		}
	}
	m := match(OfType(sound, ref.Type))
	m.malformed = append(m.malformed, spoilt...)
	if key, ok := m.among(ref.Fingerprint); ok {
		return key, nil
	}
	if len(m.malformed) > 0 {
		return Key{}, m.malformed[0].Err
	}
	several := len(m.keys) > 1 || len(m.maybe) > 0
	if several && ref.Fingerprint != "" {
		for i, key := range m.keys {
			key, err := fingerprinted(key)
			if err != nil {
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

// among gives the pair with the public half of the fingerprint, where other public halves are in its way. The private
// half must be the only one that may belong to it.
func (m matching) among(fingerprint string) (Key, bool) {
	if fingerprint == "" {
		return Key{}, false
	}
	if len(m.malformed) > 0 && len(m.maybe) == 0 {
		i := slices.IndexFunc(m.keys, func(k Key) bool { return k.Public != nil && k.fingerprint == fingerprint })
		if i < 0 {
			return Key{}, false
		}
		key := m.keys[i]
		key.Strays = m.malformed
		return key, true
	}
	var private, public *Object
	strays := slices.Clone(m.malformed)
	for i := range m.maybe {
		o := &m.maybe[i]
		switch {
		case o.Class == cryptoki.CKO_PRIVATE_KEY && private != nil:
			return Key{}, false
		case o.Class == cryptoki.CKO_PRIVATE_KEY:
			private = o
		case public == nil && SpecOf(o.CKK).Fingerprint(*o) == fingerprint:
			public = o
		default:
			strays = append(strays, *o)
		}
	}
	if private == nil || public == nil || kinOf(*private) != kinOf(*public) ||
		SpecOf(private.CKK).halves(*private, *public) == Different {
		return Key{}, false
	}
	key, err := NewKey(SpecOf(private.CKK), private, public)
	key.Strays, key.contested = strays, true
	return key, err == nil
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
		has := "its ID"
		if len(id) == 0 {
			has = "no ID and its label"
		}
		return &MalformedError{Object: halves[0].Name(), Err: fmt.Errorf(
			"it belongs to none of the other halves that have %s: %s", has, List(Names(halves)))}
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
	if m := match(supported(objects)); len(m.keys) == 1 && len(m.keys[0].Spec().Classes) == len(objects) {
		e.Whole, e.Unprotected = m.keys[0].Type, m.keys[0].Unprotected()
	}
	return e
}
