package hsm

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"math/big"
	"slices"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// Key is a key object on the token as it was read from there: a value. Half a pair is a Key, and so is a secret key.
type Key struct {
	Object          // its Type is "" where Err is why it is not known
	Bits   int      // of an RSA modulus, of the value of a secret key; 0 where there is no such thing, or it is not shown
	Curve  string   // by its JOSE name; "" where there is none, or it is not known here
	Uses   []string // what its flags allow: "decrypt", "derive", "encrypt", "sign", "unwrap", "verify", "wrap"
	// What the token says of it; nil where it says nothing.
	Sensitive, Extractable, Local, AlwaysSensitive, NeverExtractable *bool
	// TwinMissing says of half a pair that the token has no other half of this key under its ID. It is nil for a secret
	// key, and where it cannot be told: halves of the ID show too little, or are of a type that is not known here.
	TwinMissing *bool
	Err         error // a *MalformedError: what makes no sense about it

	material []byte // what else the object shows of itself, for the order
}

// Keys lists every key object on the token, by label, ID, class and type. unreadable counts the objects of which not
// even the class can be told. It searches and reads no more than KeyPairs. Errors: the token's failure.
func (t *Token) Keys(ctx context.Context) (keys []Key, unreadable int, err error) {
	objects, err := t.snapshot.all(ctx, t)
	if err != nil {
		return nil, 0, err
	}
	missing := missingTwins(objects)
	for i, o := range objects {
		if !o.isKey() {
			unreadable++
			continue
		}
		key := keyOf(o)
		key.TwinMissing = missing[i]
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(strings.Compare(a.Label, b.Label), bytes.Compare(a.ID, b.ID), strings.Compare(a.Class, b.Class),
			strings.Compare(a.Type, b.Type), bytes.Compare(a.material, b.material))
	})
	return keys, unreadable, nil
}

// KeyTypes are the names of the key types that a Key may have; others have their number.
func KeyTypes() []string {
	var names []string
	for _, kt := range keyTypes {
		names = append(names, kt.title)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// uses are the words of what the object's own flags allow.
func (o object) uses() []string {
	words := []string{}
	for _, row := range usages {
		if o.knows(row.private) && o.is(row.private) {
			words = append(words, row.word)
		}
	}
	return words
}

// material is what tells the object from others of its name: what it shows of its key, then its length and its flags.
func (o object) material() []byte {
	m := slices.Concat(o.modulus, o.params, o.point, o.checkValue)
	m = binary.BigEndian.AppendUint64(m, uint64(o.valueLen))
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(m, uint32(o.flags)), uint32(o.known))
}

func keyOf(o object) Key {
	key := Key{
		Object: o.name(), Bits: 8 * int(o.valueLen), Uses: o.uses(), material: o.material(), Err: o.err,
		Sensitive: o.claim(cryptoki.CKA_SENSITIVE), Extractable: o.claim(cryptoki.CKA_EXTRACTABLE), Local: o.claim(cryptoki.CKA_LOCAL),
		AlwaysSensitive: o.claim(cryptoki.CKA_ALWAYS_SENSITIVE), NeverExtractable: o.claim(cryptoki.CKA_NEVER_EXTRACTABLE),
	}
	if o.err != nil {
		key.Type = ""
		return key
	}
	if o.class == cryptoki.CKO_SECRET_KEY {
		return key
	}
	key.Bits = new(big.Int).SetBytes(o.modulus).BitLen()
	if len(o.params) > 0 {
		key.Curve, _ = publickey.ParseECParams(o.params)
	}
	if o.class == cryptoki.CKO_PUBLIC_KEY {
		if err := broken(o); err != nil {
			key.Err = &MalformedError{Object: o.name(), Err: err}
		}
	}
	return key
}

// missingTwins says of each object whether it is half a pair whose other half is missing: nil for what is no half, and
// where it cannot be told.
func missingTwins(objects []object) []*bool {
	missing := make([]*bool, len(objects))
	if slices.ContainsFunc(objects, func(o object) bool { return o.debris }) {
		return missing // it may be anything's twin
	}
	byID := map[string][]int{}
	unsure := map[string]bool{} // IDs that an object bears which makes no sense, and so may be anything's twin
	for i, o := range objects {
		kt := typeOf(o.ckk)
		switch {
		case o.err != nil:
			unsure[string(o.id)] = true
		case kt == nil || kt.alone() || !slices.Contains(kt.classes, o.class):
		case o.class == cryptoki.CKO_PUBLIC_KEY && broken(o) != nil:
			unsure[string(o.id)] = true
		default:
			byID[string(o.id)] = append(byID[string(o.id)], i)
		}
	}
	for id, group := range byID {
		halves := make([]object, len(group))
		for i, at := range group {
			halves[i] = objects[at]
		}
		m, err := match(halves)
		if err != nil {
			continue // not reached: what makes no sense is left out
		}
		is := map[cryptoki.Object]bool{}
		for _, pair := range m.keys {
			is[pair.private.handle], is[pair.public.handle] = false, false
		}
		for _, half := range m.halves {
			if !unsure[id] {
				is[half.handle] = true
			}
		}
		for _, at := range group {
			if lacks, known := is[objects[at].handle]; known {
				missing[at] = &lacks
			}
		}
	}
	return missing
}

// broken says why a public half makes no public key.
func broken(public object) error {
	kt := typeOf(public.ckk)
	if kt == nil || kt.alone() {
		return nil
	}
	_, err := kt.parse(public)
	return err
}
