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

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// WholeKey is a key of which all is on the token, of a pair the two halves: a value, as it was read back from there.
type WholeKey struct {
	ID                 []byte // CKA_ID, the same on both halves
	Label, PublicLabel string // CKA_LABEL of the private and of the public half
	Type               KeyType
	Kind               string           // of a secret key: AES or Generic
	Bits               int              // of a secret key; 0 where the token does not tell
	PublicKey          crypto.PublicKey // one of package publickey; nil of a key that is no pair
	Usage              Usage            // what the private half may do
	PublicUsage        Usage            // what the public half's flags say, in the private half's words; where they are not told, Usage
	Extractable        bool             // CKA_EXTRACTABLE of the private half
	Sensitive          bool             // CKA_SENSITIVE of the private half
	// The token's claims about the private half's past; nil where it makes none.
	Local, AlwaysSensitive, NeverExtractable *bool

	fingerprint string
	// private is the private half, public the other. A key that is one object is its private half, and has no other.
	private, public object
}

// Fingerprint tells the key from others: of a pair it is the SHA-256 of the public key's SubjectPublicKeyInfo, of
// a secret key its check value (CKA_CHECK_VALUE), "" where that cannot be had. In lower-case hex.
func (k WholeKey) Fingerprint() string { return k.fingerprint }

// MayUse is what such a key can be used for, whatever its flags say.
func (k WholeKey) MayUse() Usage { return typeOf(k.private.ckk).may }

// objects are those that the key is made of, the private half first.
func (k WholeKey) objects() []object {
	if typeOf(k.private.ckk).alone() {
		return []object{k.private}
	}
	return []object{k.private, k.public}
}

// Ref says which key is meant.
type Ref struct {
	Type        KeyType // "": any key pair
	ID          []byte
	Kind        string // of a secret key; "": not known
	Bits        int    // of a secret key; 0: not known
	Fingerprint string // "": not known. It decides where several keys bear the ID
}

// WholeKey finds a key by its ID. Errors: ErrNotFound where nothing of that ID and type is there (proven by a
// search while logged in), a *HalfPairError, an *AmbiguousError, a *MalformedError, or the token's failure.
func (t *Token) WholeKey(ctx context.Context, ref Ref) (WholeKey, error) {
	objects, ok, err := t.snapshot.lookup(ctx, t, ref.ID)
	if err != nil {
		return WholeKey{}, err
	}
	if ok {
		// What is not a plain success is looked at again, directly: others may have changed the token.
		key, err := t.chosen(ctx, objects, ref)
		if err == nil && key.isMeant(ref) {
			return key, nil
		}
		if err != nil && ctx.Err() != nil {
			return WholeKey{}, err
		}
	}
	pair, err := t.search(ctx, ref)
	if err == nil && !pair.isMeant(ref) { // half of it may be what is left of the one that is meant
		_, err = t.Prove(ctx, pair)
	}
	return pair, err
}

// search finds a key by its ID on the token itself. Of half a pair it says where the other half is.
func (t *Token) search(ctx context.Context, ref Ref) (WholeKey, error) {
	objects, err := t.find(ctx, ref.ID)
	if err != nil {
		return WholeKey{}, err
	}
	key, err := t.chosen(ctx, objects, ref)
	if half, ok := errors.AsType[*HalfPairError](err); ok {
		half.Twin = t.strayTwin(ctx, objects, ref)
	}
	return key, err
}

// chosen is choose, and gives the key with its fingerprint.
func (t *Token) chosen(ctx context.Context, objects []object, ref Ref) (WholeKey, error) {
	key, err := choose(objects, ref, t.fingerprinting(ctx))
	if err != nil {
		return WholeKey{}, err
	}
	return t.Fingerprinted(ctx, key)
}

// fingerprinting is Fingerprinted for choose.
func (t *Token) fingerprinting(ctx context.Context) func(WholeKey) (WholeKey, error) {
	return func(key WholeKey) (WholeKey, error) { return t.Fingerprinted(ctx, key) }
}

