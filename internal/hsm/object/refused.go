package object

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// RefusedError says that this make of token does not do something. That is known without asking the token.
type RefusedError struct {
	Attribute string // of the resource, that is at fault: "label", "key_id", ...; "" for none
	Problem   string // what the token does not do, in one sentence or more
	Way       string // what to do instead, after a colon, in one sentence or more
}

func (e *RefusedError) Error() string { return e.Problem }

// Refused is a *RefusedError where tokens of this make do not make such a key; nil where nothing is known against it.
func (t Template) Refused(spec *Spec, d quirk.Differences) error {
	for _, no := range d.NoKeys {
		if t.isOf(no, spec) {
			return &RefusedError{no.Attribute, "the token does not make such a key",
				sentences("ask for another key, or use another token", no.Says)}
		}
	}
	if usage, fixed := t.FixedUsage(d); fixed && usage != t.Usage {
		return &RefusedError{"usage", fmt.Sprintf("on this token, %s can be used for %s, whatever is asked for",
			spec.Noun(), usage), "write usage = " + quoted(usage.Words()) + "."}
	}
	if err := nameRefused(d, t.ID, t.Label); err != nil {
		return err
	}
	_, err := t.algorithm(spec, d)
	return err
}

// isOf says that the key is of a kind: all that is set of it fits.
func (t Template) isOf(no quirk.NoKey, spec *Spec) bool {
	words := t.Usage.Words()
	one := len(no.With) == 0 || slices.ContainsFunc(no.With, func(w string) bool { return slices.Contains(words, w) })
	return (no.Type == "" || no.Type == spec.word()) && (no.Curve == "" || no.Curve == t.Curve) && one &&
		(len(no.Exactly) == 0 || slices.Equal(slices.Sorted(slices.Values(no.Exactly)), words)) &&
		(!no.Extractable || t.Extractable) && (!no.Exponent || t.Type == RSA && t.PublicExponent != usualExponent)
}

const usualExponent = 65537

// FixedUsage is what such keys can be used for on a make that does not obey their template. fixed is false where the
// template counts.
func (t Template) FixedUsage(d quirk.Differences) (usage Usage, fixed bool) {
	t.Usage = 0
	spec, err := t.Spec()
	if err != nil {
		return 0, false
	}
	return spec.fixedUsage(d)
}

func (s *Spec) fixedUsage(d quirk.Differences) (usage Usage, fixed bool) {
	words, fixed := d.Usages[s.word()]
	usage, err := ParseUsage(words)
	return usage & s.May, fixed && err == nil
}

// nameRefused is a *RefusedError where no key of the token has this ID, nil for one that is not chosen, or this label.
func nameRefused(d quirk.Differences, id []byte, label string) error {
	if id != nil && d.IDs.Assigned {
		return &RefusedError{"key_id", "the token chooses the IDs of its keys itself", cmp.Or(d.IDs.Says, "leave key_id out.")}
	}
	if d.Labels.Assigned {
		return &RefusedError{"label", sentences("the token chooses the labels of its keys itself", d.Labels.Says),
			"use another token, or import keys that are there with the labels that they have."}
	}
	if !d.Labels.Takes([]byte(label)) {
		return &RefusedError{"label", sentences(fmt.Sprintf("the token takes no label %q", label), d.Labels.Says),
			"choose a label that the token takes."}
	}
	if d.LabelIsID && id == nil {
		id = []byte(label)
		if !d.IDs.Takes(id) {
			return &RefusedError{"label", sentences(fmt.Sprintf("the label %q is the key's ID too on this token, "+
				"which takes no such ID", label), d.IDs.Says), "choose a label that the token takes as an ID."}
		}
	}
	switch {
	case id == nil:
	case !d.IDs.Takes(id):
		return &RefusedError{"key_id", sentences(fmt.Sprintf("the token takes no ID %s", FormatID(id)), d.IDs.Says),
			"choose a key_id that the token takes, or leave it out: the provider then makes one."}
	case d.LabelIsID && label != string(id):
		return &RefusedError{"label", fmt.Sprintf("on this token a key's label is its ID. The label %q is not the "+
			"text of the key_id %s", label, FormatID(id)), fmt.Sprintf("write label = %q, or leave key_id out: it then "+
			"follows from the label.", id)}
	}
	return nil
}

