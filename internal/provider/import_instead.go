package provider

import (
	"context"
	"errors"
	"fmt"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

// misses says that an import found no key of its type.
func misses(err error) bool {
	selection, ok := errors.AsType[*diagnose.SelectionError](err)
	return errors.Is(err, object.ErrNotFound) || ok && len(selection.Found) == 0
}

// instead says what the token has under the name by which an import found no key of its type. It is the error that
// says so, or the given one where there is nothing.
func (r *keyResource) instead(ctx context.Context, token *hsm.Token, asked importID, miss error) error {
	if asked.uri != nil && !asked.uri.MatchesToken(token.Info()) {
		return miss
	}
	look := token.Inventory
	named := func(o object.Object) bool { return asked.uri.Matches(token.Info(), o.IsSecretKey(), o.Label, o.ID) }
	if asked.id != nil { // whatever has the ID is worth telling of, whatever its label
		look = func(ctx context.Context) (*object.Inventory, error) { return token.Part(ctx, asked.id) }
		named = func(object.Object) bool { return true }
	}
	inventory, err := look(ctx)
	if err != nil {
		return err
	}
	whole, _ := inventory.Keys()
	e := &diagnose.TypeError{Noun: r.kind.noun, Resource: r.kind.typeName()}
	if asked.id != nil {
		e.ID = object.FormatID(asked.id)
	}
	for _, key := range whole {
		if asked.fingerprint != "" && asked.fingerprint != key.Fingerprint() {
			continue
		}
		if key.Type != r.kind.keyType && len(key.ID) == 0 && named(*key.Private) {
			kind := kindOf(key.Type).forMessages()
			return &diagnose.NoIDError{Kind: kind, Noun: kind.Named(), Label: key.Label}
		}
		if key.Type != r.kind.keyType && named(*key.Private) {
			e.Found = append(e.Found, otherKey(key, whole))
		}
	}
	if len(e.Found) == 0 {
		for _, pair := range inventory.Unsupported() {
			if asked.id != nil || asked.uri.Matches(token.Info(), false, pair.Label, pair.ID) {
				return &diagnose.KindError{Noun: "key pair", ID: object.FormatID(pair.ID), Label: pair.Label,
					Kind: pair.Kind}
			}
		}
	}
	var odd error // of a secret key that no resource manages; anyone may have put it beside what was meant
	noWhole := len(e.Found) == 0
	for _, o := range inventory.Loose() {
		if !named(o) {
			continue
		}
		spec := object.SpecOf(o.CKK)
		if spec == nil && o.IsSecretKey() {
			name := o.Name()
			odd = &diagnose.KindError{Noun: "secret key", ID: object.FormatID(name.ID), Label: name.Label,
				Kind: name.Type}
		}
		if noWhole && spec != nil && spec.Name == r.kind.keyType && len(o.ID) > 0 {
			_, err := token.Key(ctx, object.Ref{Type: spec.Name, ID: o.ID})
			if errors.Is(err, object.ErrHalfPair) { // it tells more: where the other half is, or a certificate
				return err
			}
		}
		e.Found = append(e.Found, diagnose.Other{Text: o.Name().String() + ", which is not a whole key"})
	}
	switch {
	case len(e.Found) == 0:
		return miss
	case len(e.Found) == 1 && odd != nil:
		return odd
	}
	return e
}

// otherKey names a key, and the resource that imports it.
func otherKey(key object.Key, among []object.Key) diagnose.Other {
	kind := kindOf(key.Type)
	what := kind.forMessages().Named()
	if key.Type == object.Secret {
		what += " (" + key.Kind + ")"
	}
	text := what + " " + nameOf(key.Label, key.ID)
	if key.Fingerprint() != "" {
		text += fmt.Sprintf(", %s %s", kind.mark, key.Fingerprint())
	}
	return diagnose.Other{
		Text: text, Resource: kind.typeName(), ImportID: importIDOf(key, among), Unprotected: key.Unprotected(),
	}
}
