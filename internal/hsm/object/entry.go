package object

import (
	"bytes"
	"cmp"
	"math/big"
	"slices"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// Entry is a key object on the token as a list shows it: a value. Each half of a pair has an Entry of its own.
type Entry struct {
	Name         // its Type is one of KeyTypes, or a number; "" where Err says why it cannot be read
	Bits  int    // of an RSA modulus, of the value of a secret key; 0 where the object has or shows none
	Curve string // by its JOSE name; "" where there is none, or it is not supported
	// ParameterSet is that of an ML-DSA key, such as "ML-DSA-65"; "" where there is none, or it is not supported.
	ParameterSet string
	Uses         []string // what its flags allow: "decrypt", "derive", "encrypt", "sign", "unwrap", "verify", "wrap"
	Claims
	// OtherHalfMissing says that the token has no other half for this half under its ID. It is nil for a secret key,
	// and where nobody can tell: the halves of the ID show too little, or are of a type that is not supported.
	OtherHalfMissing *bool
	Err              error // a *MalformedError that says what makes no sense

	material []byte // what else the object shows of itself, for the order
}

// Entries lists every key object, by ID, class, type and key, so that a new label moves none. unclassified is the
// number of unclassified objects.
func (v *Inventory) Entries() (entries []Entry, unclassified int) {
	groups := v.groups()
	anything := false // an unclassified object may be the other half of any half
	for _, g := range groups {
		for _, o := range g.objects {
			if !o.IsKey() {
				unclassified++
			}
			anything = anything || o.Unclassified
		}
	}
	for _, g := range groups {
		missing := g.missingHalves()
		for _, o := range g.objects {
			if !o.IsKey() {
				continue
			}
			entry := entryOf(o)
			if lacks, told := missing[o.Handle]; told && !anything {
				entry.OtherHalfMissing = &lacks
			}
			entries = append(entries, entry)
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(bytes.Compare(a.ID, b.ID), strings.Compare(a.Class, b.Class), strings.Compare(a.Type, b.Type),
			bytes.Compare(a.material, b.material), strings.Compare(a.Label, b.Label))
	})
	return entries, unclassified
}

// uses gives the words for what the object's own flags allow.
func (o Object) uses() []string {
	words := []string{}
	for _, row := range usages {
		if o.Has(row.private) && o.Is(row.private) {
			words = append(words, row.word)
		}
	}
	return words
}

func entryOf(o Object) Entry {
	entry := Entry{
		Name: o.Name(), Bits: 8 * int(o.valueLen), Uses: o.uses(), material: o.material(), Err: o.Err,
		Claims: o.Claims(),
	}
	if o.Err != nil {
		entry.Type = ""
		return entry
	}
	if spec := SpecOf(o.CKK); spec != nil {
		entry.Type = spec.word()
	}
	if o.Class == cryptoki.CKO_SECRET_KEY {
		return entry
	}
	entry.Bits = new(big.Int).SetBytes(o.modulus).BitLen()
	switch o.CKK {
	case cryptoki.CKK_ML_DSA:
		entry.ParameterSet = o.sort()
	default:
		entry.Curve = o.sort()
	}
	if o.Class == cryptoki.CKO_PUBLIC_KEY {
		if err := unparsable(o); err != nil {
			entry.Err = &MalformedError{Object: o.Name(), Err: err}
		}
	}
	return entry
}

// missingHalves says for each half in the group, by its handle, whether its other half is missing. It leaves out
// halves for which nobody can tell.
func (g *group) missingHalves() map[cryptoki.Object]bool {
	missing := map[cryptoki.Object]bool{}
	malformed := false // a malformed object may be the other half of any half
	var halves []Object
	for _, o := range g.objects {
		spec := SpecOf(o.CKK)
		switch {
		case o.Err != nil:
			malformed = true
		case spec == nil || spec.Alone() || !slices.Contains(spec.Classes, o.Class):
		case o.Class == cryptoki.CKO_PUBLIC_KEY && unparsable(o) != nil:
			malformed = true
		default:
			halves = append(halves, o)
		}
	}
	m := match(halves)
	for _, pair := range m.keys {
		missing[pair.Private.Handle], missing[pair.Public.Handle] = false, false
	}
	for _, half := range m.lone {
		if !malformed {
			missing[half.Handle] = true
		}
	}
	return missing
}

// unparsable says why no public key can be made of a public half.
func unparsable(public Object) error {
	spec := SpecOf(public.CKK)
	if spec == nil || spec.Alone() {
		return nil
	}
	_, err := spec.parse(public)
	return err
}