// Refused is a *RefusedError where tokens of this make do not change the key like that.
func (c Change) Refused(key Key, d quirk.Differences) error {
	c = c.beyond(key, func(quirk.Ask) bool { return true })
	spec, label := key.Spec(), key.Label
	follows := d.LabelIsID && c.ID != nil // the label is the ID's text, and changes with it
	for _, row := range []struct {
		asked            bool
		ask              quirk.Ask
		attribute, other string
		has              string // as a configuration writes it; "" where none does
	}{
		{c.ID != nil, quirk.ChangeID, "key_id", "the ID of a key", fmt.Sprintf("%q", FormatID(key.ID))},
		{c.Label != nil && !follows, quirk.ChangeLabel, "label", "the label of a key", fmt.Sprintf("%q", key.Label)},
		{c.Usage != nil, quirk.ChangeUsage, "usage", "what a key can be used for", quoted((key.Usage & key.MayUse()).Words())},
		{c.Extractable != nil, quirk.ChangeSecrecy, "extractable", "whether a key is extractable", ""},
		{c.Sensitive != nil, quirk.ChangeSecrecy, "sensitive", "whether a key is sensitive", ""},
	} {
		if way, refused := d.Refuses[row.ask]; row.asked && refused {
			back := "take the change back in the configuration"
			if row.has != "" { // an import may have nothing to take back
				back = "write " + row.attribute + " = " + row.has + ", as the key has it"
			}
			return &RefusedError{row.attribute, "the token does not change " + row.other, sentences(back, way)}
		}
	}
	if usage, fixed := spec.fixedUsage(d); c.Usage != nil && fixed {
		return &RefusedError{"usage", fmt.Sprintf("on this token, %s can be used for %s, whatever is asked for",
			spec.Noun(), usage), "write usage = " + quoted(usage.Words()) + "."}
	}
	if c.ID == nil && c.Label == nil {
		return nil
	}
	if c.Label != nil {
		label = *c.Label
	}
	if c.Label == nil && !d.LabelIsID { // the label of before need not be one that the token takes
		d.Labels = quirk.Names{}
	}
	id := c.ID
	if d.LabelIsID && id == nil {
		id = key.ID
	}
	return nameRefused(d, id, label)
}

// Without takes out of a change what the key has already, as far as tokens of this make do not change it: it then needs
// no call.
func (c Change) Without(key Key, d quirk.Differences) Change {
	_, fixed := key.Spec().fixedUsage(d)
	return c.beyond(key, func(ask quirk.Ask) bool {
		_, refused := d.Refuses[ask]
		return refused || fixed && ask == quirk.ChangeUsage || d.LabelIsID && ask == quirk.ChangeLabel
	})
}

// beyond is the change without what the key has already, of what is asked about.
func (c Change) beyond(key Key, about func(quirk.Ask) bool) Change {
	same := func(is *bool, now *bool) bool {
		return is != nil && now != nil && *is == *now && about(quirk.ChangeSecrecy)
	}
	if about(quirk.ChangeID) && bytes.Equal(c.ID, key.ID) {
		c.ID = nil
	}
	if about(quirk.ChangeLabel) && c.Label != nil && *c.Label == key.Label {
		c.Label = nil
	}
	if about(quirk.ChangeUsage) && c.Usage != nil && *c.Usage == key.Usage&key.MayUse() {
		c.Usage = nil
	}
	if same(c.Extractable, key.Extractable) {
		c.Extractable = nil
	}
	if same(c.Sensitive, key.Sensitive) {
		c.Sensitive = nil
	}
	return c
}

// Changeable says whether the label and the usage of a public half can be written to be those of the private one, as
// far as that is known.
func (k Key) Changeable(d quirk.Differences) (label, usage bool) {
	_, noLabel := d.Refuses[quirk.ChangeLabel]
	_, noUsage := d.Refuses[quirk.ChangeUsage]
	_, fixed := k.Spec().fixedUsage(d)
	return !noLabel && !d.LabelIsID && !d.Follows, !noUsage && !fixed
}

