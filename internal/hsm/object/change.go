package object

import (
	"bytes"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// Change says what a key should become. What is nil stays as it is.
type Change struct {
	ID          []byte
	Label       *string
	Usage       *Usage
	Extractable *bool // only to false, which is final
	Sensitive   *bool // only to true, which is final
	// Certificates: with the ID, those certificates move that have the old ID and the pair's public key.
	Certificates bool
}

// Wanted are attributes that a key should have: those of the private half and, in a pair, those of the public half.
type Wanted struct {
	Private, Public []cryptoki.Attribute

	follows bool // the public half gets its ID and label from the private one
}

// Written are the attributes that are written to the public half.
func (w Wanted) Written() []cryptoki.Attribute {
	if !w.follows {
		return w.Public
	}
	return slices.DeleteFunc(slices.Clone(w.Public), func(a cryptoki.Attribute) bool { return !isFlag(a.Type) })
}

// Wanted are the attributes that the change asks for. A label that is the ID changes with that.
func (c Change) Wanted(spec *Spec, d quirk.Differences) (w Wanted) {
	w.follows = d.Follows
	both := func(a cryptoki.Attribute) {
		w.Private, w.Public = append(w.Private, a), append(w.Public, a)
	}
	if c.ID != nil {
		both(cryptoki.Bytes(cryptoki.CKA_ID, c.ID))
	}
	if c.Label != nil && !d.LabelIsID {
		both(cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(*c.Label)))
	}
	if c.Usage != nil {
		w.Private = append(w.Private, c.Usage.privateAttributes(spec.usages)...)
		w.Public = append(w.Public, c.Usage.publicAttributes(spec.usages, d)...)
	}
	if c.Extractable != nil {
		w.Private = append(w.Private, cryptoki.Bool(cryptoki.CKA_EXTRACTABLE, *c.Extractable))
	}
	if c.Sensitive != nil {
		w.Private = append(w.Private, cryptoki.Bool(cryptoki.CKA_SENSITIVE, *c.Sensitive))
	}
	if spec.Alone() {
		w.Public = nil
	}
	return w
}

// HeldBy says that the key has all of the attributes.
func (w Wanted) HeldBy(key Key) bool {
	return len(key.Private.Lacking(w.Private)) == 0 && (key.Public == nil || len(key.Public.Lacking(w.Public)) == 0)
}

// Of gives the values that the key has now, to put them back later.
func (w Wanted) Of(key Key) (own Wanted) {
	own.Private, own.follows = key.Private.as(w.Private), w.follows
	if key.Public != nil {
		own.Public = key.Public.as(w.Public)
	}
	return own
}

// Lacking gives the attributes that the object does not have as wanted.
func (o Object) Lacking(wanted []cryptoki.Attribute) (missing []cryptoki.Attribute) {
	for _, a := range wanted {
		if isFlag(a.Type) && o.Class == cryptoki.CKO_PUBLIC_KEY && !o.Has(a.Type) {
			continue // a token that does not show the flag cannot show whether it is as wanted
		}
		if !bytes.Equal(o.encoded(a.Type), a.Value) {
			missing = append(missing, a)
		}
	}
	return missing
}

// encoded gives a changeable attribute as PKCS#11 writes it. A flag that the token does not show is false.
func (o Object) encoded(t cryptoki.AttributeType) []byte {
	switch t {
	case cryptoki.CKA_ID:
		return o.ID
	case cryptoki.CKA_LABEL:
		return []byte(o.Label)
	}
	return cryptoki.Bool(t, o.Is(t)).Value
}

func (o Object) as(changed []cryptoki.Attribute) []cryptoki.Attribute {
	own := make([]cryptoki.Attribute, len(changed))
	for i, a := range changed {
		own[i] = cryptoki.Attribute{Type: a.Type, Value: o.encoded(a.Type)}
	}
	return own
}

// Reversible separates what can be changed back from what is final on every token.
func Reversible(all []cryptoki.Attribute) (reversible, final []cryptoki.Attribute) {
	for _, a := range all {
		if a.Type == cryptoki.CKA_EXTRACTABLE || a.Type == cryptoki.CKA_SENSITIVE {
			final = append(final, a)
			continue
		}
		reversible = append(reversible, a)
	}
	return reversible, final
}
