package provider

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

var _ datasource.DataSourceWithConfigure = (*keysDataSource)(nil)

func newKeysDataSource() datasource.DataSource { return &keysDataSource{} }

// keysDataSource lists the key objects on the token.
type keysDataSource struct{ tokenReader }

type keysModel struct {
	Class       types.String     `tfsdk:"class"`
	Type        types.String     `tfsdk:"type"`
	LabelPrefix types.String     `tfsdk:"label_prefix"`
	Keys        []keyObjectModel `tfsdk:"keys"`
	Unreadable  types.Int64      `tfsdk:"unreadable"`
}

type keyObjectModel struct {
	Class            types.String   `tfsdk:"class"`
	Type             types.String   `tfsdk:"type"`
	KeyID            types.String   `tfsdk:"key_id"`
	Label            types.String   `tfsdk:"label"`
	URI              types.String   `tfsdk:"uri"`
	Usage            []types.String `tfsdk:"usage"`
	Bits             types.Int64    `tfsdk:"bits"`
	Curve            types.String   `tfsdk:"curve"`
	ParameterSet     types.String   `tfsdk:"parameter_set"`
	Private          types.Bool     `tfsdk:"private"`
	Sensitive        types.Bool     `tfsdk:"sensitive"`
	Extractable      types.Bool     `tfsdk:"extractable"`
	Local            types.Bool     `tfsdk:"local"`
	AlwaysSensitive  types.Bool     `tfsdk:"always_sensitive"`
	NeverExtractable types.Bool     `tfsdk:"never_extractable"`

	AlwaysAuthenticate types.Bool     `tfsdk:"always_authenticate"`
	Modifiable         types.Bool     `tfsdk:"modifiable"`
	Copyable           types.Bool     `tfsdk:"copyable"`
	Destroyable        types.Bool     `tfsdk:"destroyable"`
	StartDate          types.String   `tfsdk:"start_date"`
	EndDate            types.String   `tfsdk:"end_date"`
	AllowedMechanisms  []types.String `tfsdk:"allowed_mechanisms"`

	TwinMissing types.Bool   `tfsdk:"twin_missing"`
	Problem     types.String `tfsdk:"problem"`
}

// keyClasses are the words for the classes of keys, and package hsm's words for them.
var keyClasses = map[string]string{"private": "private key", "public": "public key", "secret": "secret key"}

// uriTypes are the types that URIs have for package hsm's words.
var uriTypes = map[string]string{
	keyClasses["private"]: pkcs11uri.Private, keyClasses["public"]: pkcs11uri.Public,
	keyClasses["secret"]: pkcs11uri.SecretKey,
}

func (d *keysDataSource) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "hsm_keys"
}

func (d *keysDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	classes := slices.Sorted(maps.Keys(keyClasses))
	claim := func(description string) schema.BoolAttribute {
		return computedBool(description + "; null if the token does not say.")
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "The key objects on the token, whether this provider made them or not: secret keys, and the " +
			"two halves of each key pair as separate objects. A key must match all of `class`, `type` and `label_prefix` " +
			"that are given. `twin_missing` marks halves whose other half is missing.\n\n" +
			"Terraform reads a data source whose arguments are known while it plans, which is before new keys exist. If the " +
			"list should have those too, add `depends_on`.",
		Attributes: map[string]schema.Attribute{
			"class": schema.StringAttribute{
				MarkdownDescription: "Lists only keys of this class: " + quotedList(classes) + ".",
				Optional:            true,
				Validators:          []validator.String{oneOf(classes...)},
			},
			"type": schema.StringAttribute{
				MarkdownDescription: "Lists only keys of this type: " + quotedList(object.KeyTypes()) + ".",
				Optional:            true,
				Validators:          []validator.String{oneOf(object.KeyTypes()...)},
			},
			"label_prefix": schema.StringAttribute{
				MarkdownDescription: "Lists only keys whose label starts with this.",
				Optional:            true,
				Validators:          []validator.String{someText()},
			},
			"keys": schema.ListNestedAttribute{
				MarkdownDescription: "The keys, ordered by ID, class and type, so that the list is the same from run to run, " +
					"and a new label moves no key in it.",
				Computed: true,
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"class": computedString("Class of the key: " + quotedList(classes) + "."),
					"type": computedString("Type of the key: " + quotedList(object.KeyTypes()) + ", or `type` and the " +
						"number that PKCS#11 gives it. Null if it is not known; `problem` then says why."),
					"key_id": computedString("ID (`CKA_ID`) of the key in hexadecimal; null if it has none."),
					"label":  computedString("Label of the key."),
					"uri": computedString("PKCS#11 URI of the key, as in the resources: the two halves of a pair have the " +
						"same. A key without an ID has its label and its type in it instead; null if it has no label either."),
					"usage": computedWords("What the key may do, according to its own flags: any of `decrypt`, " +
						"`derive`, `encrypt`, `sign`, `sign_recover`, `unwrap`, `verify`, `verify_recover` and `wrap`. A public half verifies where the private half " +
						"signs. `sign_recover` and `verify_recover` are signing with recovery of the message."),
					"bits": computedNumber("Size in bits of an RSA modulus, or of the value of a secret key; null for " +
						"other keys, and if the token does not show it."),
					"curve": computedString("Curve, by its JOSE name; null for other keys, and for curves that this " +
						"provider does not know."),
					"parameter_set": computedString("Parameter set of an ML-DSA key, such as `ML-DSA-65`; null for other keys, " +
						"and for sets that this provider does not know."),
					"private": claim("Whether the token shows and uses the key only after a login. A private half or a secret key of " +
						"which this is false can have been made, and can be used, by whoever can open a session on the token"),
					"sensitive":           claim("Whether the key is sensitive, so that the token does not reveal its value"),
					"extractable":         claim("Whether the key may leave the token, wrapped by another key"),
					"local":               claim("Whether the key was made on this token, as the token claims"),
					"always_sensitive":    claim("Whether the key has always been sensitive, as the token claims"),
					"never_extractable":   claim("Whether the key has never been extractable, as the token claims"),
					"always_authenticate": claim("Whether each use of the key wants the PIN again"),
					"modifiable":          claim("Whether the key's attributes may be changed at all"),
					"copyable":            claim("Whether the key may be copied"),
					"destroyable":         claim("Whether the key may be destroyed"),
					"start_date":          computedString("First day on which the key is meant to be used, such as `2026-11-28`; null if there is none."),
					"end_date":            computedString("Last day on which the key is meant to be used; null if there is none."),
					"allowed_mechanisms": computedWords("Names of the only mechanisms that the key may be used with, such as " +
						"`CKM_RSA_PKCS_PSS`; null if there is no such limit."),
					"twin_missing": computedBool("Whether the other half of the key pair is missing: no other half with the same " +
						"ID and type shows the same key. If halves show too little of their key, they belong together if there is " +
						"only one of each class. Null for secret keys, and if it cannot be told."),
					"problem": computedString("What makes no sense about the key, so that the resources refuse it; null for most " +
						"keys."),
				}},
			},
			"unreadable": computedNumber("How many objects on the token cannot be read at all, not even their class. The " +
				"arguments do not change this number. On some tokens an interrupted creation leaves such objects; nobody can " +
				"use them. 0 for most tokens."),
		},
	}
}