// sentences makes a text of a sentence without its full stop and of full sentences, which may be none.
func sentences(first, more string) string {
	if more == "" {
		return first
	}
	return first + ". " + more
}

// quoted writes words as a configuration does.
func quoted(words []string) string { return `["` + strings.Join(words, `", "`) + `"]` }

// algorithm is what the make's Algorithms have for the key, by the template's Algorithm or, where that is not set, the
// first one that fits. It is nil where the make knows no such thing. Errors: *RefusedError.
func (t Template) algorithm(spec *Spec, d quirk.Differences) (*quirk.Algorithm, error) {
	fits := t.algorithms(spec, d)
	switch {
	case d.Algorithms == nil && t.Algorithm == "":
		return nil, nil
	case d.Algorithms == nil:
		return nil, &RefusedError{"algorithm", "the token knows no algorithms of keys: a key's type, size and usage " +
			"say all", "leave algorithm out."}
	case len(fits) == 0 && t.Algorithm == "":
		return nil, &RefusedError{"algorithm", fmt.Sprintf("the token has no algorithm for %s of this size and the "+
			"usage %s", spec.Noun(), t.Usage), "choose a size and a usage of one of these: " + t.offered(spec, d) + "."}
	case t.Algorithm == "":
		return &fits[0], nil
	}
	for i := range fits {
		if fits[i].Name == t.Algorithm {
			return &fits[i], nil
		}
	}
	return nil, &RefusedError{"algorithm", fmt.Sprintf("the token has no algorithm %q for %s of this size and the "+
		"usage %s", t.Algorithm, spec.Noun(), t.Usage), "choose one of these, with its size and usage: " +
		t.offered(spec, d) + "."}
}

// algorithms are those that fit the key, in the make's order.
func (t Template) algorithms(spec *Spec, d quirk.Differences) (fits []quirk.Algorithm) {
	if d.Algorithms == nil {
		return nil
	}
	for _, a := range d.Algorithms.Known {
		if a.Type == spec.word() && (a.Curve == "" || a.Curve == t.Curve) && (a.Bits == 0 || uint(a.Bits) == spec.size(t)) &&
			t.Usage == spec.usageOf(a) {
			fits = append(fits, a)
		}
	}
	return fits
}

// KnownAlgorithm is a *RefusedError where the make has no such algorithm for the key.
func (t Template) KnownAlgorithm(d quirk.Differences) error {
	spec, err := t.Spec()
	if err == nil {
		_, err = t.algorithm(spec, d)
	}
	return err
}

// Algorithms are the names of the make's algorithms that fit the key: where the template names none, the first is
// taken. There are none where the make knows no such thing.
func (t Template) Algorithms(d quirk.Differences) (names []string) {
	spec, err := t.Spec()
	if err != nil {
		return nil
	}
	for _, a := range t.algorithms(spec, d) {
		names = append(names, a.Name)
	}
	return names
}

// offered lists the make's algorithms for keys of the type.
func (t Template) offered(spec *Spec, d quirk.Differences) string {
	var all []string
	for _, a := range d.Algorithms.Known {
		if a.Type != spec.word() {
			continue
		}
		size := cmp.Or(a.Curve, fmt.Sprintf("%d bits", a.Bits))
		if a.Curve == "" && a.Bits == 0 {
			size = "any size"
		}
		all = append(all, fmt.Sprintf("%s (%s, usage %s)", a.Name, size, quoted(spec.usageOf(a).Words())))
	}
	if len(all) == 0 {
		return "the token has none for " + spec.Noun()
	}
	return strings.Join(all, ", ")
}

// usageOf is what a key with the algorithm can be used for: a secret key in both directions.
func (s *Spec) usageOf(a quirk.Algorithm) Usage {
	usage, _ := ParseUsage([]string{a.Usage})
	if !s.Alone() {
		return usage
	}
	for _, both := range []Usage{Sign | Verify, Encrypt | Decrypt, Wrap | Unwrap} {
		if usage&both != 0 {
			return both & s.May
		}
	}
	return usage
}
