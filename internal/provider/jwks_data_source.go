package provider

import (
	"cmp"
	"context"
	"crypto"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
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
	X5C         types.Bool     `tfsdk:"x5c"`
	X5CLeaves   []types.String `tfsdk:"x5c_leaves"`
	AllowEmpty  types.Bool     `tfsdk:"allow_empty"`
	Unprotected types.Bool     `tfsdk:"allow_unprotected"`
	JSON        types.String   `tfsdk:"json"`
	Keys        types.List     `tfsdk:"keys"`
}

// jwkMembers are a JWK's public members. A key of the set has all of them, null where its JWK lacks one.
var jwkMembers = []string{"kid", "kty", "use", "alg", "n", "e", "crv", "x", "y", "pub"}

// jwksKeyType is the type of one key of the set.
var jwksKeyType = func() types.ObjectType {
	attributes := map[string]attr.Type{"label": types.StringType, "key_id": types.StringType}
	for _, name := range jwkMembers {
		attributes[name] = types.StringType
	}
	return types.ObjectType{AttrTypes: attributes}
}()

// kidFormats are the ways to name a key in the set.
var kidFormats = map[string]func(object.Key) (string, error){
	"text":        func(k object.Key) (string, error) { return jwk.KID(k.ID), nil },
	"hex":         func(k object.Key) (string, error) { return object.FormatID(k.ID), nil },
	"thumbprint":  func(k object.Key) (string, error) { return jwk.Thumbprint(k.PublicKey) },
	"spki_sha256": func(k object.Key) (string, error) { return jwk.SPKISHA256(k.PublicKey) },
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
			Validators: listOf(each...),
		}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "The public keys of key pairs on the token as a JSON Web Key Set " +
			"([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)). It never holds a private member or a secret key. A " +
			"pair must match all of `labels`, `label_prefix`, `key_ids` and `uris` that are given. Where none is given, every " +
			"pair of a type that this provider manages is selected.\n\n" +
			"On many tokens anyone who can open a session, without a PIN, can make key pairs, and can destroy or exchange " +
			"public halves. So it is an error, and nothing is published, if what is selected is\n\n" +
			"- a pair whose private half is not protected by the PIN (`CKA_PRIVATE=false`), see `allow_unprotected`,\n" +
			"- a private half without a public half, or with one that makes no sense,\n" +
			"- a pair of which it is not proven that the public half belongs to the private one. If the private half does " +
			"not show its public key (many tokens do not show it on curves), the private half signs or derives something to " +
			"prove it, once in a run.\n\n" +
			"Objects on the token that are not selected do not matter.\n\n" +
			"Terraform reads a data source whose arguments are known while it plans, which is before new keys exist. So " +
			"select keys of the same configuration by their `uri`, which is unknown until the key exists. Write the URIs in a " +
			"local value, as below, or each change of a key's label or policy makes the set wait, and replaces what depends " +
			"on it. The same is true of `depends_on`, which is the only way with `labels` and `label_prefix`.",
		Attributes: map[string]schema.Attribute{
			"labels": selection("Labels of the pairs. Several pairs may have the same label. A label that no pair has is an "+
				"error.", someText()),
			"key_ids": selection("Key IDs in hexadecimal, in upper or lower case. An ID that no pair has is an error.", keyID),
			"uris": selection("PKCS#11 URIs ([RFC 7512](https://www.rfc-editor.org/rfc/rfc7512)), such as the attribute "+
				"`uri` of a key pair's resource. A URI that matches no pair is an error. A pair without an ID is named by its "+
				"label: `pkcs11:object=LABEL;type=private`.", pkcs11URI),
			"label_prefix": schema.StringAttribute{
				MarkdownDescription: "The start of the pairs' labels.",
				Optional:            true,
				Validators:          []validator.String{someText()},
			},
			"use": schema.StringAttribute{
				MarkdownDescription: "`use` of every key in the set, `sig` or `enc`. Defaults to each key's own use: `sig` if " +
					"it may sign, otherwise `enc`.",
				Optional:   true,
				Validators: []validator.String{oneOf("sig", "enc")},
			},
			"kid_format": schema.StringAttribute{
				MarkdownDescription: "How the set names its keys: `text` (the default), the bytes of the key's ID as text, like " +
					"the resource's `kid` and like Hydra; `hex`, the ID in hexadecimal; `thumbprint`, the JWK's SHA-256 thumbprint " +
					"([RFC 7638](https://www.rfc-editor.org/rfc/rfc7638)); `spki_sha256`, the SHA-256 of the key's " +
					"SubjectPublicKeyInfo in base64url, like Kubernetes.",
				Optional:   true,
				Validators: []validator.String{oneOf("text", "hex", "thumbprint", "spki_sha256")},
			},
			"algorithms": schema.MapAttribute{
				MarkdownDescription: "The `alg` for each `kty`, `crv` or parameter set, such as `{ RSA = \"PS256\" }`. A `crv` takes " +
					"precedence over a `kty`. The `alg` must fit every key of that kind in the set. The defaults are, where `use` " +
					"is `sig`, `RS256` for RSA (the first that the key's `CKA_ALLOWED_MECHANISMS` allow, such as `PS256`), " +
					"`ES256`, `ES384`, `ES512` and `ES256K` for the curves `P-256`, `P-384`, `P-521` " +
					"and `secp256k1`, `EdDSA` for `Ed25519`, and the parameter set for ML-DSA; where `use` is `enc`, `RSA-OAEP` and `ECDH-ES`.",
				Optional:    true,
				ElementType: types.StringType,
				Validators: mapBy(slices.Concat([]string{"RSA", "EC", "OKP", "AKP"}, publickey.Curves(),
					publickey.ParameterSets())...),
			},
			"profile": schema.StringAttribute{
				MarkdownDescription: "Who signs with the keys. `hydra` checks that [Ory Hydra](https://github.com/ory/hydra) " +
					"would publish the same set of the selected keys, and gives each key the `kid`, `use` " +
					"and `alg` that Hydra gives it. It is an error if Hydra would refuse a selected key (RSA below 4096 bits, a " +
					"curve other than `P-256` and `P-521`), would not sign with it, or would name it otherwise, and if a key that " +
					"is not selected has the label of one that is. The error lists all such keys, and what to do about each. The " +
					"check reads every key object on the token.",
				Optional: true,
				Validators: []validator.String{
					oneOf(profileHydra),
					without("The profile says itself which use, kid and alg each key has. Leave out use, kid_format and algorithms, or "+
						"leave out profile.", "use", "kid_format", "algorithms"),
					without("Ory Hydra publishes no certificates. Leave out x5c and x5c_leaves, or leave out "+
						"profile.", "x5c",
						"x5c_leaves"),
				},
			},
			"x5c": schema.BoolAttribute{
				MarkdownDescription: "Whether each key has its certificates out of those on the token: `x5c`, the " +
					"chain, leaf first, and `x5t#S256` ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517), 4.7 and " +
					"4.9). The leaf is a certificate with the key's own public key, whatever its ID, that is valid " +
					"now. After it come its issuers as far as the token has them, up to one that signs itself, each " +
					"valid and verified against the signature before it. A key without a valid certificate is an " +
					"error.\n\n" +
					"  On many tokens anyone can write and destroy certificates without a PIN, and certify your key " +
					"in another name. So of several certificates of a key the latest is taken only if all, those " +
					"that are over too, have one subject, and one issuer on the token has signed them; otherwise it " +
					"is an error that lists them. `x5c_leaves` says which are meant, and should be set where others " +
					"can reach the token. Of several certificates of one issuer, one that signs itself is taken, " +
					"otherwise the same is true of them.",
				Optional: true,
			},
			"x5c_leaves": selection("SHA-256 fingerprints, in hexadecimal, of the certificates that may be leaves of "+
				"`x5c`, such as the attribute `fingerprint_sha256` of `hsm_certificate`. No other certificate is "+
				"taken for a key's own. Of several certificates of one issuer, it names the one that is "+
				"meant.", sha256Hex),
			"allow_empty": schema.BoolAttribute{
				MarkdownDescription: "Whether the set may be empty. By default that is an error: an empty set that is published by accident stops every verifier.",
				Optional:            true,
			},
			"allow_unprotected": allowUnprotected(),
			"json": member("The JSON Web Key Set: compact, with its members in a fixed order and its keys ordered by ID. " +
				"So it is the same from run to run, byte by byte, and whatever their labels are."),
			"keys": schema.ListNestedAttribute{
				MarkdownDescription: "The keys of the set, in its order.",
				Computed:            true,
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"label":  member("Label of the key pair."),
					"key_id": member("ID of the key pair in hexadecimal; null if it has none."),
					"kid":    member("Key ID in the set."),
					"kty":    member("Key type."),
					"use":    member("`sig` or `enc`."),
					"alg":    member("Algorithm."),
					"n":      member("RSA modulus, base64url."),
					"e":      member("RSA public exponent, base64url."),
					"crv":    member("Curve."),
					"x":      member("X coordinate, or the public key of an Edwards curve, base64url."),
					"y":      member("Y coordinate, base64url."),
					"pub":    member("Public key of ML-DSA, base64url."),
				}},
			},
		},
	}
}

