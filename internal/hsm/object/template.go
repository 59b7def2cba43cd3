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
	// Algorithm is the name of one of the make's own, on tokens that want to know what a key is for; "": the first one
	// that fits.
	Algorithm string
	// AnyUsage: where the token does not obey usages, the key is taken with the one that it has, if Usage is in it.
	AnyUsage bool
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
// since tokens differ in their defaults, and some defaults are unsafe. They say nothing more, and nothing that the make
// does not take.
func (t Template) Attributes(spec *Spec, d quirk.Differences) (public, private []cryptoki.Attribute) {
	name := []cryptoki.Attribute{
		cryptoki.Bool(cryptoki.CKA_TOKEN, true),
		cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(t.Label)),
		cryptoki.Bytes(cryptoki.CKA_ID, t.ID),
	}
	if !spec.Alone() && d.Only == nil {
		public = slices.Clone(name)
		if d.PublicPrivate != quirk.Unwritten {
			public = append(public, cryptoki.Bool(cryptoki.CKA_PRIVATE, d.PublicPrivate == quirk.WrittenTrue))
		}
		public = slices.Concat(public, spec.template(t, d), t.Usage.publicAttributes(t.written(spec), d))
	}
	private = append(slices.Clone(name),
		cryptoki.Bool(cryptoki.CKA_PRIVATE, true),
		cryptoki.Bool(cryptoki.CKA_SENSITIVE, true),
		cryptoki.Bool(cryptoki.CKA_EXTRACTABLE, t.Extractable))
	if spec.Alone() {
		private = append(private, spec.template(t, d)...)
	}
	private = append(private, t.Usage.privateAttributes(t.written(spec))...)
	if a, err := t.algorithm(spec, d); err == nil && a != nil {
		private = append(private, cryptoki.ULong(d.Algorithms.Attribute, a.Number))
	}
	left := func(a cryptoki.Attribute) bool { return !d.Writes(a.Type) }
	return slices.DeleteFunc(public, left), slices.DeleteFunc(private, left)
}

// written are the usages that the template sets, true or false.
func (t Template) written(spec *Spec) Usage {
	if t.Lean {
		return spec.usages &^ SignRecover
	}
	return spec.usages
}

// Read makes a key of the objects that the token made. problems says in what it differs from what the template writes;
// it is nil where the key is what was asked for. What is not written, or not obeyed, is as the token has it. But no key
// passes whose value the token says that it reveals, or lets out without being asked to.
func (t Template) Read(spec *Spec, d quirk.Differences, made []Object) (key Key, problems []string) {
	private, public, ok := spec.Parts(made)
	if !ok {
		return Key{}, []string{fmt.Sprintf("the token did not make %s, but %s", spec.Composition(), List(Names(made)))}
	}
	note := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	writtenPublic, writtenPrivate := t.Attributes(spec, d)
	for i, half := range []*Object{private, public}[:len(spec.Classes)] {
		class, written := ClassNames[half.Class], [][]cryptoki.Attribute{writtenPrivate, writtenPublic}[i]
		if !spec.Makes(half.CKK) {
			note("CKA_KEY_TYPE of the %s is that of %s keys, not of %s keys", class, typeName(half.CKK), spec.Title)
		}
		id := t.ID
		if id == nil { // the token has chosen it
			id = private.ID
		}
		if string(half.ID) != string(id) || len(id) == 0 {
			note("CKA_ID of the %s is %s, not %s", class, FormatID(half.ID), FormatID(id))
		}
		if has(written, cryptoki.CKA_LABEL) && half.Label != t.Label {
			note("CKA_LABEL of the %s is %q, not %q", class, half.Label, t.Label)
		}
		if !half.Is(cryptoki.CKA_TOKEN) && (has(written, cryptoki.CKA_TOKEN) || !half.OnToken()) {
			note("the %s is a session object, not on the token", class)
		}
		for _, a := range t.demanded(spec, d, half, written) {
			yes := a.Value[0] != 0
			// Public halves, and signing with recovery, need not be shown.
			needed := half != public && a.Type != cryptoki.CKA_SIGN_RECOVER && has(written, a.Type)
			switch {
			case !half.Has(a.Type) && needed:
				note("the token does not tell %s of the %s", a.Type, class)
			case half.Has(a.Type) && half.Is(a.Type) != yes:
				note("%s of the %s is %t, not %t", a.Type, class, !yes, yes)
			}
		}
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

// demanded are the flags that a half has to have: those that its template writes and the make obeys, and besides those
// that keep the value in the token.
func (t Template) demanded(spec *Spec, d quirk.Differences, half *Object, written []cryptoki.Attribute) (
	flags []cryptoki.Attribute,
) {
	_, unheeded := spec.fixedUsage(d)
	for _, a := range written {
		meaningless := d.NoLogin && a.Type == cryptoki.CKA_PRIVATE || unheeded && isUsage(a.Type)
		if isFlag(a.Type) && a.Type != cryptoki.CKA_TOKEN && !meaningless {
			flags = append(flags, a)
		}
	}
	if half.Class == cryptoki.CKO_PUBLIC_KEY {
		return flags
	}
	for _, a := range []cryptoki.Attribute{
		cryptoki.Bool(cryptoki.CKA_SENSITIVE, true), cryptoki.Bool(cryptoki.CKA_EXTRACTABLE, t.Extractable),
	} {
		if !has(written, a.Type) {
			flags = append(flags, a)
		}
	}
	return flags
}

func has(attributes []cryptoki.Attribute, t cryptoki.AttributeType) bool {
	return slices.ContainsFunc(attributes, func(a cryptoki.Attribute) bool { return a.Type == t })
}
