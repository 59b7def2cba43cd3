package provider

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/boolplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/setdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
)

// keyPairKind is what differs between the resources of key pairs.
type keyPairKind struct {
	name        string // without the provider's: "rsa_keypair"
	keyType     hsm.KeyType
	usages      hsm.Usage // those that may be asked for
	usageNote   string    // a sentence of the usages' description, where there is more to say
	description string
	attributes  map[string]schema.Attribute // besides those that all have
	newModel    func() keyPairModel
	// validate says what does not fit together in a configuration; nil where all does.
	validate func(context.Context, tfsdk.Config) diag.Diagnostics
}

// typeName is the resource's name in configurations.
func (k keyPairKind) typeName() string { return "hsm_" + k.name }

// keyPairModel is a resource's plan or state.
type keyPairModel interface {
	common() *keyPairAttributes
	known() bool                              // whether all that fill needs is known
	fill(*hsm.Template)                       // what kind of key to make
	take(hsm.KeyPair)                         // the kind of key that the token holds
	replacing(prior keyPairModel) []path.Path // the attributes whose difference no token changes in place
}

// keyPairAttributes are those that every key pair has.
type keyPairAttributes struct {
	Label          types.String   `tfsdk:"label"`
	KeyID          types.String   `tfsdk:"key_id"`
	Usage          types.Set      `tfsdk:"usage"`
	Extractable    types.Bool     `tfsdk:"extractable"`
	DeletionPolicy types.String   `tfsdk:"deletion_policy"`
	Timeouts       timeouts.Value `tfsdk:"timeouts"`

	KID                        types.String `tfsdk:"kid"`
	URI                        types.String `tfsdk:"uri"`
	JWK                        types.String `tfsdk:"jwk"`
	PublicKeyPEM               types.String `tfsdk:"public_key_pem"`
	PublicKeyOpenSSH           types.String `tfsdk:"public_key_openssh"`
	PublicKeyFingerprintSHA256 types.String `tfsdk:"public_key_fingerprint_sha256"`
	Local                      types.Bool   `tfsdk:"local"`
	AlwaysSensitive            types.Bool   `tfsdk:"always_sensitive"`
	NeverExtractable           types.Bool   `tfsdk:"never_extractable"`
}

func (a *keyPairAttributes) common() *keyPairAttributes { return a }

