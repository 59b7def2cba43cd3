package hsm

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// KeyPair is a key pair whose two halves are on the token: a value, as it was read back from there.
type KeyPair struct {
	ID                 []byte // CKA_ID, the same on both halves
	Label, PublicLabel string // CKA_LABEL of the private and of the public half
	Type               KeyType
	PublicKey          crypto.PublicKey // one of package publickey
	Usage              Usage            // what the private half may do
	PublicUsage        Usage            // what the public half's flags say, in the private half's words; where they are not told, Usage
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
		if pair, err := choose(objects, ref); err == nil && pair.isMeant(ref) {
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
	if err == nil && !pair.isMeant(ref) { // half of it may be what is left of the one that is meant
		_, err = t.ProveKeyPair(ctx, pair)
	}
	return pair, err
}

// isMeant says that the pair has the fingerprint of the one that is meant, where that is known.
func (k KeyPair) isMeant(ref Ref) bool {
	return ref.Fingerprint == "" || ref.Fingerprint == k.fingerprint
}

// strayTwin looks for the missing half under other IDs: an interrupted change of ID leaves the halves apart.
// It only helps a message, so its own failure is none.
func (t *Token) strayTwin(ctx context.Context, objects []object, ref Ref) *Object {
	all, err := t.snapshot.all(ctx, t)
	if err != nil {
		return nil
	}
	var unsure []halfPair
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
			switch kt.twins(private, public) {
			case same:
				name := o.name()
				return &name
			case unknown:
				unsure = append(unsure, halfPair{kt, private, public, o.name()})
			}
		}
	}
	return t.proveTwin(ctx, unsure, all)
}

// halfPair are two halves that may be one pair; the twin is the one that was missed.
type halfPair struct {
	row             *keyType
	private, public object
	twin            Object
}

// twinProofs is how many halves are tried at most, to find the one that is missed.
const twinProofs = 8

// proveTwin tries which of the halves belong together, among those that have no other half under their own ID.
func (t *Token) proveTwin(ctx context.Context, unsure []halfPair, all []object) *Object {
	type place struct {
		id string
		kind
	}
	there := map[place]bool{}
	for _, o := range all {
		there[place{string(o.id), o.kind()}] = true
	}
	unsure = slices.DeleteFunc(unsure, func(h halfPair) bool {
		other := cryptoki.CKO_PUBLIC_KEY
		if h.twin.Class == classes[other] {
			other = cryptoki.CKO_PRIVATE_KEY
		}
		return there[place{string(h.twin.ID), kind{other, h.row.ckk}}]
	})
	for _, h := range unsure[:min(len(unsure), twinProofs)] {
		pair, err := newKeyPair(h.row, h.private, h.public)
		if err != nil {
			continue
		}
		if result, _, _ := t.operate(ctx, h.row, pair); result == same {
			return &h.twin
		}
	}
	return nil
}

// KeyPairs gives every whole pair on the token, ordered by label, then ID. Halves without a twin, and pairs
// of types that are not known here, are left out, and so is what Unreadable counts; a malformed half is an
// error, since a set without its key would be taken for whole, and so are halves of several pairs of one ID that
// show too little of their keys (*AmbiguousError).
func (t *Token) KeyPairs(ctx context.Context) ([]KeyPair, error) {
	pairs, broken, err := t.SoundKeyPairs(ctx)
	if err == nil && len(broken) > 0 {
		err = broken[0]
	}
	if err != nil {
		return nil, err
	}
	return pairs, nil
}

// whereabouts are the pairs of the snapshot by their fingerprints, for as long as it does not change: thousands of keys
// that are looked for one after the other cost no more than one.
type whereabouts struct {
	mu      sync.Mutex
	changes int // the snapshot's, when these were made of it
	pairs   map[string]KeyPair
}

// Whereabouts finds a pair by its fingerprint, whatever its ID; found is false where no pair that KeyPairs gives has it.
// Of several it gives the first. Errors: as of KeyPairs.
func (t *Token) Whereabouts(ctx context.Context, fingerprint string) (pair KeyPair, found bool, err error) {
	t.catchUp()
	before, there := t.snapshot.state()
	t.known.mu.Lock()
	pairs := t.known.pairs
	current := there && t.known.changes == before
	t.known.mu.Unlock()
	if pairs == nil || !current {
		all, err := t.KeyPairs(ctx)
		if err != nil {
			return KeyPair{}, false, err
		}
		pairs = make(map[string]KeyPair, len(all))
		for _, pair := range all {
			if _, taken := pairs[pair.fingerprint]; !taken {
				pairs[pair.fingerprint] = pair
			}
		}
		if after, there := t.snapshot.state(); there && after == before {
			t.known.mu.Lock()
			t.known.pairs, t.known.changes = pairs, after
			t.known.mu.Unlock()
		}
	}
	pair, found = pairs[fingerprint]
	return pair, found, nil
}

