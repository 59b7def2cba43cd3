package provider

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// candidate is a pair that may be selected. Of a pair of an unknown kind, only the ID, the label and the kind are
// known; of what makes no sense, only the ID, the label and what is wrong. Secret keys are candidates too, but nothing
// selects them: an error says that they are no key pairs.
type candidate struct {
	object.Key
	unknown  string // the kind
	problem  error
	selected bool
}

func (c candidate) secret() bool { return c.PublicKey == nil && c.unknown == "" && c.problem == nil }

// name is such as `"web" (key_id 6b31)`.
func (c candidate) name() string { return nameOf(c.Label, c.ID) }

// described is the name with what tells the pair from others.
func (c candidate) described() string {
	if c.PublicKey == nil {
		return c.name() + ", of the kind " + c.unknown
	}
	return c.name() + ", SHA-256 fingerprint " + c.Fingerprint()
}

// candidatesIn gives the pairs of an inventory that may be selected, and what may be taken for one.
func candidatesIn(inventory *object.Inventory) (all []candidate) {
	pairs, broken := inventory.Keys()
	unknown := inventory.Unsupported()
	all = make([]candidate, 0, len(pairs)+len(unknown))
	for _, pair := range pairs {
		all = append(all, candidate{Key: pair})
	}
	for _, pair := range unknown {
		all = append(all, candidate{Key: object.Key{ID: pair.ID, Label: pair.Label}, unknown: pair.Kind})
	}
	for _, b := range broken {
		for _, o := range b.Names() {
			if !o.IsSecretKey() {
				all = append(all, candidate{Key: object.Key{ID: o.ID, Label: o.Label}, problem: b.Err})
			}
		}
	}
	return all
}

// selection is what the arguments name keys by, parsed.
type selection struct {
	labels []string
	ids    [][]byte
	uris   []pkcs11uri.URI
}

func (m *jwksModel) selection() (s selection) {
	for _, label := range m.Labels {
		s.labels = append(s.labels, label.ValueString())
	}
	for _, text := range m.KeyIDs {
		id, _ := object.ParseID(text.ValueString()) // validated
		s.ids = append(s.ids, id)
	}
	for _, text := range m.URIs {
		uri, _ := pkcs11uri.Parse(text.ValueString()) // validated
		s.uris = append(s.uris, uri)
	}
	return s
}

// candidates reads the pairs that may be selected. Where the selection names IDs, it reads only the pairs with those, so
// that three keys do not cost the reading of fifty thousand. A profile looks at the others as well.
func (m *jwksModel) candidates(ctx context.Context, token *hsm.Token, s selection) (all []candidate, err error) {
	ids, narrow := m.ids(s)
	if !narrow || !m.Profile.IsNull() {
		inventory, err := token.Inventory(ctx)
		if err != nil {
			return nil, err
		}
		return candidatesIn(inventory), nil
	}
	for _, id := range ids {
		part, err := token.Part(ctx, id)
		if err != nil {
			return nil, err
		}
		all = append(all, candidatesIn(part)...)
	}
	return all, nil
}

// ids are the IDs of which a selected pair has one; narrow is false where it may have any.
func (m *jwksModel) ids(s selection) (ids [][]byte, narrow bool) {
	if m.Labels != nil || !m.LabelPrefix.IsNull() {
		return nil, false // a label is an error only if no pair at all has it
	}
	seen := map[string]bool{}
	add := func(id []byte) {
		if !seen[string(id)] {
			ids = append(ids, id)
		}
		seen[string(id)] = true
	}
	for _, id := range s.ids {
		add(id)
	}
	for _, uri := range s.uris {
		if uri.ID == nil {
			return nil, false
		}
		add(uri.ID)
	}
	return ids, len(ids) > 0
}

// argument is one that names keys: a value names those that have its trait, or any where the trait is not known, and that
// it matches.
type argument struct {
	name    string
	values  []types.String
	trait   func(value int) (trait string, known bool)
	of      func(candidate) string // its trait
	matches func(value int, c candidate) bool
}

func (s selection) arguments(m *jwksModel, token hsm.TokenInfo) []argument {
	id := func(c candidate) string { return string(c.ID) }
	always := func(int, candidate) bool { return true }
	return []argument{
		{"labels", m.Labels, func(i int) (string, bool) { return s.labels[i], true }, func(c candidate) string { return c.Label }, always},
		{"key_ids", m.KeyIDs, func(i int) (string, bool) { return string(s.ids[i]), true }, id, always},
		{"uris", m.URIs, func(i int) (string, bool) { return string(s.uris[i].ID), s.uris[i].ID != nil }, id, func(i int, c candidate) bool {
			return s.uris[i].Matches(token, c.secret(), c.Label, c.ID)
		}},
	}
}

