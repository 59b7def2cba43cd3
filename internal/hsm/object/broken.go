package object

import (
	"fmt"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// Broken is something on the token that makes no key, and its objects.
//
//   - a private half without a sound public half: that half, and a malformed public half that may be its other half
//   - halves of which nothing shows which belong together (*AmbiguousError)
//   - a malformed object (*MalformedError)
type Broken struct {
	Objects []Object
	// Err is a *HalfPairError, an *AmbiguousError or a *MalformedError, which names the objects. A private half beside
	// public halves of other keys is malformed.
	Err error
}

// Names gives the objects whose label and ID name it: those of a pair are its private half's. A malformed object is
// named by its own.
func (b Broken) Names() []Object {
	if len(b.Objects) == 1 {
		return b.Objects
	}
	return slices.DeleteFunc(slices.Clone(b.Objects), func(o Object) bool { return o.Class == cryptoki.CKO_PUBLIC_KEY })
}

// mayBe says that the key of that type and fingerprint may be among the objects. A public half that makes no sense is
// no key without a private half.
func (b Broken) mayBe(keyType KeyType, fingerprint string) bool {
	secrets, doubtful := 0, false
	for _, o := range b.Objects {
		spec := SpecOf(o.CKK)
		switch {
		case o.Err == nil && (spec == nil || spec.Name != keyType):
			return false
		case o.Class != cryptoki.CKO_PUBLIC_KEY:
			secrets++
			doubtful = doubtful || o.Err != nil && (spec == nil || spec.Name == keyType || !o.Has(cryptoki.CKA_KEY_TYPE))
		case o.Err != nil:
			doubtful = true
		case spec.Fingerprint(o) == fingerprint:
			return true
		}
	}
	return secrets > 0 && doubtful
}

// broken gives what makes no key, besides objects that are malformed anyhow.
func (m matching) broken(malformed []Object) (all []Broken) {
	doubtful := map[kin][]Object{}
	for _, o := range m.maybe {
		doubtful[kinOf(o)] = append(doubtful[kinOf(o)], o)
	}
	for _, o := range m.maybe {
		halves := doubtful[kinOf(o)]
		if halves == nil {
			continue
		}
		e := &AmbiguousError{ID: o.ID, Halves: true}
		e.addHalves(halves)
		all = append(all, Broken{halves, e})
		delete(doubtful, kinOf(o))
	}
	malformed = slices.Concat(malformed, m.malformed)
	strangers, spoilt := map[kin][]Object{}, map[kin]Object{} // public halves that may have been meant
	for _, o := range m.lone {
		if k := kinOf(o); o.Class == cryptoki.CKO_PUBLIC_KEY && len(strangers[k]) < maxListed {
			strangers[k] = append(strangers[k], o)
		}
	}
	for _, o := range malformed {
		if o.Class == cryptoki.CKO_PUBLIC_KEY {
			spoilt[kinOf(o)] = o
		}
	}
	explained := map[kin]bool{}
	for _, o := range m.lone {
		k := kinOf(o)
		if o.Class != cryptoki.CKO_PRIVATE_KEY {
			continue
		}
		if public, ok := spoilt[k]; ok {
			explained[k] = true
			all = append(all, Broken{[]Object{o, public}, &MalformedError{
				Object: o.Name(), Err: fmt.Errorf("its public half makes no sense: %w", public.Err)}})
			continue
		}
		all = append(all, Broken{[]Object{o}, halfError(o.ID, append([]Object{o}, strangers[k]...))})
	}
	for _, o := range malformed {
		if o.Class != cryptoki.CKO_PUBLIC_KEY || !explained[kinOf(o)] {
			all = append(all, Broken{[]Object{o}, o.Err})
		}
	}
	return all
}
