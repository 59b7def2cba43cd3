package hsm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// What this make of token does, as far as it is known without asking the token: plans ask here.

// FixedUsage is what such keys can be used for on this token, whatever their template says. fixed is false where the
// template counts.
func (t *Token) FixedUsage(tmpl object.Template) (usage object.Usage, fixed bool) {
	return tmpl.FixedUsage(t.differences)
}

// AllowsLabel is a *object.RefusedError where the token takes each label once, and these objects have it.
func (t *Token) AllowsLabel(label string, have []object.Object) error {
	if len(have) == 0 || !t.differences.Labels.Unique {
		return nil
	}
	return &object.RefusedError{
		Attribute: "label",
		Problem: fmt.Sprintf("the token has the label %q already, and takes no label twice: %s", label,
			object.List(object.Names(have))),
		Way: "choose another label. Or import the key that is there, if it is the one that you want.",
	}
}

// IDOf is the ID of a key of that label, where the label decides that; else it is nil.
func (t *Token) IDOf(label string) []byte {
	if !t.differences.LabelIsID || t.differences.IDs.Assigned {
		return nil
	}
	return []byte(label)
}

// Algorithms are the names of the make's own algorithms that fit a new key: where its template names none, the first is
// taken. There are none where the make knows no such thing.
func (t *Token) Algorithms(tmpl object.Template) []string {
	return t.fitted(tmpl).Algorithms(t.differences)
}

// AllowsChange is a *object.RefusedError where the make does not change the key like that.
func (t *Token) AllowsChange(key object.Key, c object.Change) error {
	return c.Refused(key, t.differences)
}

// AllowsDestruction is a *object.RefusedError where the make destroys no key.
func (t *Token) AllowsDestruction() error {
	way, refused := t.differences.Refuses[quirk.Destroy]
	if !refused {
		return nil
	}
	return &object.RefusedError{Attribute: "deletion_policy", Problem: "the token does not destroy keys", Way: "set " +
		"deletion_policy = \"abandon\" and run terraform apply, then destroy or replace the resource, which leaves the " +
		"key on the token. With \"prevent\" the resource stays too. " + way}
}

// AllowsRing is a *object.RefusedError where the make lets no such ring turn.
func (t *Token) AllowsRing(r Ring) error {
	noRing := func(attribute, problem, way string) error {
		return &object.RefusedError{Attribute: attribute, Problem: problem, Way: strings.TrimSpace("manage single key " +
			"pairs, and rotate by new ones: the guide \"Replace and rotate\" shows the steps. " + way)}
	}
	way, refused := t.differences.Refuses[quirk.ChangeLabel]
	switch {
	case refused || t.differences.LabelIsID:
		return noRing("label", "the token does not change the label of a key, which is how a key ring turns", way)
	case t.differences.Labels.Unique:
		return noRing("label", "the token takes no label twice, and the pairs of a key ring share their labels", "")
	case t.differences.IDs.Assigned:
		return noRing("key_id_prefix", "the token chooses the IDs of its keys itself, and a key ring's pairs have IDs of "+
			"its own", "")
	}
	if r.Destroy {
		if refused, ok := errors.AsType[*object.RefusedError](t.AllowsDestruction()); ok {
			return &object.RefusedError{Attribute: "retired", Problem: refused.Problem, Way: `write retired = "keep".`}
		}
	}
	for _, row := range []struct{ argument, label string }{
		{"label", r.Current}, {"standby_label", r.Standby}, {"retired_label", r.Retired},
	} {
		tmpl := t.fitted(r.Template)
		tmpl.ID, tmpl.Label = r.ID(max(r.Generation, 1)), row.label
		spec, err := tmpl.Spec()
		if err == nil {
			err = tmpl.Refused(spec, t.differences)
		}
		if refused, ok := errors.AsType[*object.RefusedError](err); ok {
			at := refused.Attribute
			switch at {
			case "key_id":
				at = "key_id_prefix"
			case "label":
				at = row.argument
			case "curve", "extractable":
			default: // what a ring has no argument for
				at = ""
			}
			return &object.RefusedError{Attribute: at, Problem: refused.Problem, Way: refused.Way}
		}
	}
	return nil
}

// Changeable says whether an apply can write the label and the usage of a key's public half, as far as that is known.
func (t *Token) Changeable(key object.Key) (label, usage bool) { return key.Changeable(t.differences) }

// NamesHalves says that the token gives each half of a pair a label of its own, so that these differ with nothing wrong.
func (t *Token) NamesHalves() bool { return t.differences.Labels.Assigned }

// fitted gives a template that takes any usage the one that the token has for such keys.
func (t *Token) fitted(tmpl object.Template) object.Template {
	if usage, fixed := tmpl.FixedUsage(t.differences); fixed && tmpl.AnyUsage && usage.Has(tmpl.Usage) {
		tmpl.Usage = usage
	}
	return tmpl
}

// LastingError is a refused creation on a make that may refuse for good what a destroyed key had.
type LastingError struct {
	Attribute string // "key_id" or "label"
	Says      string // the make's rule, "" for none
	Err       error
}

func (e *LastingError) Error() string {
	text := fmt.Sprintf("%v. On this token, the ID or the label of a key that was destroyed may be refused for good",
		e.Err)
	if e.Says != "" {
		text += ". " + e.Says
	}
	return text
}

// Unwrap gives the token's refusal.
func (e *LastingError) Unwrap() error { return e.Err }

// lasting makes a *LastingError of a failure that a name of before may be the reason of.
func (g *generation) lasting(err error, holds Holding) error {
	if _, answered := errors.AsType[*cryptoki.Error](err); !answered || holds != HoldsNothing {
		return err
	}
	switch d := g.differences; {
	case d.IDs.Lasting && g.chosen:
		return &LastingError{"key_id", d.IDs.Says, err}
	case d.Labels.Lasting:
		return &LastingError{"label", d.Labels.Says, err}
	}
	return err
}

// assigned says that the token chooses the new key's ID.
func (g *generation) assigned() bool { return g.differences.IDs.Assigned }

// errNamesakes says that nothing tells the new key from others.
var errNamesakes = errors.New("other keys had the label before, so that nothing tells which one is new")

// seek finds the objects of the new key: by its ID, or by its label as long as only the token knows the ID. Only a
// label that no key had before tells the new one.
func (g *generation) seek(ctx context.Context) ([]object.Object, error) {
	if !g.assigned() || g.template.ID != nil {
		return g.find(ctx, g.template.ID)
	}
	if len(g.before) > 0 {
		return nil, errNamesakes
	}
	return g.labelled(ctx, g.template.Label)
}

// labelled searches the token for the key objects of a label.
func (t *Token) labelled(ctx context.Context, label string) (objects []object.Object, err error) {
	err = t.reader.Read(ctx, func(s *cryptoki.Session) error {
		objects = nil
		handles, err := s.FindObjects(ctx, []cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(label))})
		if err != nil {
			return err
		}
		for _, handle := range handles {
			o, err := t.reader.Object(ctx, s, handle)
			if err != nil {
				return err
			}
			if o.Counts() {
				objects = append(objects, o)
			}
		}
		slices.SortStableFunc(objects, object.PrivateFirst)
		return t.pool.LoggedIn(ctx, s)
	})
	return objects, err
}

// KnowsAlgorithm is a *object.RefusedError where the make has no such algorithm for the key.
func (t *Token) KnowsAlgorithm(tmpl object.Template) error {
	return t.fitted(tmpl).KnownAlgorithm(t.differences)
}
