package jwk

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// SetJSON is the JWK Set (RFC 7517, 5) of rendered keys, in the order given, as compact JSON. See [Key.Render].
func SetJSON(keys []Rendered) string {
	texts := make([]string, len(keys))
	for i, key := range keys {
		texts[i] = key.Text
	}
	return setOf(texts)
}

func setOf(keys []string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

// Empty is the JWK Set without keys, which [Merge] makes of no keys. Whoever publishes it by accident stops every
// verifier.
const Empty = `{"keys":[]}`

// Merge makes one JWK Set of JWKs and JWK Sets ({"keys":[...]}), in any mixture. It orders the keys by kid, then
// thumbprint, then text; keys without a kid come first, and keys of unknown kinds, which have no thumbprint here,
// before others of their kid. So the order of the texts, and of the keys in them, does not matter.
//
// It reads a key as [Parse] does, and refuses an alg that is one of another kind of key. A key of a kind that Parse
// does not know (another kty, or another crv of EC and OKP) is passed through, unless it looks private or symmetric. If
// a key cannot be read or is not public, Merge fails. The members keep the values that they had, in the order of
// [Key.Render]; those that Key does not have (x5c, key_ops, ...) follow in the order of their names. Members of a set
// other than keys are left out.
//
// A JWK that is given several times is there once. Readers choose a key by its kid, kty and alg (RFC 7517, 4.5), so
// Merge refuses two different JWKs with the same kid and kty unless each has an alg of its own.
//
// Errors name the text and, in a set, the key, as a configuration does: texts[1].keys[0].
func Merge(texts []string) (string, error) {
	var all []entry
	for i, text := range texts {
		entries, err := parseEntries(text)
		if err != nil {
			return "", fmt.Errorf("texts[%d]%w", i, err)
		}
		for j := range entries {
			entries[j].where = fmt.Sprintf("texts[%d]%s", i, entries[j].where)
		}
		all = append(all, entries...)
	}
	type name struct{ kid, kty string }
	named := map[name][]entry{} // without those that are there already
	for _, e := range all {
		others := named[name{e.kid, e.kty}]
		if !e.hasKID || slices.ContainsFunc(others, func(other entry) bool { return other.text == e.text }) {
			continue
		}
		for _, other := range others {
			if e.alg == "" || other.alg == "" || e.alg == other.alg {
				return "", fmt.Errorf("%s: the kid %q is also that of %s, which is %s. %s", e.where, e.kid, other.where,
					e.unlike(other), e.cure(other))
			}
		}
		named[name{e.kid, e.kty}] = append(others, e)
	}
	slices.SortStableFunc(all, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.kid, b.kid), cmp.Compare(a.thumbprint, b.thumbprint), cmp.Compare(a.text, b.text))
	})
	written := make([]string, len(all))
	for i, e := range all {
		written[i] = e.text
	}
	return setOf(slices.Compact(written)), nil
}

// entry is a JWK to be merged.
type entry struct {
	where         string // in which text it was found
	kid, kty, alg string
	crv           string   // "" for a kind of key that has none
	algs          []string // what its alg may be, where its kind is known
	hasKID        bool
	thumbprint    string // "" for a key of an unknown kind
	text          string // as it is written
}

// unlike says what another entry is, of the same kid, kty and alg.
func (e entry) unlike(other entry) string {
	switch {
	case e.thumbprint == "" || other.thumbprint == "":
		return "not the same JWK"
	case e.thumbprint != other.thumbprint:
		if e.kind() == other.kind() {
			return "another key"
		}
		return fmt.Sprintf("another key (%s and %s)", e.kind(), other.kind())
	}
	return "the same key with other members"
}

// cure says how readers could tell this entry from another one of its kid and kty.
func (e entry) cure(other entry) string {
	switch {
	case e.thumbprint != "" && e.thumbprint == other.thumbprint:
		return "Leave one of them out"
	case e.alg != "" && other.alg != "":
		return apart + anotherKID
	}
	if known := len(e.algs) > 0 && len(other.algs) > 0; known && len(slices.Compact(slices.Sorted(slices.Values(
		slices.Concat(e.algs, other.algs))))) == 1 {
		return apart + anotherKID
	}
	return apart + "give each an alg of its own, or " + anotherKID
}