// isMeant says that the key has the kind, the size and the fingerprint of the one that is meant, where both are known.
func (k WholeKey) isMeant(ref Ref) bool {
	return k.fits(ref) && (ref.Fingerprint == "" || k.fingerprint == "" || ref.Fingerprint == k.fingerprint)
}

// fits says that a secret key has the kind and the size of the one that is meant, where both are known.
func (k WholeKey) fits(ref Ref) bool {
	return (ref.Kind == "" || ref.Kind == k.Kind) && (ref.Bits == 0 || k.Bits == 0 || ref.Bits == k.Bits)
}

// KeyPairs gives the key pairs among what WholeKeys gives.
func (t *Token) KeyPairs(ctx context.Context) ([]WholeKey, error) {
	keys, err := t.WholeKeys(ctx)
	return slices.DeleteFunc(keys, func(k WholeKey) bool { return k.PublicKey == nil }), err
}

// WholeKeys gives every whole key on the token, ordered by label, then ID. Halves without a twin, and keys
// of types that are not known here, are left out, and so is what Unreadable counts; a malformed half is an
// error, since a set without its key would be taken for whole, and so are halves of several pairs of one ID that
// show too little of their keys (*AmbiguousError).
func (t *Token) WholeKeys(ctx context.Context) ([]WholeKey, error) {
	pairs, broken, err := t.SoundKeys(ctx)
	if err == nil && len(broken) > 0 {
		err = broken[0]
	}
	if err != nil {
		return nil, err
	}
	return pairs, nil
}

// SoundKeys gives what WholeKeys gives, and beside it an error for each ID whose halves make no sense: no half that
// bears such an ID is among the pairs. Errors: the token's failure.
func (t *Token) SoundKeys(ctx context.Context) (keys []WholeKey, broken []error, err error) {
	objects, err := t.snapshot.all(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	keys, broken = sound(objects)
	return keys, broken, nil
}

// sound makes keys of all the token's objects, as SoundKeys gives them.
func sound(objects []object) (keys []WholeKey, broken []error) {
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
		m, err := match(known(group))
		if err != nil {
			broken = append(broken, err)
			continue
		}
		if len(m.undecided) > 0 {
			broken = append(broken, m.ambiguous(group[0].id))
			continue
		}
		keys = append(keys, m.keys...)
	}
	SortKeys(keys)
	return keys, broken
}

// SortKeys orders keys by label, then ID, then fingerprint.
func SortKeys(keys []WholeKey) {
	slices.SortFunc(keys, func(a, b WholeKey) int {
		return cmp.Or(strings.Compare(a.Label, b.Label), bytes.Compare(a.ID, b.ID), strings.Compare(a.fingerprint, b.fingerprint))
	})
}