func (d *keysDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m keysModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	d.readToken(ctx, &resp.Diagnostics, "Read Keys", func(ctx context.Context, token *hsm.Token) error {
		inventory, err := token.Inventory(ctx)
		if err != nil {
			return err
		}
		keys, unreadable := inventory.Entries()
		m.Unreadable, m.Keys = types.Int64Value(int64(unreadable)), []keyObjectModel{}
		for _, key := range keys {
			if m.lists(key) {
				m.Keys = append(m.Keys, keyObjectModelOf(key, token.Info()))
			}
		}
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
		return nil
	})
}

func (m *keysModel) lists(key object.Entry) bool {
	return (m.Class.IsNull() || keyClasses[m.Class.ValueString()] == key.Class) &&
		(m.Type.IsNull() || m.Type.ValueString() == key.Type) &&
		strings.HasPrefix(key.Label, m.LabelPrefix.ValueString())
}

func keyObjectModelOf(key object.Entry, token hsm.TokenInfo) keyObjectModel {
	m := keyObjectModel{
		Class: types.StringValue(strings.TrimSuffix(key.Class, " key")), Type: given(key.Type), Label: types.StringValue(printable(key.Label)),
		Usage: words(key.Uses), Curve: given(key.Curve), ParameterSet: given(key.ParameterSet),
		Private:   types.BoolPointerValue(key.Protected),
		Sensitive: types.BoolPointerValue(key.Sensitive), Extractable: types.BoolPointerValue(key.Extractable),
		Local: types.BoolPointerValue(key.Local), AlwaysSensitive: types.BoolPointerValue(key.AlwaysSensitive),
		NeverExtractable: types.BoolPointerValue(key.NeverExtractable), TwinMissing: types.BoolPointerValue(key.OtherHalfMissing),

		AlwaysAuthenticate: types.BoolPointerValue(key.AlwaysAuthenticate), Modifiable: types.BoolPointerValue(key.Modifiable),
		Copyable: types.BoolPointerValue(key.Copyable), Destroyable: types.BoolPointerValue(key.Destroyable),
		StartDate: given(key.StartDate), EndDate: given(key.EndDate),
	}
	for _, mechanism := range key.Mechanisms {
		m.AllowedMechanisms = append(m.AllowedMechanisms, types.StringValue(mechanism.String()))
	}
	m.KeyID = given(object.FormatID(key.ID))
	m.URI = given(pkcs11uri.Format(token, uriTypes[key.Class], key.Label, key.ID))
	if key.Bits > 0 {
		m.Bits = types.Int64Value(int64(key.Bits))
	}
	if malformed, ok := errors.AsType[*object.MalformedError](key.Err); ok {
		// Without the object's handle, which differs from run to run.
		m.Problem = types.StringValue(diagnose.Sentence(printable(malformed.Err.Error())))
	}
	return m
}

// quotedList is such as `a`, `b` or `c`.
func quotedList(words []string) string {
	last := len(words) - 1
	return "`" + strings.Join(words[:last], "`, `") + "` or `" + words[last] + "`"
}