// SoundKeyPairs gives what KeyPairs gives, and beside it an error for each ID whose halves make no sense: no half that
// bears such an ID is among the pairs. Errors: the token's failure.
func (t *Token) SoundKeyPairs(ctx context.Context) (pairs []KeyPair, broken []error, err error) {
	objects, err := t.snapshot.all(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	byID := map[string][]object{}
	for _, o := range objects {
		if !o.debris && (o.err != nil || o.unknownKind() == "") { // UnknownPairs has the others
			byID[string(o.id)] = append(byID[string(o.id)], o)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		group := byID[id]
		if i := slices.IndexFunc(group, func(o object) bool { return o.err != nil }); i >= 0 {
			broken = append(broken, group[i].err)
			continue
		}
		m, err := match(ofType(group, ""))
		if err != nil {
			broken = append(broken, err)
			continue
		}
		if len(m.undecided) > 0 {
			broken = append(broken, m.ambiguous(group[0].id))
			continue
		}
		pairs = append(pairs, m.pairs...)
	}
	SortKeyPairs(pairs)
	return pairs, broken, nil
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
	m, err := match(ofType(objects, ref.Type))
	if err != nil {
		return KeyPair{}, err
	}
	several := len(m.pairs) > 1 || len(m.undecided) > 0
	if several && ref.Fingerprint != "" {
		for _, pair := range m.pairs {
			if pair.Fingerprint() == ref.Fingerprint {
				return pair, nil
			}
		}
	}
	if (several || len(m.pairs) > 0) && ref.Fingerprint != "" {
		// A foreign pair does not stand in for what is left of the one that is meant.
		left := slices.DeleteFunc(slices.Clone(m.halves), func(o object) bool { return fingerprintOf(typeOf(o.ckk), o) != ref.Fingerprint })
		if len(left) > 0 {
			return KeyPair{}, halfError(ref.ID, left)
		}
	}
	switch {
	case several:
		return KeyPair{}, m.ambiguous(ref.ID)
	case len(m.pairs) == 1:
		return m.pairs[0], nil
	case len(m.halves) == 0:
		return KeyPair{}, fmt.Errorf("key ID %s: %w", FormatID(ref.ID), ErrNotFound)
	}
	return KeyPair{}, halfError(ref.ID, m.halves)
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

// matching is what becomes of the halves that bear one ID.
type matching struct {
	pairs  []KeyPair
	halves []object // that have no twin
	// undecided are halves that may have one, and nothing shows which.
	undecided []object
}

// ambiguous says which keys, or which halves of keys, bear the ID.
func (m matching) ambiguous(id []byte) error {
	e := &AmbiguousError{ID: id, Halves: len(m.undecided) > 0}
	for _, pair := range m.pairs {
		e.Objects = append(e.Objects, pair.private.name())
		e.Fingerprints = append(e.Fingerprints, pair.Fingerprint())
	}
	for _, o := range m.undecided {
		e.Objects = append(e.Objects, o.name())
		e.Fingerprints = append(e.Fingerprints, fingerprintOf(typeOf(o.ckk), o))
	}
	return e
}

// match makes pairs of halves that bear one ID: by key type, then by the key itself where the private half
// shows it. Never "the first of its type": a wrong twin signs, and nobody can verify.
func match(objects []object) (m matching, err error) {
	var privates, publics []object
	for _, o := range objects {
		if o.class == cryptoki.CKO_PRIVATE_KEY {
			privates = append(privates, o)
			continue
		}
		// A half that makes no sense is no stray: a set that leaves it out would be taken for whole.
		if _, err := typeOf(o.ckk).parse(o); err != nil {
			return m, &MalformedError{Object: o.name(), Err: err}
		}
		publics = append(publics, o)
	}
	twins := func(private, public object) verdict {
		if private.ckk != public.ckk {
			return different
		}
		return typeOf(private.ckk).twins(private, public)
	}
	pair := func(private, public object) error {
		pair, err := newKeyPair(typeOf(private.ckk), private, public)
		m.pairs = append(m.pairs, pair)
		return err
	}
	var unsure []object
	for _, private := range privates {
		i := slices.IndexFunc(publics, func(public object) bool { return twins(private, public) == same })
		if i < 0 {
			unsure = append(unsure, private)
			continue
		}
		if err := pair(private, publics[i]); err != nil {
			return matching{}, err
		}
		publics = slices.Delete(publics, i, i+1)
	}
	// A private half that shows too little of its key is known by its ID alone: that will do only where there is one
	// public half that may be its twin, and the other way round.
	decided := make([]bool, len(publics))
	for _, private := range unsure {
		possible := indexes(publics, func(public object) bool { return twins(private, public) == unknown })
		switch {
		case len(possible) == 0:
			m.halves = append(m.halves, private)
		case len(possible) == 1 && len(indexes(unsure, func(rival object) bool { return twins(rival, publics[possible[0]]) == unknown })) == 1:
			decided[possible[0]] = true
			if err := pair(private, publics[possible[0]]); err != nil {
				return matching{}, err
			}
		default:
			m.undecided = append(m.undecided, private)
		}
	}
	for i, public := range publics {
		switch {
		case decided[i]:
		case slices.ContainsFunc(m.undecided, func(o object) bool { return o.class == cryptoki.CKO_PRIVATE_KEY && twins(o, public) == unknown }):
			m.undecided = append(m.undecided, public)
		default:
			m.halves = append(m.halves, public)
		}
	}
	return m, nil
}

// indexes are those of the objects that are so.
func indexes(objects []object, so func(object) bool) (found []int) {
	for i, o := range objects {
		if so(o) {
			found = append(found, i)
		}
	}
	return found
}

// read gives the public key of a public half, and its fingerprint. Errors: *MalformedError.
func (kt *keyType) read(public object) (key crypto.PublicKey, fingerprint string, err error) {
	if key, err = kt.parse(public); err == nil {
		fingerprint, err = publickey.Fingerprint(key)
	}
	if err != nil {
		return nil, "", &MalformedError{Object: public.name(), Err: err}
	}
	return key, fingerprint, nil
}

func newKeyPair(kt *keyType, private, public object) (KeyPair, error) {
	key, fingerprint, err := kt.read(public)
	if err != nil {
		return KeyPair{}, err
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
		if !public.knows(twin) {
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