const (
	apart      = "Verifiers could not tell them apart: "
	anotherKID = "give one of them another kid, as another kid_format of hsm_jwks or another key_id does"
)

func (e entry) kind() string { return strings.TrimSpace(e.kty + " " + e.crv) }

// parseEntries reads a JWK, or the JWKs of a set. Its errors go behind the name of the text: ".keys[0]: it has no kty".
func parseEntries(text string) ([]entry, error) {
	o, err := parseObject(text)
	if err != nil {
		return nil, fmt.Errorf(": %w", err)
	}
	list, isSet := o["keys"]
	if !isSet {
		e, err := newEntry(o)
		if err != nil {
			return nil, fmt.Errorf(": %w", err)
		}
		return []entry{e}, nil
	}
	if _, ok := o["kty"]; ok {
		return nil, errors.New(": it has both kty and keys, so it is neither a JWK nor a JWK Set")
	}
	var keys []object
	if err := json.Unmarshal(list, &keys); err != nil || keys == nil || slices.ContainsFunc(keys, func(o object) bool { return o == nil }) {
		return nil, errors.New(": its keys are not an array of objects")
	}
	entries := make([]entry, len(keys))
	for i, key := range keys {
		entries[i], err = newEntry(key)
		if err != nil {
			return nil, fmt.Errorf(".keys[%d]: %w", i, err)
		}
		entries[i].where = fmt.Sprintf(".keys[%d]", i)
	}
	return entries, nil
}

func newEntry(o object) (e entry, err error) {
	if e.kty, err = o.kind(); err != nil {
		return entry{}, err
	}
	if o.known(e.kty) {
		key, err := o.key()
		if err != nil {
			return entry{}, err
		}
		if e.thumbprint, err = Thumbprint(key.PublicKey); err != nil {
			return entry{}, err
		}
		if err := o.inspect(); err != nil {
			return entry{}, err
		}
		if err := foreignAlg(key); err != nil {
			return entry{}, err
		}
		if e.algs = algs(key.PublicKey, cmp.Or(key.Use, Sig)); key.Alg != "" {
			e.algs = []string{key.Alg}
		}
	} else if err := o.checkUnknown(e.kty); err != nil {
		return entry{}, err
	}
	for _, name := range commonMembers {
		if _, err := o.text(name); err != nil {
			return entry{}, err
		}
	}
	_, e.hasKID = o["kid"]
	e.kid, _ = o.text("kid")
	e.alg, _ = o.text("alg")
	e.crv, _ = o.text("crv")
	e.text, err = o.write()
	return e, err
}

// foreignAlg is an error where the alg of a key is that of another kind of key, or of symmetric ones. An alg that is
// not known here may fit.
func foreignAlg(key Key) error {
	known := slices.ContainsFunc(algorithms, func(kind algorithmsOf) bool { return slices.Contains(kind.algs, key.Alg) })
	if !known && !symmetric.MatchString(key.Alg) {
		return nil
	}
	return ValidAlg(key.PublicKey, "", key.Alg)
}

// inOrder are the members that stand first, in the order of [Key.Render].
var inOrder = []string{"use", "kty", "kid", "crv", "alg", "n", "e", "x", "y", "pub"}

// write gives the members with the values that they have. Strings among the first are written in one way only, so that
// the same key is the same text.
func (o object) write() (string, error) {
	var b bytes.Buffer
	add := func(name string, value []byte) error {
		quoted, err := marshal(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, ",%s:", quoted)
		return json.Compact(&b, value)
	}
	for _, name := range inOrder {
		value, ok := o[name]
		if !ok {
			continue
		}
		if text, err := o.text(name); err == nil {
			again, err := marshal(text)
			if err != nil {
				return "", err
			}
			value = json.RawMessage(again)
		}
		if err := add(name, value); err != nil {
			return "", err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if slices.Contains(inOrder, name) {
			continue
		}
		if err := add(name, o[name]); err != nil {
			return "", err
		}
	}
	return "{" + strings.TrimPrefix(b.String(), ",") + "}", nil
}
