package object

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// Inventory is what a token holds, or a part of it, with every way to look into it. It parses and matches an object
// once, when it is first asked for. It is safe for concurrent use. It follows the process's own writes
// ([Inventory.Update]).
type Inventory struct {
	mu           sync.Mutex
	byID         map[string]*group
	certificates map[string][]Object // by ID; an update makes a new list
	index        *index              // nil until it is asked for, and after each update
	updates      int                 // how many there were
}

// group is the objects of one ID. It never changes; an update makes a new one.
type group struct {
	objects []Object

	once sync.Once
	matching
	broken []Broken
}

// index finds keys by what they show. Each map is made when it is first needed.
type index struct {
	keys   []Key    // the whole keys, in SortKeys' order
	broken []Broken // what is left out

	mu            sync.Mutex
	byLabel       map[string][]*Key
	byFingerprint map[fingerprint][]*Key
	computed      bool // the fingerprints that keys do not show are in it too
}

// fingerprint finds a key of a type under any ID.
type fingerprint struct {
	keyType KeyType
	value   string
}

// NewInventory makes an inventory of objects: key objects on the token, and certificates. Others are left out.
func NewInventory(objects []Object) *Inventory {
	v := &Inventory{byID: make(map[string]*group, len(objects)/2)}
	for _, o := range objects {
		switch {
		case o.Counts():
			v.add(o)
		case o.Class == CertificateClass && o.OnToken():
			if v.certificates == nil {
				v.certificates = map[string][]Object{}
			}
			v.certificates[string(o.ID)] = append(v.certificates[string(o.ID)], o)
		}
	}
	return v
}

func (v *Inventory) add(o Object) {
	g := v.byID[string(o.ID)]
	if g == nil {
		g = &group{}
		v.byID[string(o.ID)] = g
	}
	g.objects = append(g.objects, o)
}

// Clone gives the inventory as it is now. The clone does not follow later writes.
func (v *Inventory) Clone() *Inventory {
	v.mu.Lock()
	defer v.mu.Unlock()
	return &Inventory{byID: maps.Clone(v.byID), certificates: maps.Clone(v.certificates)}
}

// Update notes a write: the objects of old are gone, those of now are there. It finds an object by what that shows of
// its key, since its handle may be another by now; an object that shows nothing, it finds by its handle. It is false
// where one of old cannot be found: then the inventory must not be used any more.
func (v *Inventory) Update(old, now []Object) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := !slices.ContainsFunc(old, func(o Object) bool {
		return !o.ShowsItself() && !slices.ContainsFunc(v.of(o.ID), func(have Object) bool { return have.Handle == o.Handle })
	})
	for _, o := range slices.Concat(old, now) {
		kept := slices.DeleteFunc(slices.Clone(v.of(o.ID)), func(have Object) bool {
			return have.Handle == o.Handle || o.ShowsItself() && SameKey(have, o)
		})
		v.byID[string(o.ID)] = &group{objects: kept}
	}
	for _, o := range now {
		v.byID[string(o.ID)] = &group{objects: append(slices.Clone(v.of(o.ID)), o)}
	}
	v.index = nil
	v.updates++
	return all
}

func (v *Inventory) of(id []byte) []Object {
	if g := v.byID[string(id)]; g != nil {
		return g.objects
	}
	return nil
}

// Part gives what the inventory holds of an ID. What was matched stays so. It does not follow later writes.
func (v *Inventory) Part(id []byte) *Inventory {
	v.mu.Lock()
	defer v.mu.Unlock()
	part := &Inventory{byID: map[string]*group{}}
	if g := v.byID[string(id)]; g != nil {
		part.byID[string(id)] = g
	}
	return part
}

// Objects gives the key objects of an ID, malformed ones too.
func (v *Inventory) Objects(id []byte) []Object {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.of(id))
}

// All gives the key objects of every ID, malformed ones too.
func (v *Inventory) All() (all []Object) {
	for _, g := range v.groups() {
		all = append(all, g.objects...)
	}
	return all
}

// Loose gives the sound key objects that are in none of Keys: halves that stand alone, and what is not supported.
func (v *Inventory) Loose() (loose []Object) {
	for _, g := range v.groups() {
		g.match()
		used := map[cryptoki.Object]bool{}
		for _, key := range g.keys {
			for _, o := range key.Objects() {
				used[o.Handle] = true
			}
		}
		loose = append(loose, slices.DeleteFunc(slices.Clone(g.objects), func(o Object) bool {
			return used[o.Handle] || o.Err != nil || o.Unclassified
		})...)
	}
	return loose
}

// groups gives the objects of each ID, in the order of the IDs.
func (v *Inventory) groups() []*group {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.groupsLocked()
}

