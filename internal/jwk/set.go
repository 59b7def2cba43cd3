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

// Merge makes one JWK Set of JWKs and JWK Sets ({"keys":[...]}), in any mixture. It orders the keys by kid, then
// thumbprint, then text; keys without a kid come first. So the order of the texts, and of the keys in them, does not
// matter.
//
// It reads each key as [Parse] does; if one of them cannot be read or is not public, Merge fails. It writes each key
// as [Key.JSON] does. Public members that Key does not have (x5c, key_ops, ...) follow in the order of their names,
// with the values that they had. Members of a set other than keys are left out.
//
// A JWK that is given several times is there once. Merge refuses two different JWKs with the same kid, even if they
// differ only in a member: readers choose a key by its kid.
//
// Errors name the text and, in a set, the key. Both are counted from 0, as Terraform does.
func Merge(texts []string) (string, error) {
	var all []entry
	for i, text := range texts {
		entries, err := parseEntries(text)
		if err != nil {
			return "", fmt.Errorf("text %d: %w", i, err)
		}
		for j := range entries {
			entries[j].where = fmt.Sprintf("text %d%s", i, entries[j].where)
		}
		all = append(all, entries...)
	}
	byKID := map[string]entry{}
	for _, e := range all {
		other, ok := byKID[e.kid]
		if ok && e.kid != "" && other.text != e.text {
			what := "the same key with other members"
			if other.thumbprint != e.thumbprint {
				what = "another key"
			}
			return "", fmt.Errorf("%s: the kid %q is also the kid of %s, which is %s", e.where, e.kid, other.where,
				what)
		}
		byKID[e.kid] = e
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
	where           string // in which text it was found
	kid, thumbprint string
	text            string // as it is written
}

// parseEntries reads a JWK, or the JWKs of a set.
func parseEntries(text string) ([]entry, error) {
	o, err := parseObject(text)
	if err != nil {
		return nil, err
	}
	list, isSet := o["keys"]
	if !isSet {
		e, err := newEntry(o)
		return []entry{e}, err
	}
	if _, ok := o["kty"]; ok {
		return nil, errors.New("it has both kty and keys, so it is neither a JWK nor a JWK Set")
	}
	var keys []object
	if err := json.Unmarshal(list, &keys); err != nil || keys == nil || slices.ContainsFunc(keys, func(o object) bool { return o == nil }) {
		return nil, errors.New("its keys are not an array of objects")
	}
	entries := make([]entry, len(keys))
	for i, key := range keys {
		entries[i], err = newEntry(key)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
		entries[i].where = fmt.Sprintf(", key %d", i)
	}
	return entries, nil
}

func newEntry(o object) (entry, error) {
	key, err := o.key()
	if err != nil {
		return entry{}, err
	}
	thumbprint, err := Thumbprint(key.PublicKey)
	if err != nil {
		return entry{}, err
	}
	text, err := key.JSON()
	if err != nil {
		return entry{}, err
	}
	var b bytes.Buffer
	b.WriteString(strings.TrimSuffix(text, "}"))
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if slices.Contains(commonMembers, name) || slices.Contains(keyMaterial, name) {
			continue
		}
		quoted, err := marshal(name)
		if err != nil {
			return entry{}, err
		}
		fmt.Fprintf(&b, ",%s:", quoted)
		if err := json.Compact(&b, o[name]); err != nil {
			return entry{}, err
		}
	}
	b.WriteString("}")
	return entry{kid: key.KID, thumbprint: thumbprint, text: b.String()}, nil
}
