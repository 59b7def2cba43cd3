package hsm

import (
	"context"
	"errors"
	"fmt"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// Template says what key to make.
type Template struct {
	Type           KeyType
	ID             []byte // CKA_ID; nil: the text of a random UUID, as Ory Hydra makes them
	Label          string // CKA_LABEL, of both halves
	ModulusBits    int    // RSA only
	PublicExponent int64  // RSA only
	Curve          string // EC only: one of publickey.Curves()
	Kind           string // secret keys only: AES or Generic
	Bits           int    // secret keys only
	Usage          Usage
	Extractable    bool
}

// row is the template's row of keyTypes.
func (t Template) row() (*keyType, error) {
	for i := range keyTypes {
		kt := &keyTypes[i]
		if _, has := kt.curves[t.Curve]; kt.name == t.Type && kt.kind == t.Kind && (has || kt.curves == nil) {
			return kt, kt.permits(t.Usage)
		}
	}
	return nil, fmt.Errorf("%q %q is no type of key", t.Type, t.Curve+t.Kind)
}

// Fits is an error where no token makes such a key, be it for its size.
func (t Template) Fits() error {
	kt, err := t.row()
	if err == nil && kt.sizes != nil {
		err = kt.sizes(t)
	}
	return err
}

// MayUse is what such a key can be used for; 0 where there is none.
func (t Template) MayUse() Usage {
	t.Usage = 0
	kt, err := t.row()
	if err != nil {
		return 0
	}
	return kt.may
}

// attributes are the two halves' templates, for a key that is one object the private one: all that matters and nothing more, since tokens differ in what
// they take for granted, and some of that is unsafe.
func (t Template) attributes(kt *keyType) (public, private []cryptoki.Attribute) {
	name := []cryptoki.Attribute{
		cryptoki.Bool(cryptoki.CKA_TOKEN, true),
		cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(t.Label)),
		cryptoki.Bytes(cryptoki.CKA_ID, t.ID),
	}
	if !kt.alone() {
		public = append(append([]cryptoki.Attribute{}, name...), cryptoki.Bool(cryptoki.CKA_PRIVATE, false))
		public = append(append(public, kt.template(t)...), t.Usage.publicAttributes(kt.usages)...)
	}
	private = append(append([]cryptoki.Attribute{}, name...),
		cryptoki.Bool(cryptoki.CKA_PRIVATE, true),
		cryptoki.Bool(cryptoki.CKA_SENSITIVE, true),
		cryptoki.Bool(cryptoki.CKA_EXTRACTABLE, t.Extractable))
	if kt.alone() {
		private = append(private, kt.template(t)...)
	}
	return public, append(private, t.Usage.privateAttributes(kt.usages)...)
}

// verify says in what the key's parts, as they were read back, differ from the template.
func (t Template) verify(kt *keyType, private, public object) (problems []string) {
	halves := []object{private, public}[:len(kt.classes)]
	for _, half := range halves {
		class := classes[half.class]
		if half.ckk != kt.ckk {
			problems = append(problems, fmt.Sprintf("CKA_KEY_TYPE of the %s is that of %s keys, not of %s keys", class, keyTypeName(half.ckk), kt.title))
		}
		if string(half.id) != string(t.ID) {
			problems = append(problems, fmt.Sprintf("CKA_ID of the %s is %s, not %s", class, FormatID(half.id), FormatID(t.ID)))
		}
		if half.label != t.Label {
			problems = append(problems, fmt.Sprintf("CKA_LABEL of the %s is %q, not %q", class, half.label, t.Label))
		}
		if !half.is(cryptoki.CKA_TOKEN) {
			problems = append(problems, fmt.Sprintf("the %s is a session object, not on the token", class))
		}
	}
	want := func(half object, needed bool, attributes ...cryptoki.Attribute) {
		for _, a := range attributes {
			yes := a.Value[0] != 0
			switch {
			case !half.knows(a.Type) && needed:
				problems = append(problems, fmt.Sprintf("%s of the %s is not told", a.Type, classes[half.class]))
			case half.knows(a.Type) && half.is(a.Type) != yes:
				problems = append(problems, fmt.Sprintf("%s of the %s is %t, not %t", a.Type, classes[half.class], !yes, yes))
			}
		}
	}
	want(private, true,
		cryptoki.Bool(cryptoki.CKA_PRIVATE, true),
		cryptoki.Bool(cryptoki.CKA_SENSITIVE, true),
		cryptoki.Bool(cryptoki.CKA_EXTRACTABLE, t.Extractable))
	want(private, true, t.Usage.privateAttributes(kt.usages)...)
	if len(halves) > 1 {
		want(public, false, t.Usage.publicAttributes(kt.usages)...)
	}
	key, err := newWholeKey(kt, private, public)
	if err != nil {
		return append(problems, fmt.Sprintf("the public key makes no sense: %v", err))
	}
	if kt.belong(private, public) == different {
		problems = append(problems, "the two halves show different keys")
	}
	return append(problems, kt.differs(t, key)...)
}

// mechanismAnswer is what the token says of a mechanism.
type mechanismAnswer struct {
	info cryptoki.MechanismInfo
	err  error
}

// Check holds a template against what the token says of its mechanisms, as far as it says anything: no
// login is needed, and a token that does not answer is no error. It gives a *MechanismError.
func (t *Token) Check(ctx context.Context, tmpl Template) error {
	kt, err := tmpl.row()
	if err == nil {
		err = tmpl.Fits()
	}
	if err != nil {
		return err
	}
	known, ok := t.mechanisms.Load(kt.generate)
	if !ok {
		info, err := t.module.GetMechanismInfo(ctx, t.info.Slot, kt.generate)
		if _, hangs := errors.AsType[*cryptoki.HangError](err); hangs {
			return err
		}
		if err != nil && !errors.Is(err, cryptoki.CKR_MECHANISM_INVALID) {
			return nil
		}
		known = mechanismAnswer{info, err}
		t.mechanisms.Store(kt.generate, known)
	}
	answer := known.(mechanismAnswer)
	if answer.err != nil {
		return &MechanismError{Wanted: kt.noun(), Offers: "no generation of this type of key"}
	}
	return kt.offered(tmpl, answer.info)
}
