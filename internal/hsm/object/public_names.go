package object

import (
	"fmt"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// family is what halves have in common that may belong together: match wants the same of them.
type family struct {
	id string
	kin
}

func familyOf(o Object) family { return family{string(o.ID), kinOf(o)} }

// publicNames names the public keys among objects, a pair as look-ups name it: by its private half. It also names the
// private halves that have no public half.
func publicNames(objects []Object) []string {
	public := map[family]bool{}
	for _, o := range objects {
		if o.Class == cryptoki.CKO_PUBLIC_KEY {
			public[familyOf(o)] = true
		}
	}
	other := privateHalves(objects)
	names := []string{}
	for _, o := range objects {
		if o.Err != nil || o.Class != cryptoki.CKO_PUBLIC_KEY && (o.Class != cryptoki.CKO_PRIVATE_KEY ||
			public[familyOf(o)]) {
			continue
		}
		name := o.Name()
		if private := other(o); private != nil {
			name.Label = private.Label
		}
		names = append(names, name.String())
	}
	slices.Sort(names)
	return names
}

// namedHalves names the public halves that are named, and whose private half is not.
func namedHalves(objects []Object, named func(Object) bool) (names []string) {
	other := privateHalves(objects)
	for _, o := range objects {
		if o.Err != nil || o.Class != cryptoki.CKO_PUBLIC_KEY || !named(o) {
			continue
		}
		if private := other(o); private != nil && !named(*private) {
			names = append(names, fmt.Sprintf("%s, whose private half is labelled %q", o.Name(), private.Label))
		}
	}
	slices.Sort(names)
	return names
}

// namedSecrets names the secret keys that are named.
func namedSecrets(objects []Object, named func(Object) bool) (names []string) {
	for _, o := range objects {
		if o.Err == nil && o.IsSecretKey() && named(o) {
			names = append(names, o.Name().String())
		}
	}
	slices.Sort(names)
	return names
}

// privateHalves finds the private half of a public one among objects. Of several that it may be, it gives none.
func privateHalves(objects []Object) func(public Object) *Object {
	byFamily := map[family][]*Object{}
	for i := range objects {
		if o := &objects[i]; o.Err == nil && o.Class == cryptoki.CKO_PRIVATE_KEY {
			byFamily[familyOf(*o)] = append(byFamily[familyOf(*o)], o)
		}
	}
	return func(public Object) (private *Object) {
		spec := SpecOf(public.CKK)
		if public.Class != cryptoki.CKO_PUBLIC_KEY || spec == nil {
			return nil
		}
		for _, o := range byFamily[familyOf(public)] {
			switch {
			case spec.halves(*o, public) == Different:
			case private != nil:
				return nil
			default:
				private = o
			}
		}
		return private
	}
}
