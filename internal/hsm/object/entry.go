package object

import (
	"bytes"
	"cmp"
	"math/big"
	"slices"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// Entry is a key object on the token as a list shows it: a value. Half a pair is an Entry, and so is a secret key.
type Entry struct {
	Name           // its Type is "" where Err is why it is not known
	Bits  int      // of an RSA modulus, of the value of a secret key; 0 where there is no such thing, or it is not shown
	Curve string   // by its JOSE name; "" where there is none, or it is not known here
	Uses  []string // what its flags allow: "decrypt", "derive", "encrypt", "sign", "unwrap", "verify", "wrap"
	// What the token says of it; nil where it says nothing.
	Sensitive, Extractable, Local, AlwaysSensitive, NeverExtractable *bool
	// OtherHalfMissing says of half a pair that the token has no other half of this key under its ID. It is nil for a
	// secret key, and where it cannot be told: halves of the ID show too little, or are of a type that is not supported.
	OtherHalfMissing *bool
	Err              error // a *MalformedError: what makes no sense about it

	material []byte // what else the object shows of itself, for the order
}

// Entries lists every key object, by label, ID, class and type. unclassified counts the objects of which not even the
// class can be told.
func (v *Inventory) Entries() (entries []Entry, unclassified int) {
	groups := v.groups()
	for _, g := range groups {
		for _, o := range g.objects {
			if !o.IsKey() {
				unclassified++
			}
		}
	}
	for _, g := range groups {
		missing := g.missingHalves()
		for _, o := range g.objects {
			if !o.IsKey() {
				continue
			}
			entry := entryOf(o)
			if lacks, told := missing[o.Handle]; told && unclassified == 0 { // one of those may be anything's other half
				entry.OtherHalfMissing = &lacks
			}
			entries = append(entries, entry)
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(strings.Compare(a.Label, b.Label), bytes.Compare(a.ID, b.ID), strings.Compare(a.Class, b.Class),
			strings.Compare(a.Type, b.Type), bytes.Compare(a.material, b.material))
	})
	return entries, unclassified
}

// uses are the words of what the object's own flags allow.
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
		Sensitive: o.Claim(cryptoki.CKA_SENSITIVE), Extractable: o.Claim(cryptoki.CKA_EXTRACTABLE), Local: o.Claim(cryptoki.CKA_LOCAL),
		AlwaysSensitive: o.Claim(cryptoki.CKA_ALWAYS_SENSITIVE), NeverExtractable: o.Claim(cryptoki.CKA_NEVER_EXTRACTABLE),
	}
	if o.Err != nil {
		entry.Type = ""
		return entry
	}
	if o.Class == cryptoki.CKO_SECRET_KEY {
		return entry
	}
	entry.Bits = new(big.Int).SetBytes(o.modulus).BitLen()
	if len(o.params) > 0 {
		entry.Curve, _ = publickey.ParseECParams(o.params)
	}
	if o.Class == cryptoki.CKO_PUBLIC_KEY {
		if err := unparsable(o); err != nil {
			entry.Err = &MalformedError{Object: o.Name(), Err: err}
		}
	}
	return entry
}

// missingHalves says of the halves of pairs in the group, by their handles, whether their other half is missing. What
// cannot be told is left out.
func (g *group) missingHalves() map[cryptoki.Object]bool {
	missing := map[cryptoki.Object]bool{}
	anything := false // something makes no sense, and so may be anything's other half
	var halves []Object
	for _, o := range g.objects {
		spec := SpecOf(o.CKK)
		switch {
		case o.Err != nil:
			anything = true
		case spec == nil || spec.Alone() || !slices.Contains(spec.Classes, o.Class):
		case o.Class == cryptoki.CKO_PUBLIC_KEY && unparsable(o) != nil:
			anything = true
		default:
			halves = append(halves, o)
		}
	}
	m, err := match(halves)
	if err != nil {
		return missing // not reached: what makes no sense is left out
	}
	for _, pair := range m.keys {
		missing[pair.Private.Handle], missing[pair.Public.Handle] = false, false
	}
	for _, half := range m.lone {
		if !anything {
			missing[half.Handle] = true
		}
	}
	return missing
}

// unparsable says why a public half makes no public key.
func unparsable(public Object) error {
	spec := SpecOf(public.CKK)
	if spec == nil || spec.Alone() {
		return nil
	}
	_, err := spec.parse(public)
	return err
}