func (d *jwksDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m jwksModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if m.X5CLeaves != nil && !m.X5C.ValueBool() && !m.X5C.IsUnknown() {
		resp.Diagnostics.AddAttributeError(path.Root("x5c_leaves"), combinationTitle, "The set has no certificates, "+
			"so that x5c_leaves does nothing. Set x5c = true, or leave x5c_leaves out.")
	}
	algorithms := map[string]string{}
	if !m.Algorithms.IsNull() {
		resp.Diagnostics.Append(m.Algorithms.ElementsAs(ctx, &algorithms, false)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	d.readToken(ctx, &resp.Diagnostics, readingJWKS, func(ctx context.Context, token *hsm.Token) error {
		s := m.selection()
		all, err := m.candidates(ctx, token, s)
		if err != nil {
			return err
		}
		pairs, diags := m.selectFrom(all, s, token, d.failure(token))
		resp.Diagnostics.Append(diags...)
		if resp.Diagnostics.HasError() {
			return nil
		}
		if err := protected(pairs, m.Unprotected); err != nil {
			return err
		}
		if m.Profile.ValueString() == profileHydra {
			all = slices.DeleteFunc(all, candidate.secret)
			for i := range all {
				if m.URIs != nil {
					all[i].Key = d.client.view.asPlanned(all[i].Key)
				}
			}
			resp.Diagnostics.Append(notForHydra(all, token.Info())...)
		}
		if resp.Diagnostics.HasError() {
			return nil
		}
		if err := token.Published(ctx, pairs); err != nil {
			return err
		}
		if m.URIs != nil {
			for i := range pairs {
				pairs[i] = d.client.view.asPlanned(pairs[i])
			}
		}
		chains, diags := m.chains(ctx, token, pairs, d.client.now())
		if resp.Diagnostics.Append(diags...); resp.Diagnostics.HasError() {
			return nil
		}
		resp.Diagnostics.Append(m.render(pairs, algorithms, chains)...)
		if resp.Diagnostics.HasError() {
			return nil
		}
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
		return nil
	})
}

const readingJWKS = "Read JSON Web Key Set"

// failure makes a diagnostic of what makes no sense on the token.
func (d *jwksDataSource) failure(token *hsm.Token) func(error) diag.Diagnostic {
	return func(err error) diag.Diagnostic {
		return diagnose.Failure{Doing: readingJWKS, Err: err, Token: token, Provider: d.client.forMessages()}.Diagnostic()
	}
}

// render fills in json and keys.
func (m *jwksModel) render(
	pairs []object.Key, algorithms map[string]string, chains map[string][][]byte,
) (diags diag.Diagnostics) {
	keys := make([]jwk.Rendered, 0, len(pairs))
	rows := make([]attr.Value, 0, len(pairs))
	named := map[string]object.Key{}
	format := "text"
	if !m.KIDFormat.IsNull() {
		format = m.KIDFormat.ValueString()
	}
	for _, pair := range pairs {
		kid, err := kidFormats[format](pair)
		if err != nil {
			diags.AddError("Unable to Name a Key", fmt.Sprintf("The key %s: %s\n\nWhat to do: leave it out, or choose another "+
				"kid_format.", nameOf(pair.Label, pair.ID),
				diagnose.Sentence(err.Error())))
			continue
		}
		if other, taken := named[kid]; taken {
			have := fmt.Sprintf("the kid %q", kid)
			if kid == "" {
				have = "no kid"
			}
			diags.AddError("Two Keys With One kid", fmt.Sprintf(
				"The key pairs %s and %s would both have %s in the set, so verifiers could not tell them apart.\n\n"+
					"What to do: select only one of them, or choose another kid_format.", nameOf(other.Label, other.ID),
				nameOf(pair.Label, pair.ID), have))
			continue
		}
		named[kid] = pair
		key, failure := m.key(pair, kid, algorithms)
		if failure != nil {
			diags.Append(failure)
			continue
		}
		rendered, err := key.RenderWith(chains[pair.Fingerprint()])
		if err != nil {
			diags.AddError("Unable to Render a Key", fmt.Sprintf("The key %s: %s\n\nWhat to do: leave it out.", nameOf(pair.Label, pair.ID),
				diagnose.Sentence(err.Error())))
			continue
		}
		keys, rows = append(keys, rendered), append(rows, keyRow(rendered, pair))
	}
	m.JSON = types.StringValue(jwk.SetJSON(keys))
	list, listDiags := types.ListValue(jwksKeyType, rows)
	m.Keys = list
	return append(diags, listDiags...)
}

// chains are the certificates of pairs in DER, by the pairs' fingerprints; none where the configuration wants none.
func (m *jwksModel) chains(ctx context.Context, token *hsm.Token, pairs []object.Key, at time.Time) (
	chains map[string][][]byte, diags diag.Diagnostics,
) {
	if !m.X5C.ValueBool() {
		return nil, nil
	}
	all, err := token.AllCertificates(ctx)
	if err != nil {
		diags.Append(diagnose.Failure{Doing: readingJWKS, Err: err, Token: token}.Diagnostic())
		return nil, diags
	}
	var leaves []string // not nil where the list is there and empty: then no certificate is meant
	if m.X5CLeaves != nil {
		leaves = []string{}
	}
	for _, leaf := range m.X5CLeaves {
		leaves = append(leaves, strings.ToLower(leaf.ValueString()))
	}
	pool := object.NewCertificatePool(all)
	chains = map[string][][]byte{}
	for _, pair := range pairs {
		chain, err := pool.Chain(pair.Fingerprint(), leaves, at)
		if err != nil {
			diags.AddAttributeError(path.Root("x5c"), "No Chain Of Certificates", fmt.Sprintf(
				"%s\n\nThis was about the key %s, on the token in %s.\n\nWhat to do: write the certificate that is "+
					"missing, such as by hsm_certificate; if the same configuration writes it, add depends_on. Of "+
					"several, say in x5c_leaves which one is meant, by its SHA-256 fingerprint, find out who wrote "+
					"those that you do not know, and destroy what nobody needs. Or leave the key out of the set.",
				diagnose.Sentence(err.Error()), nameOf(pair.Label, pair.ID), token.Info()))
			continue
		}
		for _, c := range chain {
			chains[pair.Fingerprint()] = append(chains[pair.Fingerprint()], c.Raw)
		}
	}
	return chains, diags
}

func (m *jwksModel) key(pair object.Key, kid string, algorithms map[string]string) (jwk.Key, diag.Diagnostic) {
	if m.Profile.ValueString() == profileHydra {
		return hydraKey(pair), nil
	}
	key := jwk.Key{PublicKey: pair.PublicKey, KID: kid, Use: use(pair.Usage)}
	if !m.Use.IsNull() {
		key.Use = m.Use.ValueString()
	}
	for _, kind := range []string{jwkKind(pair.PublicKey), jwk.Kty(pair.PublicKey)} {
		alg, ok := algorithms[kind]
		if !ok {
			continue
		}
		if err := jwk.ValidAlg(pair.PublicKey, key.Use, alg); err != nil {
			return jwk.Key{}, diag.NewAttributeErrorDiagnostic(path.Root("algorithms").AtMapKey(kind), "Algorithm Does Not Fit",
				fmt.Sprintf("The key %s: %v.\n\nWhat to do: choose an alg that fits. Where keys for signatures and "+
					"for encryption are selected together, make two sets, one for each use: a set has one alg for each kind of key.",
					nameOf(pair.Label, pair.ID), err))
		}
		if !pair.AllowsAlg(alg) {
			return jwk.Key{}, diag.NewAttributeErrorDiagnostic(path.Root("algorithms").AtMapKey(kind), "Algorithm Not Allowed",
				fmt.Sprintf("The token does not let the key %s be used for %s: its CKA_ALLOWED_MECHANISMS have no "+
					"mechanism for that.\n\nWhat to do: choose an alg that the key allows, or leave it out of algorithms to get one.",
					nameOf(pair.Label, pair.ID), alg))
		}
		key.Alg = alg
		return key, nil
	}
	key.Alg = jwk.DefaultAlg(pair.PublicKey, key.Use, pair.AllowsAlg)
	if key.Alg == "" && len(pair.Mechanisms) > 0 { // readers would guess one that the key cannot be used for
		return jwk.Key{}, diag.NewErrorDiagnostic("No Algorithm Allowed", fmt.Sprintf("The token lets the key %s be used with no "+
			"algorithm of JOSE for the use %q: its CKA_ALLOWED_MECHANISMS are %s.\n\nWhat to do: leave the key out, or choose another "+
			"use.", nameOf(pair.Label, pair.ID), key.Use, object.List(pair.Mechanisms)))
	}
	return key, nil
}

// jwkKind is what tells keys of one kty apart: their curve or their parameter set, "" for RSA.
func jwkKind(pub crypto.PublicKey) string {
	return cmp.Or(publickey.Curve(pub), publickey.ParameterSet(pub))
}

// keyRow is a key of the set, of jwksKeyType. It is not a struct: the plugin framework takes long to look into those, and a
// set may have ten thousand keys.
func keyRow(key jwk.Rendered, pair object.Key) attr.Value {
	row := map[string]attr.Value{
		"label": types.StringValue(printable(pair.Label)), "key_id": given(object.FormatID(pair.ID)),
	}
	for _, name := range jwkMembers {
		row[name] = given(key.Member(name))
	}
	return types.ObjectValueMust(jwksKeyType.AttrTypes, row)
}