func (v *Inventory) groupsLocked() []*group {
	groups := make([]*group, 0, len(v.byID))
	for _, id := range slices.Sorted(maps.Keys(v.byID)) {
		groups = append(groups, v.byID[id])
	}
	return groups
}

// Certificates gives the certificates of an ID. Their values are not read.
func (v *Inventory) Certificates(id []byte) []Object {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.certificates[string(id)])
}

// UpdateCertificates notes that these are the certificates of an ID now.
func (v *Inventory) UpdateCertificates(id []byte, now []Object) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.certificates == nil {
		v.certificates = map[string][]Object{}
	}
	v.certificates[string(id)] = now
}

// Choose picks the key that ref means. Errors: as of Choose.
func (v *Inventory) Choose(ref Ref, fingerprinted Fingerprinter) (Key, error) {
	v.mu.Lock()
	g := v.byID[string(ref.ID)]
	v.mu.Unlock()
	if g == nil {
		return Choose(nil, ref, fingerprinted)
	}
	if g.match(); len(g.broken) == 0 && len(g.keys) == 1 && len(g.keys[0].Spec().Classes) == len(g.objects) {
		if key := g.keys[0]; ref.Type == key.Type || ref.Type == "" && key.Public != nil {
			return key, nil
		}
	}
	return Choose(g.objects, ref, fingerprinted)
}

// match makes keys of the group's objects, once. It leaves out unclassified objects and those of a kind that is not
// supported.
func (g *group) match() {
	g.once.Do(func() {
		var sound, malformed []Object
		for _, o := range g.objects {
			switch {
			case o.Unclassified:
			case o.Err != nil:
				malformed = append(malformed, o)
			case o.unsupported() == "":
				sound = append(sound, o)
			}
		}
		g.matching = match(supported(sound))
		g.broken = g.matching.broken(malformed)
	})
}

// Plain says that the inventory holds one whole key and nothing else.
func (v *Inventory) Plain() bool {
	groups := v.groups()
	if len(groups) != 1 {
		return false
	}
	g := groups[0]
	g.match()
	return len(g.broken) == 0 && len(g.keys) == 1 && len(g.keys[0].Objects()) == len(g.objects)
}

// Keys gives the whole keys, in SortKeys' order. broken is what makes no key, together with its
// objects: whoever looks for a key has to decide whether it may be among them. Keys leaves out public halves without
// a private one, what is not supported, and unclassified objects.
func (v *Inventory) Keys() (keys []Key, broken []Broken) {
	x := v.indexed()
	return slices.Clone(x.keys), slices.Clone(x.broken)
}

// Labelled gives those of Keys that have the label.
func (v *Inventory) Labelled(label string) []Key {
	x := v.indexed()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.byLabel == nil {
		x.byLabel = map[string][]*Key{}
		for i := range x.keys {
			x.byLabel[x.keys[i].Label] = append(x.byLabel[x.keys[i].Label], &x.keys[i])
		}
	}
	return values(x.byLabel[label])
}

func values(keys []*Key) (values []Key) {
	for _, key := range keys {
		values = append(values, *key)
	}
	return values
}

// WithID gives those of Keys that have the ID.
func (v *Inventory) WithID(id []byte) []Key {
	v.mu.Lock()
	g := v.byID[string(id)]
	v.mu.Unlock()
	if g == nil {
		return nil
	}
	g.match()
	keys := slices.Clone(g.keys)
	SortKeys(keys)
	return keys
}

// WithFingerprint gives those of Keys that have the type and show the fingerprint, under any ID.
func (v *Inventory) WithFingerprint(keyType KeyType, value string) []Key {
	x := v.indexed()
	x.mu.Lock()
	defer x.mu.Unlock()
	return values(x.fingerprints()[fingerprint{keyType, value}])
}