// schemaAttributes are those of keyPairAttributes and of the kind.
func (k keyPairKind) schemaAttributes(ctx context.Context) map[string]schema.Attribute {
	sign, _ := types.SetValue(types.StringType, []attr.Value{types.StringValue("sign")})
	keepString := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	keepBool := []planmodifier.Bool{boolplanmodifier.UseStateForUnknown()}
	computed := func(description string) schema.StringAttribute {
		return schema.StringAttribute{MarkdownDescription: description, Computed: true, PlanModifiers: keepString}
	}
	claim := func(description string) schema.BoolAttribute {
		return schema.BoolAttribute{
			MarkdownDescription: description + " It is the token's claim and no proof; null where the token makes none.",
			Computed:            true, PlanModifiers: keepBool,
		}
	}
	all := map[string]schema.Attribute{
		"label": schema.StringAttribute{
			MarkdownDescription: "Label (`CKA_LABEL`) of both halves: a name, which may change in place and need not be unique. For Hydra it is the name of the key set.",
			Required:            true,
			Validators:          []validator.String{stringvalidator.LengthBetween(1, 255)},
		},
		"key_id": schema.StringAttribute{
			MarkdownDescription: "ID (`CKA_ID`) of both halves in hexadecimal, 1 to 255 bytes: the key's identity. Upper and lower case are the same. Of a text it is made by the function `key_id` (Terraform 1.8 and later). Left out, it is the text of a " +
				"random UUID, as Hydra makes them. An ID that any key on the token bears already is refused: with an ID of your choice, a key is never made twice, even if a run is killed or a state " +
				"is lost. It changes in place where the token allows that.",
			Optional:      true,
			Computed:      true,
			PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown(), sameKeyID{}},
			Validators:    []validator.String{keyID{}},
		},
		"usage": schema.SetAttribute{
			MarkdownDescription: strings.TrimSpace(fmt.Sprintf("What the private key may do: any of %s. Defaults to `[\"sign\"]`. Each flag is written as true or false, with its counterpart "+
				"on the public half, since tokens' defaults differ. It changes in place. %s", quotedWords(k.usages), k.usageNote)),
			Optional:    true,
			Computed:    true,
			ElementType: types.StringType,
			Default:     setdefault.StaticValue(sign),
			Validators: []validator.Set{
				setvalidator.SizeAtLeast(1), setvalidator.NoNullValues(),
				setvalidator.ValueStringsAre(stringvalidator.OneOf(k.usages.Words()...)),
			},
		},
		"extractable": schema.BoolAttribute{
			MarkdownDescription: "Whether the token may ever give the private key out, wrapped by another key (`CKA_EXTRACTABLE`). Defaults to false. True becomes false in place; " +
				"false to true replaces the key pair.",
			Optional: true,
			Computed: true,
			Default:  booldefault.StaticBool(false),
		},
		"deletion_policy": deletionPolicyAttribute(),
		"timeouts":        timeoutsAttribute(ctx),

		"kid": computed("The key's ID as a JWK's `kid`: the bytes of `CKA_ID` as text where they are printable UTF-8 (in normal form C), as Hydra has it, else `key_id` in lower case."),
		"uri": computed("PKCS#11 URI ([RFC 7512](https://www.rfc-editor.org/rfc/rfc7512)) of the key pair: the token's label, the key's label and its ID. It holds no PIN. It is " +
			"not known until the key exists and has its final name and usage, so that what refers to it waits."),
		"jwk":                           computed("The public key as a JSON Web Key ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)), with `kid`, `use` and `alg`."),
		"public_key_pem":                computed("The public key in PEM (`PUBLIC KEY`, a SubjectPublicKeyInfo)."),
		"public_key_openssh":            computed("The public key as a line of OpenSSH's `authorized_keys`, without comment."),
		"public_key_fingerprint_sha256": computed("SHA-256 of the public key's SubjectPublicKeyInfo, in hexadecimal. A key that was exchanged behind the same ID is noticed by it."),
		"local":                         claim("Whether the key was generated on this token (`CKA_LOCAL`)."),
		"always_sensitive":              claim("Whether the private key has always been sensitive (`CKA_ALWAYS_SENSITIVE`)."),
		"never_extractable":             claim("Whether the private key has never been extractable (`CKA_NEVER_EXTRACTABLE`)."),
	}
	maps.Copy(all, k.attributes)
	return all
}

// timeoutsAttribute says what the times are where none are given.
func timeoutsAttribute(ctx context.Context) schema.Attribute {
	description := func(doing string, otherwise time.Duration) string {
		return fmt.Sprintf("How long %s may take, such as `30s` or `1h30m`. Defaults to `%.0fm`.", doing, otherwise.Minutes())
	}
	return timeouts.Attributes(ctx, timeouts.Opts{
		Create: true, CreateDescription: description("making the key", createTime),
		Read: true, ReadDescription: description("reading the key", readTime),
		Update: true, UpdateDescription: description("changing the key", changeTime),
		Delete: true, DeleteDescription: description("destroying the key", changeTime) + " It counts once it is applied.",
	})
}

func quotedWords(u hsm.Usage) string { return "`" + strings.Join(u.Words(), "`, `") + "`" }

// template is what the plan asks the token to make. ok is false while part of it is not known.
func (k keyPairKind) template(ctx context.Context, m keyPairModel) (tmpl hsm.Template, ok bool) {
	a := m.common()
	if a.Label.IsUnknown() || a.Usage.IsUnknown() || a.Extractable.IsUnknown() || !m.known() {
		return hsm.Template{}, false
	}
	tmpl = hsm.Template{
		Type: k.keyType, ID: a.id(), Label: a.Label.ValueString(), Usage: a.usage(ctx), Extractable: a.Extractable.ValueBool(),
	}
	m.fill(&tmpl)
	return tmpl, true
}

