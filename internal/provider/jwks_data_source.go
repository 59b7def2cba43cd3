package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/jwk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

var _ datasource.DataSourceWithConfigure = (*jwksDataSource)(nil)

func newJWKSDataSource() datasource.DataSource { return &jwksDataSource{} }

// jwksDataSource renders the public keys of pairs on the token as a JSON Web Key Set.
type jwksDataSource struct{ tokenReader }

type jwksModel struct {
	Labels      []types.String `tfsdk:"labels"`
	LabelPrefix types.String   `tfsdk:"label_prefix"`
	KeyIDs      []types.String `tfsdk:"key_ids"`
	URIs        []types.String `tfsdk:"uris"`
	Use         types.String   `tfsdk:"use"`
	KIDFormat   types.String   `tfsdk:"kid_format"`
	Algorithms  types.Map      `tfsdk:"algorithms"`
	Profile     types.String   `tfsdk:"profile"`
	AllowEmpty  types.Bool     `tfsdk:"allow_empty"`
	JSON        types.String   `tfsdk:"json"`
	Keys        types.List     `tfsdk:"keys"`
}

// jwkMembers are a JWK's public members. A key of the set has all of them, null where its JWK has none of that name.
var jwkMembers = []string{"kid", "kty", "use", "alg", "n", "e", "crv", "x", "y"}

// jwksKeyType is the type of one key of the set.
var jwksKeyType = func() types.ObjectType {
	attributes := map[string]attr.Type{"label": types.StringType, "key_id": types.StringType}
	for _, name := range jwkMembers {
		attributes[name] = types.StringType
	}
	return types.ObjectType{AttrTypes: attributes}
}()

// kidFormats are the ways to name a key in the set.
var kidFormats = map[string]func(hsm.WholeKey) (string, error){
	"text":       func(k hsm.WholeKey) (string, error) { return jwk.KID(k.ID), nil },
	"hex":        func(k hsm.WholeKey) (string, error) { return hsm.FormatID(k.ID), nil },
	"thumbprint": func(k hsm.WholeKey) (string, error) { return jwk.Thumbprint(k.PublicKey) },
}

func (d *jwksDataSource) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "hsm_jwks"
}