// choose picks the key that ref means from among the objects of its ID. Where several bear it, fingerprinted gives those
// that show no fingerprint with theirs.
func choose(objects []object, ref Ref, fingerprinted func(WholeKey) (WholeKey, error)) (WholeKey, error) {
	for _, o := range objects {
		if o.err != nil {
			return WholeKey{}, o.err
		}
	}
	m, err := match(ofType(objects, ref.Type))
	if err != nil {
		return WholeKey{}, err
	}
	several := len(m.keys) > 1 || len(m.undecided) > 0
	if several && ref.Fingerprint != "" {
		for i, key := range m.keys {
			if key, err = fingerprinted(key); err != nil {
				return WholeKey{}, err
			}
			if key.fits(ref) && key.Fingerprint() == ref.Fingerprint {
				return key, nil
			}
			m.keys[i] = key
		}
	}
	if (several || len(m.keys) > 0) && ref.Fingerprint != "" {
		// A foreign pair does not stand in for what is left of the one that is meant.
		left := slices.DeleteFunc(slices.Clone(m.halves), func(o object) bool { return typeOf(o.ckk).fingerprint(o) != ref.Fingerprint })
		if len(left) > 0 {
			return WholeKey{}, halfError(ref.ID, left)
		}
	}
	switch {
	case several:
		return WholeKey{}, m.ambiguous(ref.ID)
	case len(m.keys) == 1:
		return m.keys[0], nil
	case len(m.halves) == 0:
		return WholeKey{}, fmt.Errorf("key ID %s: %w", FormatID(ref.ID), ErrNotFound)
	}
	return WholeKey{}, halfError(ref.ID, m.halves)
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

// known keeps the objects that are keys of known types, or halves of such.
func known(objects []object) []object {
	return slices.DeleteFunc(slices.Clone(objects), func(o object) bool {
		kt := typeOf(o.ckk)
		return kt == nil || !slices.Contains(kt.classes, o.class)
	})
}

// ofType keeps those of a type, and of every type of key pair for "".
func ofType(objects []object, want KeyType) []object {
	return slices.DeleteFunc(known(objects), func(o object) bool {
		kt := typeOf(o.ckk)
		return want == "" && kt.alone() || want != "" && kt.name != want
	})
}

// matching is what becomes of the objects that bear one ID.
type matching struct {
	keys   []WholeKey
	halves []object // that have no twin
	// undecided are halves that may have one, and nothing shows which.
	undecided []object
}

// ambiguous says which keys, or which halves of keys, bear the ID.
func (m matching) ambiguous(id []byte) error {
	e := &AmbiguousError{ID: id, Halves: len(m.undecided) > 0}
	for _, key := range m.keys {
		e.Objects = append(e.Objects, key.private.name())
		e.Fingerprints = append(e.Fingerprints, key.Fingerprint())
	}
	for _, o := range m.undecided {
		e.Objects = append(e.Objects, o.name())
		e.Fingerprints = append(e.Fingerprints, typeOf(o.ckk).fingerprint(o))
	}
	return e
}

// match makes keys of objects that bear one ID. What is a key alone is one. Halves become pairs: by key type, then by the
// key itself where the private half shows it. Never "the first of its type": a wrong twin signs, and nobody can verify.
func match(objects []object) (m matching, err error) {
	var privates, publics []object
	whole := func(private, public object) error {
		key, err := newWholeKey(typeOf(private.ckk), private, public)
		m.keys = append(m.keys, key)
		return err
	}
	for _, o := range objects {
		if typeOf(o.ckk).alone() {
			if err := whole(o, object{}); err != nil {
				return matching{}, err
			}
			continue
		}
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
	var unsure []object
	for _, private := range privates {
		i := slices.IndexFunc(publics, func(public object) bool { return twins(private, public) == same })
		if i < 0 {
			unsure = append(unsure, private)
			continue
		}
		if err := whole(private, publics[i]); err != nil {
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
			if err := whole(private, publics[possible[0]]); err != nil {
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

// newWholeKey makes a key of its parts. Errors: *MalformedError.
func newWholeKey(kt *keyType, private, public object) (WholeKey, error) {
	key := WholeKey{
		ID: private.id, Label: private.label, PublicLabel: private.label, Type: kt.name,
		Extractable: private.is(cryptoki.CKA_EXTRACTABLE), Sensitive: private.is(cryptoki.CKA_SENSITIVE),
		Local: private.claim(cryptoki.CKA_LOCAL), AlwaysSensitive: private.claim(cryptoki.CKA_ALWAYS_SENSITIVE),
		NeverExtractable: private.claim(cryptoki.CKA_NEVER_EXTRACTABLE),
		private:          private, public: public,
	}
	for _, row := range usages {
		if kt.usages.Has(row.usage) && private.is(row.private) {
			key.Usage |= row.usage
		}
	}
	key.PublicUsage = key.Usage
	if kt.alone() {
		key.Kind, key.Bits, key.fingerprint = kt.kind, 8*int(private.valueLen), kt.fingerprint(private)
		return key, nil
	}
	var err error
	if key.PublicKey, key.fingerprint, err = kt.read(public); err != nil {
		return WholeKey{}, err
	}
	key.PublicLabel = public.label
	for _, row := range usages {
		if !kt.usages.Has(row.usage) || !public.knows(row.public) {
			continue
		}
		key.PublicUsage &^= row.usage
		if public.is(row.public) {
			key.PublicUsage |= row.usage
		}
	}
	return key, nil
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