// id is the key's CKA_ID, nil where it is unknown or null. It is valid: the validator, or the token, made sure.
func (a *keyPairAttributes) id() []byte {
	if a.KeyID.IsUnknown() || a.KeyID.IsNull() {
		return nil
	}
	id, err := hsm.ParseID(a.KeyID.ValueString())
	if err != nil {
		return nil
	}
	return id
}

// usage is the known set of words; the validator has seen to it that each is one.
func (a *keyPairAttributes) usage(ctx context.Context) hsm.Usage {
	var words []string
	_ = a.Usage.ElementsAs(ctx, &words, false)
	u, _ := hsm.ParseUsage(words)
	return u
}

// ref says which key is meant.
func (k keyPairKind) ref(m keyPairModel) hsm.Ref {
	return hsm.Ref{Type: k.keyType, ID: m.common().id(), Fingerprint: m.common().PublicKeyFingerprintSHA256.ValueString()}
}

// use is the key's use in a JWK: what can sign is for signatures.
func use(u hsm.Usage) string {
	if u.Has(hsm.Sign) {
		return "sig"
	}
	return "enc"
}

// read makes the model say what the token holds. Text that is the same but for its form keeps the form that it
// was configured with.
func (k keyPairKind) read(m keyPairModel, pair hsm.KeyPair, token hsm.TokenInfo) error {
	a := m.common()
	forms, err := formsOf(pair.PublicKey, pair.ID, use(pair.Usage))
	if err != nil {
		return err
	}
	words := []attr.Value{}
	for _, w := range pair.Usage.Words() {
		words = append(words, types.StringValue(w))
	}
	if a.Usage, err = stringSet(words); err != nil {
		return err
	}
	if !bytes.Equal(a.id(), pair.ID) {
		a.KeyID = types.StringValue(hsm.FormatID(pair.ID))
	}
	a.Label = types.StringValue(printable(pair.Label))
	a.Extractable = types.BoolValue(pair.Extractable)
	a.KID = types.StringValue(forms.kid)
	a.URI = types.StringValue(hsm.FormatURI(token, pair.Label, pair.ID))
	a.JWK = types.StringValue(forms.jwk)
	a.PublicKeyPEM = types.StringValue(forms.pem)
	a.PublicKeyOpenSSH = given(forms.openSSH)
	a.PublicKeyFingerprintSHA256 = types.StringValue(pair.Fingerprint())
	a.Local = types.BoolPointerValue(pair.Local)
	a.AlwaysSensitive = types.BoolPointerValue(pair.AlwaysSensitive)
	a.NeverExtractable = types.BoolPointerValue(pair.NeverExtractable)
	m.take(pair)
	return nil
}

func stringSet(values []attr.Value) (types.Set, error) {
	set, diags := types.SetValue(types.StringType, values)
	if diags.HasError() {
		return set, fmt.Errorf("%s: %s", diags[0].Summary(), diags[0].Detail())
	}
	return set, nil
}

// forget makes unknown what depends on the key's name and usage, so that what refers to it waits for the change.
func (a *keyPairAttributes) forget(newID bool) {
	a.URI, a.JWK = types.StringUnknown(), types.StringUnknown()
	if newID {
		a.KID = types.StringUnknown()
	}
}

// halvesAgree says that the public half has the label and the usages that the private half has.
func halvesAgree(pair hsm.KeyPair) bool {
	return pair.Label == pair.PublicLabel && pair.Usage == pair.PublicUsage
}

// sameKeyID keeps the state's key_id where the configuration has the same ID in other letters.
type sameKeyID struct{}

func (sameKeyID) Description(context.Context) string {
	return "upper and lower case of a key ID are the same"
}

func (m sameKeyID) MarkdownDescription(ctx context.Context) string { return m.Description(ctx) }

func (sameKeyID) PlanModifyString(_ context.Context, req planmodifier.StringRequest, resp *planmodifier.StringResponse) {
	if !req.StateValue.IsNull() && strings.EqualFold(req.StateValue.ValueString(), req.PlanValue.ValueString()) {
		resp.PlanValue = req.StateValue
	}
}
