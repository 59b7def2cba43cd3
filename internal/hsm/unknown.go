package hsm

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// UnknownPair is a pair on the token of a kind that is not known here, so that it is none of [Token.KeyPairs].
type UnknownPair struct {
	ID    []byte
	Label string // of the private half
	Kind  string // such as "type 0x1" or "EC on the curve 1.3.132.0.33"
}

// UnknownPairs gives the pairs of an ID, or all of the token for nil, of kinds that are not known here, ordered by
// label, then ID. Its errors are those of the token.
func (t *Token) UnknownPairs(ctx context.Context, id []byte) ([]UnknownPair, error) {
	objects, err := t.objectsOf(ctx, id)
	if err != nil {
		return nil, err
	}
	type place struct {
		id string
		kind
	}
	publics := map[place]string{}
	for _, o := range objects {
		if o.class == cryptoki.CKO_PUBLIC_KEY && o.err == nil && o.unknownKind() != "" {
			publics[place{string(o.id), kind{cryptoki.CKO_PRIVATE_KEY, o.ckk}}] = o.unknownKind()
		}
	}
	var pairs []UnknownPair
	for _, o := range objects {
		if what, ok := publics[place{string(o.id), o.kind()}]; ok && o.err == nil {
			pairs = append(pairs, UnknownPair{ID: o.id, Label: o.label, Kind: what})
		}
	}
	slices.SortFunc(pairs, func(a, b UnknownPair) int {
		return cmp.Or(strings.Compare(a.Label, b.Label), bytes.Compare(a.ID, b.ID))
	})
	return pairs, nil
}

// objectsOf gives the key objects of an ID, or all for nil.
func (t *Token) objectsOf(ctx context.Context, id []byte) ([]object, error) {
	if id == nil {
		return t.snapshot.all(ctx, t)
	}
	if objects, ok, err := t.snapshot.lookup(ctx, t, id); ok || err != nil {
		return objects, err
	}
	return t.find(ctx, id)
}

// unknownKind says what kind of key a half is, where that is not known here: the type, or the curve; else it is "".
func (o object) unknownKind() string {
	if typeOf(o.ckk) == nil {
		return keyTypeName(o.ckk)
	}
	if len(o.params) == 0 {
		return ""
	}
	_, _, err := publickey.ParseEC(o.params, nil)
	if unknown, ok := errors.AsType[*publickey.UnknownCurveError](err); ok {
		return fmt.Sprintf("%s on the curve %s", keyTypeName(o.ckk), unknown.Curve)
	}
	return ""
}