func (d *jwksDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	member := func(description string) schema.StringAttribute {
		return schema.StringAttribute{MarkdownDescription: description, Computed: true}
	}
	selection := func(description string, each ...validator.String) schema.ListAttribute {
		return schema.ListAttribute{
			MarkdownDescription: description, Optional: true, ElementType: types.StringType,
			Validators: []validator.List{listvalidator.NoNullValues(), listvalidator.ValueStringsAre(each...)},
		}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "The public keys of key pairs on the token as a JSON Web Key Set ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)). Only pairs whose two halves are on the " +
			"token are in it, and never a private member or a secret key. What is given of `labels`, `label_prefix`, `key_ids` and `uris` must all match; none of them selects every pair of a type that this provider manages.\n\n" +
			"A data source whose arguments are known is read while Terraform plans, which is before new keys exist. Select keys of the same configuration by their `uri`: it is unknown until the " +
			"key exists, so that the set is read after it. For `labels` and `label_prefix`, say so by `depends_on`.",
		Attributes: map[string]schema.Attribute{
			"labels":  selection("Labels of the pairs. Several pairs may bear one label; a label that no pair bears is an error.", stringvalidator.LengthAtLeast(1)),
			"key_ids": selection("Key IDs in hexadecimal, in upper or lower case. An ID that no pair bears is an error.", keyID),
			"uris": selection("PKCS#11 URIs ([RFC 7512](https://www.rfc-editor.org/rfc/rfc7512)), such as the attribute `uri` of a key pair's resource. A URI that matches no pair is an "+
				"error.", pkcs11URI),
			"label_prefix": schema.StringAttribute{
				MarkdownDescription: "What the labels of the pairs begin with.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"use": schema.StringAttribute{
				MarkdownDescription: "`use` of every key in the set, `sig` or `enc`. Defaults to each key's own: `sig` where it may sign, else `enc`.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.OneOf("sig", "enc")},
			},
			"kid_format": schema.StringAttribute{
				MarkdownDescription: "How keys are named in the set: `text` (the default), the bytes of the key's ID as text, as the resource's `kid` and as Hydra has it; `hex`, the ID in hexadecimal; " +
					"`thumbprint`, the JWK's SHA-256 thumbprint ([RFC 7638](https://www.rfc-editor.org/rfc/rfc7638)).",
				Optional:   true,
				Validators: []validator.String{stringvalidator.OneOf("text", "hex", "thumbprint")},
			},
			"algorithms": schema.MapAttribute{
				MarkdownDescription: "`alg` by the key's `kty` or, which goes before, its `crv`: `{ RSA = \"PS256\" }`. It must fit every key of that kind in the set. " +
					"Defaults, where `use` is `sig`, to `RS256` for RSA, `ES256`, `ES384`, `ES512` and `ES256K` for the curves `P-256`, `P-384`, `P-521` and `secp256k1`, and `EdDSA` for `Ed25519`; " +
					"where it is `enc`, to `RSA-OAEP` and `ECDH-ES`.",
				Optional:    true,
				ElementType: types.StringType,
				Validators: []validator.Map{
					mapvalidator.NoNullValues(), mapvalidator.KeysAre(stringvalidator.OneOf(append([]string{"RSA", "EC", "OKP"}, publickey.Curves()...)...)),
				},
			},
			"profile": schema.StringAttribute{
				MarkdownDescription: "Who is to sign with the keys: `hydra` checks that [Ory Hydra](https://github.com/ory/hydra) makes the same set of the selected keys, and gives each the `kid`, `use` " +
					"and `alg` that Hydra gives it. Keys that Hydra refuses (RSA below 4096 bits, curves but `P-256` and `P-521`), that it would not sign with, or would name otherwise, and others under a " +
					"selected label that are not selected, are an error that lists them all with the ways out. It reads every key object on the token.",
				Optional: true,
				Validators: []validator.String{
					stringvalidator.OneOf(profileHydra),
					stringvalidator.ConflictsWith(path.MatchRoot("use"), path.MatchRoot("kid_format"), path.MatchRoot("algorithms")),
				},
			},
			"allow_empty": schema.BoolAttribute{
				MarkdownDescription: "Whether the set may be empty. By default that is an error: an empty set that is published by accident stops every verifier.",
				Optional:            true,
			},
			"json": member("The JSON Web Key Set: compact, its members in a fixed order, its keys ordered by label, then ID, so that it is the same to the byte from run to run."),
			"keys": schema.ListNestedAttribute{
				MarkdownDescription: "The keys of the set, in its order.",
				Computed:            true,
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"label":  member("Label of the key pair."),
					"key_id": member("ID of the key pair in hexadecimal."),
					"kid":    member("Key ID in the set."),
					"kty":    member("Key type."),
					"use":    member("`sig` or `enc`."),
					"alg":    member("Algorithm."),
					"n":      member("RSA modulus, base64url."),
					"e":      member("RSA public exponent, base64url."),
					"crv":    member("Curve."),
					"x":      member("X coordinate, or the public key of an Edwards curve, base64url."),
					"y":      member("Y coordinate, base64url."),
				}},
			},
		},
	}
}

