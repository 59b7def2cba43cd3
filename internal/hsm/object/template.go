package object

import (
	"fmt"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// Template says what key to make.
type Template struct {
	Type           KeyType
	ID             []byte // CKA_ID; nil: the text of a random UUID, as Ory Hydra makes them
	Label          string // CKA_LABEL, of both halves
	ModulusBits    int    // RSA only
	PublicExponent int64  // RSA only
	Curve          string // EC only: one of publickey.Curves()
	ParameterSet   string // ML-DSA only: one of publickey.ParameterSets()
	Kind           string // secret keys only: AES or Generic
	Bits           int    // secret keys only
	Usage          Usage
	Extractable    bool
	// Lean leaves out, and accepts as it is, what some tokens take in no template: signing with recovery of the message.
	Lean bool
}

// Spec gives the template's row of the table. Errors: *UnfitError where there is no such type of key, or it cannot
// have the usage.
func (t Template) Spec() (*Spec, error) {
	for i := range specs {
		spec := &specs[i]
		if _, has := spec.curves[t.Curve]; spec.Name == t.Type && spec.kind == t.Kind && (has || spec.curves == nil) {
			return spec, spec.Permits(t.Usage)
		}
	}
	return nil, unfit("there is no key type %q %q", t.Type, t.Curve+t.Kind)
}

// Fits is an error where no token makes such a key, for its type, its usage or its size.
func (t Template) Fits() error {
	spec, err := t.Spec()
	if err == nil && spec.sizes != nil {
		err = spec.sizes(t)
	}
	return err
}

// MayUse is what such a key can be used for; 0 where there is no such type of key.
func (t Template) MayUse() Usage {
	t.Usage = 0
	spec, err := t.Spec()
	if err != nil {
		return 0
	}
	return spec.May
}

// Attributes gives the templates of the two halves; a secret key has the private one alone. They say all that matters,
// since tokens differ in their defaults, and some defaults are unsafe. They say nothing more.
func (t Template) Attributes(spec *Spec, d quirk.Differences) (public, private []cryptoki.Attribute) {
	name := []cryptoki.Attribute{
		cryptoki.Bool(cryptoki.CKA_TOKEN, true),
		cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(t.Label)),
		cryptoki.Bytes(cryptoki.CKA_ID, t.ID),
	}
	if !spec.Alone() {
		public = append(slices.Clone(name), cryptoki.Bool(cryptoki.CKA_PRIVATE, false))
		public = slices.Concat(public, spec.template(t, d), t.Usage.publicAttributes(t.written(spec), d))
	}
	private = append(slices.Clone(name),
		cryptoki.Bool(cryptoki.CKA_PRIVATE, true),
		cryptoki.Bool(cryptoki.CKA_SENSITIVE, true),
		cryptoki.Bool(cryptoki.CKA_EXTRACTABLE, t.Extractable))
	if spec.Alone() {
		private = append(private, spec.template(t, d)...)
	}
	return public, append(private, t.Usage.privateAttributes(t.written(spec))...)
}

// written are the usages that the template sets, true or false.
func (t Template) written(spec *Spec) Usage {
	if t.Lean {
		return spec.usages &^ SignRecover
	}
	return spec.usages
}

// Read makes a key of the objects that the token made. problems says in what it differs from the template; it is nil
// where the key is what was asked for.
func (t Template) Read(spec *Spec, made []Object) (key Key, problems []string) {
	private, public, ok := spec.Parts(made)
	if !ok {
		return Key{}, []string{fmt.Sprintf("the token did not make %s, but %s", spec.Composition(), List(Names(made)))}
	}
	for _, half := range []*Object{private, public}[:len(spec.Classes)] {
		class := ClassNames[half.Class]
		if half.CKK != spec.CKK {
			problems = append(problems, fmt.Sprintf("CKA_KEY_TYPE of the %s is that of %s keys, not of %s keys", class, typeName(half.CKK), spec.Title))
		}
		if string(half.ID) != string(t.ID) {
			problems = append(problems, fmt.Sprintf("CKA_ID of the %s is %s, not %s", class, FormatID(half.ID), FormatID(t.ID)))
		}
		if half.Label != t.Label {
			problems = append(problems, fmt.Sprintf("CKA_LABEL of the %s is %q, not %q", class, half.Label, t.Label))
		}
		if !half.Is(cryptoki.CKA_TOKEN) {
			problems = append(problems, fmt.Sprintf("the %s is a session object, not on the token", class))
		}
	}
	want := func(half *Object, needed bool, attributes ...cryptoki.Attribute) {
		for _, a := range attributes {
			yes := a.Value[0] != 0
			switch {
			case !half.Has(a.Type) && needed:
				problems = append(problems, fmt.Sprintf("the token does not tell %s of the %s", a.Type,
					ClassNames[half.Class]))
			case half.Has(a.Type) && half.Is(a.Type) != yes:
				problems = append(problems, fmt.Sprintf("%s of the %s is %t, not %t", a.Type, ClassNames[half.Class], !yes, yes))
			}
		}
	}
	want(private, true,
		cryptoki.Bool(cryptoki.CKA_PRIVATE, true),
		cryptoki.Bool(cryptoki.CKA_SENSITIVE, true),
		cryptoki.Bool(cryptoki.CKA_EXTRACTABLE, t.Extractable))
	want(private, true, t.Usage.privateAttributes(spec.usages&^SignRecover)...)
	want(private, false, t.Usage.privateAttributes(SignRecover&t.written(spec))...)
	if !spec.Alone() {
		want(public, false, cryptoki.Bool(cryptoki.CKA_PRIVATE, false))
		want(public, false, t.Usage.publicAttributes(t.written(spec), quirk.Differences{})...)
	}
	key, err := NewKey(spec, private, public)
	if err != nil {
		return Key{}, append(problems, fmt.Sprintf("the public key makes no sense: %v", err))
	}
	if spec.Belong(private, public) == Different {
		problems = append(problems, "the two halves show different keys")
	}
	return key, append(problems, spec.differs(t, key)...)
}
