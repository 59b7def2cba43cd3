package hsm

import (
	"bytes"
	"context"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

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
		pair, err := newWholeKey(h.row, h.private, h.public)
		if err != nil {
			continue
		}
		if result, _, _ := t.operate(ctx, h.row, pair); result == same {
			return &h.twin
		}
	}
	return nil
}
