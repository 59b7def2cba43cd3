package object

import (
	"fmt"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// publicNames names the public keys among objects, a pair as look-ups name it: by its private half. It also names the
// private halves whose ID no public half has.
func publicNames(objects []Object) []string {
	public := map[string]bool{}
	for _, o := range objects {
		if o.Class == cryptoki.CKO_PUBLIC_KEY {
			public[string(o.ID)] = true
		}
	}
	other := privateHalves(objects)
	names := []string{}
	for _, o := range objects {
		if o.Err != nil || o.Class != cryptoki.CKO_PUBLIC_KEY && (o.Class != cryptoki.CKO_PRIVATE_KEY ||
			public[string(o.ID)]) {
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

// privateHalves finds the private half of a public one among objects. Of several that it may be, it gives none.
func privateHalves(objects []Object) func(public Object) *Object {
	byID := map[string][]*Object{}
	for i := range objects {
		if o := &objects[i]; o.Err == nil && o.Class == cryptoki.CKO_PRIVATE_KEY {
			byID[string(o.ID)] = append(byID[string(o.ID)], o)
		}
	}
	return func(public Object) (private *Object) {
		spec := SpecOf(public.CKK)
		if public.Class != cryptoki.CKO_PUBLIC_KEY || spec == nil {
			return nil
		}
		for _, o := range byID[string(public.ID)] {
			switch {
			case o.CKK != public.CKK || spec.halves(*o, public) == Different:
			case private != nil:
				return nil
			default:
				private = o
			}
		}
		return private
	}
}