// named gives, for each value, which of the candidates it names.
func (a argument) named(all []candidate) [][]int {
	found := make([][]int, len(a.values))
	byTrait, anything := map[string][]int{}, []int(nil)
	for i := range a.values {
		if trait, known := a.trait(i); known {
			byTrait[trait] = append(byTrait[trait], i)
			continue
		}
		anything = append(anything, i)
	}
	for j, c := range all {
		for _, i := range slices.Concat(byTrait[a.of(c)], anything) {
			if a.matches(i, c) {
				found[i] = append(found[i], j)
			}
		}
	}
	return found
}

// selectFrom marks and gives the pairs that match every given argument, in SortKeys' order. It is an
// error if a label, ID or URI matches no pair, or a pair that has no JWK, if something matches that makes no sense,
// and if nothing is selected. What does not match does not matter.
func (m *jwksModel) selectFrom(
	pairs []candidate, s selection, token *hsm.Token, failure func(error) diag.Diagnostic,
) (selected []object.Key, diags diag.Diagnostics) {
	misses := make([]bool, len(pairs))       // some argument does not match
	namedBy := make([]path.Path, len(pairs)) // the last that does
	for _, argument := range s.arguments(m, token.Info()) {
		if argument.values == nil {
			continue
		}
		matched, named := make([]bool, len(pairs)), argument.named(pairs)
		for i, v := range argument.values {
			found, at := named[i], path.Root(argument.name).AtListIndex(i)
			public := slices.DeleteFunc(slices.Clone(found), func(j int) bool { return pairs[j].secret() })
			var sound []string // the pairs of these, a line each; what makes no sense is told below
			for _, j := range public {
				matched[j], namedBy[j] = true, at
				if pairs[j].problem == nil {
					sound = append(sound, "  - "+pairs[j].described())
				}
			}
			switch {
			case argument.name == "uris" && s.uris[i].Object == nil && s.uris[i].ID != nil && len(sound) > 1:
				// On many tokens anyone can make a pair of any ID, and a resource's URI names the pair by that alone.
				diags.AddAttributeError(at, "Several Key Pairs Of One URI", fmt.Sprintf(
					"%q names several key pairs on the token in %s:\n\n%s\n\nWhat to do: find out who made the others, and give "+
						"them another ID or destroy them. Or write a URI with the label and the ID of the one that you mean, such as "+
						"pkcs11:object=LABEL;id=%%6B%%31.", v.ValueString(), token.Info(), strings.Join(sound, "\n")))
			case len(public) > 0:
			case len(found) > 0:
				diags.AddAttributeError(at, "No JWK For A Secret Key", fmt.Sprintf(
					"On the token in %s, %q names the secret key %s and no key pair. A secret key has no public key "+
						"to publish.\n\nWhat to do: leave it out, or name a key pair.",
					token.Info(), v.ValueString(), pairs[found[0]].name()))
			default:
				hint := pkcs11uri.HexHint(v.ValueString())
				diags.AddAttributeError(at, "No Such Key Pair", fmt.Sprintf(
					"No key pair matches %q on the token in %s.\n\nWhat to do: correct it. %sIf the same configuration makes the "+
						"key, refer to the resource's uri, or add "+
						"depends_on, so that the set is read after the key is made. To see what the token holds:\n\n  %s",
					v.ValueString(), token.Info(), strings.TrimPrefix(hint+" ", " "), token.Command("--list-objects")))
			}
		}
		for j := range pairs {
			misses[j] = misses[j] || !matched[j]
		}
	}
	told := map[error]bool{} // one thing may have several names
	for j, pair := range pairs {
		switch {
		case pair.secret() || misses[j] || !strings.HasPrefix(pair.Label, m.LabelPrefix.ValueString()):
		case pair.problem != nil:
			pairs[j].selected = true
			if !told[pair.problem] {
				diags.Append(diag.WithPath(namedBy[j], failure(pair.problem)))
			}
			told[pair.problem] = true
		case pair.unknown == "":
			pairs[j].selected = true
			selected = append(selected, pair.Key)
		case len(namedBy[j].Steps()) > 0:
			diags.AddAttributeError(namedBy[j], "No JWK For This Kind Of Key", fmt.Sprintf(
				"The key %s on the token in %s is selected by name, but this provider knows no JWK for keys of its "+
					"kind (%s), only for RSA keys, keys on %s, and keys of %s.\n\nWhat to do: name other keys, or give the key another label "+
					"or ID.",
				pair.name(), token.Info(), pair.unknown, strings.Join(publickey.Curves(), ", "),
				strings.Join(publickey.ParameterSets(), ", ")))
		}
	}
	if len(selected) == 0 && !diags.HasError() && !m.AllowEmpty.ValueBool() {
		diags.AddError("Empty JSON Web Key Set", fmt.Sprintf(
			"Nothing is selected: no key pair matches on the token in %s. An empty set that is published by accident stops "+
				"every verifier, so it is an error.\n\n"+
				"What to do: correct the selection. If the same configuration makes the keys, add depends_on. If you want an "+
				"empty set, set allow_empty = true.", token.Info()))
	}
	object.SortKeys(selected)
	return selected, diags
}