func (d *jwksDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m jwksModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	algorithms := map[string]string{}
	if !m.Algorithms.IsNull() {
		resp.Diagnostics.Append(m.Algorithms.ElementsAs(ctx, &algorithms, false)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	d.readToken(ctx, &resp.Diagnostics, "Read JSON Web Key Set", func(ctx context.Context, token *hsm.Token) error {
		all, err := m.candidates(ctx, token)
		if err != nil {
			return err
		}
		pairs, diags := m.selectFrom(all, token)
		resp.Diagnostics.Append(diags...)
		if resp.Diagnostics.HasError() {
			return nil
		}
		if m.Profile.ValueString() == profileHydra {
			all = slices.DeleteFunc(all, candidate.secret)
			resp.Diagnostics.Append(notForHydra(all, token.Info())...)
		}
		if resp.Diagnostics.HasError() {
			return nil
		}
		resp.Diagnostics.Append(m.render(pairs, algorithms)...)
		if resp.Diagnostics.HasError() {
			return nil
		}
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
		return nil
	})
}

// candidate is a pair that may be selected. One of a kind that is not known has an ID, a label and a kind alone. A
// secret key is among them only to be told of: nothing selects it.
type candidate struct {
	hsm.WholeKey
	unknown  string // the kind
	selected bool
}

func (c candidate) secret() bool { return c.PublicKey == nil && c.unknown == "" }

// candidates reads the pairs that may be selected: only those of the IDs that the selection names, where it
// names any, so that three keys cost no reading of fifty thousand. A profile looks at the others as well.
func (m *jwksModel) candidates(ctx context.Context, token *hsm.Token) (all []candidate, err error) {
	var pairs []hsm.WholeKey
	var unknown []hsm.UnknownPair
	if ids, narrow := m.ids(); narrow && m.Profile.IsNull() {
		pairs, unknown, err = candidatesOf(ctx, token, ids)
	} else if pairs, err = token.WholeKeys(ctx); err == nil {
		unknown, err = token.UnknownPairs(ctx, nil)
	}
	for _, pair := range pairs {
		all = append(all, candidate{WholeKey: pair})
	}
	for _, pair := range unknown {
		all = append(all, candidate{WholeKey: hsm.WholeKey{ID: pair.ID, Label: pair.Label}, unknown: pair.Kind})
	}
	return all, err
}

// candidatesOf reads the pairs of IDs, and those of an unknown kind where an ID is no other pair's.
func candidatesOf(ctx context.Context, token *hsm.Token, ids [][]byte) (pairs []hsm.WholeKey, unknown []hsm.UnknownPair, err error) {
	for _, id := range ids {
		pair, err := token.WholeKey(ctx, hsm.Ref{ID: id})
		if errors.Is(err, hsm.ErrNotFound) || errors.Is(err, hsm.ErrMalformed) {
			strange, unknownErr := token.UnknownPairs(ctx, id)
			if unknownErr != nil {
				return nil, nil, unknownErr
			}
			if errors.Is(err, hsm.ErrNotFound) && len(strange) == 0 {
				secret, secretErr := token.WholeKey(ctx, hsm.Ref{Type: hsm.Secret, ID: id})
				switch {
				case secretErr == nil:
					pairs = append(pairs, secret)
				case errors.Is(secretErr, hsm.ErrAmbiguous):
					pairs = append(pairs, hsm.WholeKey{Type: hsm.Secret, ID: id}) // any of them: it is only told of
				case !errors.Is(secretErr, hsm.ErrNotFound):
					return nil, nil, secretErr
				}
			}
			if unknown = append(unknown, strange...); len(strange) > 0 || errors.Is(err, hsm.ErrNotFound) {
				continue // where there is none at all, selectFrom says so, with what asked for it
			}
		}
		if err != nil {
			return nil, nil, err
		}
		pairs = append(pairs, pair)
	}
	hsm.SortKeys(pairs)
	return pairs, unknown, nil
}

// ids are the key IDs that a pair must have one of; narrow is false where any ID will do.
func (m *jwksModel) ids() (ids [][]byte, narrow bool) {
	if m.Labels != nil || !m.LabelPrefix.IsNull() {
		return nil, false // a label is an error only if no pair at all bears it
	}
	add := func(id []byte) {
		if !slices.ContainsFunc(ids, func(have []byte) bool { return string(have) == string(id) }) {
			ids = append(ids, id)
		}
	}
	for _, s := range m.KeyIDs {
		id, _ := hsm.ParseID(s.ValueString()) // validated
		add(id)
	}
	for _, s := range m.URIs {
		uri, _ := hsm.ParseURI(s.ValueString()) // validated
		if uri.ID == nil {
			return nil, false
		}
		add(uri.ID)
	}
	return ids, len(ids) > 0
}

// index finds pairs by what selections name.
type index struct {
	pairs   []candidate
	byLabel map[string][]int
	byID    map[string][]int
}

func indexOf(pairs []candidate) index {
	x := index{pairs: pairs, byLabel: map[string][]int{}, byID: map[string][]int{}}
	for i, pair := range pairs {
		x.byLabel[pair.Label] = append(x.byLabel[pair.Label], i)
		x.byID[string(pair.ID)] = append(x.byID[string(pair.ID)], i)
	}
	return x
}

func (x index) labelled(label string, _ hsm.TokenInfo) []int { return x.byLabel[label] }

func (x index) identified(text string, _ hsm.TokenInfo) []int {
	id, _ := hsm.ParseID(text) // validated
	return x.byID[string(id)]
}

func (x index) located(text string, token hsm.TokenInfo) (found []int) {
	uri, _ := hsm.ParseURI(text) // validated
	among := x.byID[string(uri.ID)]
	if uri.ID == nil {
		among = make([]int, len(x.pairs))
		for i := range among {
			among[i] = i
		}
	}
	for _, i := range among {
		if uri.Matches(token, x.pairs[i].secret(), x.pairs[i].Label, x.pairs[i].ID) {
			found = append(found, i)
		}
	}
	return found
}

// selectFrom marks and gives the pairs that every given argument matches. A label, ID or URI that no pair matches is an
// error, and so is one that names a pair which has no JWK, and an empty whole.
func (m *jwksModel) selectFrom(pairs []candidate, token *hsm.Token) (selected []hsm.WholeKey, diags diag.Diagnostics) {
	all := indexOf(pairs)
	misses := make([]bool, len(pairs))       // some argument does not match
	namedBy := make([]path.Path, len(pairs)) // the last that does
	for _, argument := range []struct {
		name   string
		values []types.String
		find   func(string, hsm.TokenInfo) []int
	}{
		{"labels", m.Labels, all.labelled},
		{"key_ids", m.KeyIDs, all.identified},
		{"uris", m.URIs, all.located},
	} {
		if argument.values == nil {
			continue
		}
		matched := make([]bool, len(pairs))
		for i, v := range argument.values {
			found, at := argument.find(v.ValueString(), token.Info()), path.Root(argument.name).AtListIndex(i)
			public := slices.DeleteFunc(slices.Clone(found), func(j int) bool { return pairs[j].secret() })
			for _, j := range public {
				matched[j], namedBy[j] = true, at
			}
			switch {
			case len(public) > 0:
			case len(found) > 0:
				diags.AddAttributeError(at, "No JWK For A Secret Key", fmt.Sprintf(
					"%q names the secret key %q (key_id %s) on %s, and no key pair. A secret key has no public key, and a set that is published holds nothing else.\n\n"+
						"What to do: leave it out, or name a key pair.", v.ValueString(), pairs[found[0]].Label, hsm.FormatID(pairs[found[0]].ID), token.Info()))
			default:
				diags.AddAttributeError(at, "No Such Key Pair", fmt.Sprintf(
					"No key pair on %s matches %q.\n\nWhat to do: correct it, or, where the key is made by the same configuration, refer to the resource's uri, or add "+
						"depends_on, so that the set is read after the key is made. To see what the token holds:\n\n  %s", token.Info(), v.ValueString(), token.Command("--list-objects")))
			}
		}
		for j := range pairs {
			misses[j] = misses[j] || !matched[j]
		}
	}
	for j, pair := range pairs {
		switch {
		case pair.secret() || misses[j] || !strings.HasPrefix(pair.Label, m.LabelPrefix.ValueString()):
		case pair.unknown == "":
			pairs[j].selected = true
			selected = append(selected, pair.WholeKey)
		case len(namedBy[j].Steps()) > 0:
			diags.AddAttributeError(namedBy[j], "No JWK For This Kind Of Key", fmt.Sprintf(
				"The key %q (key_id %s) on %s is selected by name, and it is of a kind for which this provider knows no JWK (%s). Keys that are known are RSA, and those on %s.\n\n"+
					"What to do: name other keys, or give the key another label or ID.", pair.Label, hsm.FormatID(pair.ID), token.Info(), pair.unknown, strings.Join(publickey.Curves(), ", ")))
		}
	}
	if len(selected) == 0 && !diags.HasError() && !m.AllowEmpty.ValueBool() {
		diags.AddError("Empty JSON Web Key Set", fmt.Sprintf(
			"No key pair on %s is selected. An empty set that is published by accident stops every verifier, so it is an error.\n\n"+
				"What to do: correct the selection, add depends_on where the keys are made by the same configuration, or set allow_empty = true if an empty set is meant.", token.Info()))
	}
	return selected, diags
}

// render fills in json and keys.
func (m *jwksModel) render(pairs []hsm.WholeKey, algorithms map[string]string) (diags diag.Diagnostics) {
	keys := make([]jwk.Key, 0, len(pairs))
	rows := make([]attr.Value, 0, len(pairs))
	named := map[string]hsm.WholeKey{}
	format := "text"
	if !m.KIDFormat.IsNull() {
		format = m.KIDFormat.ValueString()
	}
	for _, pair := range pairs {
		kid, err := kidFormats[format](pair)
		if err != nil {
			diags.AddError("Unable to Name a Key", fmt.Sprintf("The key %q (key_id %s): %s", pair.Label, hsm.FormatID(pair.ID), diagnose.Sentence(err.Error())))
			continue
		}
		if other, taken := named[kid]; taken {
			diags.AddError("Two Keys Of One Key ID", fmt.Sprintf(
				"The key pairs %q (key_id %s) and %q (key_id %s) would both have the kid %q in the set, and a verifier could not tell them apart.\n\n"+
					"What to do: select just one of them, or take another kid_format.", other.Label, hsm.FormatID(other.ID), pair.Label, hsm.FormatID(pair.ID), kid))
			continue
		}
		named[kid] = pair
		key, problem := m.key(pair, kid, algorithms)
		if problem != nil {
			diags.Append(problem)
			continue
		}
		row, err := keyRow(key, pair)
		if err != nil {
			diags.AddError("Unable to Render a Key", fmt.Sprintf("The key %q (key_id %s): %s", pair.Label, hsm.FormatID(pair.ID), diagnose.Sentence(err.Error())))
			continue
		}
		keys, rows = append(keys, key), append(rows, row)
	}
	text, err := jwk.SetJSON(keys)
	if err != nil {
		diags.AddError("Unable to Render the JSON Web Key Set", diagnose.Sentence(err.Error()))
	}
	m.JSON = types.StringValue(text)
	list, listDiags := types.ListValue(jwksKeyType, rows)
	m.Keys = list
	return append(diags, listDiags...)
}

func (m *jwksModel) key(pair hsm.WholeKey, kid string, algorithms map[string]string) (jwk.Key, diag.Diagnostic) {
	if m.Profile.ValueString() == profileHydra {
		return hydraKey(pair), nil
	}
	key := jwk.Key{PublicKey: pair.PublicKey, KID: kid, Use: use(pair.Usage)}
	if !m.Use.IsNull() {
		key.Use = m.Use.ValueString()
	}
	for _, kind := range []string{publickey.Curve(pair.PublicKey), jwk.Kty(pair.PublicKey)} {
		alg, ok := algorithms[kind]
		if !ok {
			continue
		}
		if err := jwk.ValidAlg(pair.PublicKey, key.Use, alg); err != nil {
			return jwk.Key{}, diag.NewAttributeErrorDiagnostic(path.Root("algorithms").AtMapKey(kind), "Algorithm Does Not Fit",
				fmt.Sprintf("The key %q (key_id %s): %v.\n\nA set of keys of both uses has one alg for each kind of key: make two sets, one for each use.",
					pair.Label, hsm.FormatID(pair.ID), err))
		}
		key.Alg = alg
		return key, nil
	}
	key.Alg = jwk.DefaultAlg(pair.PublicKey, key.Use)
	return key, nil
}

// keyRow is a key of the set, of jwksKeyType. It takes the members out of the JWK itself, so that they cannot differ
// from it. It is no struct, which the plugin framework takes long to look into: a set may have ten thousand keys.
func keyRow(key jwk.Key, pair hsm.WholeKey) (attr.Value, error) {
	text, err := key.JSON()
	if err != nil {
		return nil, err
	}
	members := map[string]string{}
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		return nil, err
	}
	row := map[string]attr.Value{"label": types.StringValue(printable(pair.Label)), "key_id": types.StringValue(hsm.FormatID(pair.ID))}
	for _, name := range jwkMembers {
		row[name] = types.StringNull()
		if v, ok := members[name]; ok {
			row[name] = types.StringValue(v)
		}
	}
	object, diags := types.ObjectValue(jwksKeyType.AttrTypes, row)
	if diags.HasError() {
		return nil, errors.New(diags[0].Detail())
	}
	return object, nil
}