// Fingerprinted gives those of Keys that have the type and the fingerprint, under any ID. compute gives secret keys that
// show no fingerprint with theirs; it is asked once for all of them. Errors: that of what makes no sense and may be the
// key (see [Broken]), or that of compute.
func (v *Inventory) Fingerprinted(keyType KeyType, value string, compute func([]Key) ([]Key, error)) ([]Key, error) {
	x := v.indexed() // one for all that follows, whatever is written in the meantime
	for _, b := range x.broken {
		if b.mayBe(keyType, value) {
			return nil, b.Err
		}
	}
	x.mu.Lock()
	missing := keyType == Secret && !x.computed
	x.mu.Unlock()
	var computed []Key
	if missing {
		var err error
		computed, err = compute(slices.DeleteFunc(slices.Clone(x.keys), func(k Key) bool {
			return k.fingerprint != "" || k.Public != nil
		}))
		if err != nil {
			return nil, err
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	all := x.fingerprints()
	if missing && !x.computed {
		for i := range computed {
			who := fingerprint{computed[i].Type, computed[i].fingerprint}
			all[who] = append(all[who], &computed[i])
		}
		x.computed = true
	}
	return values(all[fingerprint{keyType, value}]), nil
}

// Doubtful gives the IDs under which the pair of that type and fingerprint may be among halves of which nothing shows
// which belong together. Anyone may have put some of them there.
func (v *Inventory) Doubtful(keyType KeyType, value string) (ids [][]byte) {
	for _, b := range v.indexed().broken {
		_, ambiguous := errors.AsType[*AmbiguousError](b.Err)
		if id := b.Objects[0].ID; ambiguous && len(id) > 0 && b.mayBe(keyType, value) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (x *index) fingerprints() map[fingerprint][]*Key {
	if x.byFingerprint == nil {
		x.byFingerprint = make(map[fingerprint][]*Key, len(x.keys))
		for i := range x.keys {
			who := fingerprint{x.keys[i].Type, x.keys[i].fingerprint}
			x.byFingerprint[who] = append(x.byFingerprint[who], &x.keys[i])
		}
	}
	return x.byFingerprint
}

func (v *Inventory) indexed() *index {
	v.mu.Lock()
	x, updates, groups := v.index, v.updates, []*group(nil)
	if x == nil {
		groups = v.groupsLocked()
	}
	v.mu.Unlock()
	if x != nil {
		return x
	}
	x = &index{}
	for _, g := range groups { // matched outside of the lock: it takes as long as there are keys
		g.match()
		x.keys, x.broken = append(x.keys, g.keys...), append(x.broken, g.broken...)
	}
	SortKeys(x.keys)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.updates == updates { // else it is of before a write
		v.index = x
	}
	return x
}

// Apart is a half that may be the other half of a given one, but has another ID.
type Apart struct {
	Key   Key    // the two together
	Other Object // the half that was missing
}

// OtherHalf looks under other IDs for the other halves of the given ones: an interrupted change of ID leaves the
// halves of a pair apart. found is a half that shows the same key. Where there is none, maybe has the halves that may
// be the right one and have no other half under their own ID.
func (v *Inventory) OtherHalf(halves []Object) (found *Object, maybe []Apart) {
	type place struct {
		id string
		Kind
	}
	there := map[place]bool{}
	all := v.All()
	for _, o := range all {
		there[place{string(o.ID), o.Kind()}] = true
	}
	for i := range halves {
		half := &halves[i]
		spec := SpecOf(half.CKK)
		for j := range all {
			o := &all[j]
			private, public := half, o
			if half.Class == cryptoki.CKO_PUBLIC_KEY {
				private, public = o, half
			}
			if spec.Alone() || private.Class != cryptoki.CKO_PRIVATE_KEY || public.Class != cryptoki.CKO_PUBLIC_KEY || o.CKK != half.CKK || bytes.Equal(o.ID, half.ID) {
				continue
			}
			switch spec.Belong(private, public) {
			case Same:
				return o, nil
			case Undecided:
				if there[place{string(o.ID), Kind{half.Class, half.CKK}}] {
					continue
				}
				if key, err := NewKey(spec, private, public); err == nil {
					maybe = append(maybe, Apart{key, *o})
				}
			}
		}
	}
	return nil, maybe
}

// UnsupportedPair is a pair on the token whose type or curve is not in the table. Keys leaves it out.
type UnsupportedPair struct {
	ID    []byte
	Label string // of the private half
	Kind  string // such as "type 0x1" or "EC on the curve 1.3.132.0.33"
}

// Unsupported gives the pairs that are not supported, by ID, then label.
func (v *Inventory) Unsupported() (pairs []UnsupportedPair) {
	for _, g := range v.groups() {
		publics := map[kin]string{}
		for _, o := range g.objects {
			if kind := o.unsupported(); o.Class == cryptoki.CKO_PUBLIC_KEY && o.Err == nil && kind != "" {
				publics[kinOf(o)] = kind
			}
		}
		for _, o := range g.objects {
			if kind, ok := publics[kinOf(o)]; ok && o.Class == cryptoki.CKO_PRIVATE_KEY && o.Err == nil && o.sort() == "" {
				pairs = append(pairs, UnsupportedPair{ID: o.ID, Label: o.Label, Kind: kind})
			}
		}
	}
	slices.SortFunc(pairs, func(a, b UnsupportedPair) int {
		return cmp.Or(bytes.Compare(a.ID, b.ID), strings.Compare(a.Label, b.Label))
	})
	return pairs
}
