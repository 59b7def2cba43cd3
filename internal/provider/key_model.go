package provider

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/boolplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/setdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

// keyKind is what differs between the resources of keys.
type keyKind struct {
	vocabulary
	name        string // without "hsm_" in front: "rsa_keypair"
	keyType     object.KeyType
	usages      object.Usage // those that a configuration may ask for
	usage       []string     // the default; none where the configuration has to say
	usageNote   string       // a sentence of the usages' description, where there is more to say
	description string
	attributes  map[string]schema.Attribute // besides those that all kinds have
	newModel    func() keyModel
	// validate says what does not fit together in a configuration; nil where all does.
	validate func(context.Context, tfsdk.Config) diag.Diagnostics
}

// vocabulary is the words that differ in texts about kinds of key.
type vocabulary struct {
	noun, title string   // "key pair", "Key Pair"
	parts       []string // the objects that such a key is made of, in pkcs11-tool's words
	of          string   // whose label and ID they are: " of both halves"
	secret      string   // what the token keeps to itself
	labelNote   string   // a sentence of the label's description
	flags       string   // what is written besides each flag: " and its counterpart on the public half"
	uriNote     string   // what is in the URI besides
	fingerprint string   // the attribute that tells a key from another
	mark        string   // what that attribute shows: "check value"
	has         string   // what comes before mark in a sentence: "its public key has the"
	excess      string   // an example of a usage that other tools give such keys, and that this provider does not
}

// typeName is the resource's name in configurations.
func (k keyKind) typeName() string { return "hsm_" + k.name }

// kindOf is the kind whose resource manages keys of a type.
func kindOf(keyType object.KeyType) keyKind {
	for _, r := range keyResources() {
		if r.kind.keyType == keyType {
			return r.kind
		}
	}
	return keyKind{}
}

// forMessages is what diagnostics say of the kind.
func (k keyKind) forMessages() diagnose.Kind {
	return diagnose.Kind{Resource: k.typeName(), Type: k.keyType, Noun: k.noun, Title: k.title, Parts: k.parts}
}

// doing is such as "Create Key Pair", or "List Key Pairs".
func (k keyKind) doing(what string) string { return k.forMessages().Doing(what) }

// labelled has what messages call a key by.
type labelled interface{ common() *keyAttributes }

// noKey is for messages that are about no key in particular.
type noKey struct{ keyAttributes }

// keyModel is a resource's plan or state.
type keyModel interface {
	labelled
	known() bool                          // whether all that fill needs is known
	fill(*object.Template)                // what kind of key to make
	take(object.Key) error                // what differs between keys, as the token holds it
	replacing(prior keyModel) []path.Path // the attributes whose difference no token changes in place
	fingerprint() string                  // the key's, "" where it is not known
	excess() []excess                     // what no new key may be, and an adopted one may
	movesCertificates() bool              // whether a change of ID takes the pair's certificates along
	forget(consequences)                  // makes unknown what a change of the key changes
}

// keyAttributes are those that every key has.
type keyAttributes struct {
	Label          types.String   `tfsdk:"label"`
	KeyID          types.String   `tfsdk:"key_id"`
	Usage          types.Set      `tfsdk:"usage"`
	Extractable    types.Bool     `tfsdk:"extractable"`
	Algorithm      types.String   `tfsdk:"algorithm"`
	DeletionPolicy types.String   `tfsdk:"deletion_policy"`
	Timeouts       timeouts.Value `tfsdk:"timeouts"`

	URI              types.String `tfsdk:"uri"`
	TokenSerial      types.String `tfsdk:"token_serial"`
	Private          types.Bool   `tfsdk:"private"`
	Sensitive        types.Bool   `tfsdk:"sensitive"`
	Local            types.Bool   `tfsdk:"local"`
	AlwaysSensitive  types.Bool   `tfsdk:"always_sensitive"`
	NeverExtractable types.Bool   `tfsdk:"never_extractable"`
}

func (a *keyAttributes) common() *keyAttributes { return a }

// forgetUntold makes unknown what an update may tell, and the state does not.
func (a *keyAttributes) forgetUntold() {
	for _, claim := range []*types.Bool{&a.Private, &a.Sensitive, &a.Local, &a.AlwaysSensitive, &a.NeverExtractable} {
		if claim.IsNull() {
			*claim = types.BoolUnknown()
		}
	}
	if a.TokenSerial.IsNull() {
		a.TokenSerial = types.StringUnknown()
	}
}

// consequences are those of a change in place.
type consequences struct {
	newID bool // the key gets another ID
	usage bool // it may do other things: a set or hsm_public_key shows it otherwise, or refuses it no longer
	use   bool // its JWK gets another use
}

// forget makes the URI unknown where data sources show the change, so that what refers to it is read after that. A label
// alone changes nothing that is published, and at most takes itself out of a URI of an earlier version.
func (a *keyAttributes) forget(c consequences) {
	if c.newID || c.usage {
		a.URI = types.StringUnknown()
	}
}

// computed is an attribute that stays as it is for as long as the key lives, unless forget makes it unknown.
func computed(description string) schema.StringAttribute {
	return schema.StringAttribute{
		MarkdownDescription: description, Computed: true, PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
	}
}

// schemaAttributes are those of keyAttributes and of the kind.
func (k keyKind) schemaAttributes(ctx context.Context) map[string]schema.Attribute {
	claim := func(description string) schema.BoolAttribute {
		return schema.BoolAttribute{
			MarkdownDescription: description + " This is only what the token claims; null if it claims nothing.",
			Computed:            true, PlanModifiers: []planmodifier.Bool{boolplanmodifier.UseStateForUnknown()},
		}
	}
	all := map[string]schema.Attribute{
		"label": schema.StringAttribute{
			MarkdownDescription: fmt.Sprintf(
				"Label (`CKA_LABEL`)%s: a name. It can change in place, and need not be unique.%s", k.of, k.labelNote),
			Required:   true,
			Validators: []validator.String{atMostBytes(255)},
		},
		"key_id": schema.StringAttribute{
			MarkdownDescription: fmt.Sprintf("ID (`CKA_ID`)%s in hexadecimal, 1 to 255 bytes: the key's identity. Upper and "+
				"lower case are the same. The function `key_id` makes it from a text (Terraform 1.8 and later). Defaults to the "+
				"text of a "+
				"random UUID, as in Hydra. An ID that any key on the token already has is refused. So a key whose ID you choose "+
				"is never made twice, even if a run is killed or a state "+
				"is lost. It changes in place if the token allows that.", k.of),
			Optional:      true,
			Computed:      true,
			PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown(), sameKeyID{}},
			Validators:    []validator.String{keyID},
		},
		"usage": k.usageAttribute(),
		"extractable": schema.BoolAttribute{
			MarkdownDescription: fmt.Sprintf("Whether the %s may ever leave the token, wrapped by another key "+
				"(`CKA_EXTRACTABLE`). Defaults to false. True changes to false in place; "+
				"a change from false to true replaces the %s. Null where the token does not tell.", k.secret, k.noun),
			Optional:      true,
			Computed:      true,
			PlanModifiers: []planmodifier.Bool{notExtractable{}},
		},
		"algorithm": schema.StringAttribute{
			MarkdownDescription: "What the key is for, by the name that the token's vendor has for it. Only for tokens whose " +
				"keys have one algorithm for ever, such as those of a cloud's key service: elsewhere it is an error of the plan. " +
				"Where it is left out, it follows from the key's type, size and usage; if several fit, it is the first of them, " +
				"and the plan says so. A change replaces the key. A key that is there, or was imported, keeps the algorithm " +
				"that it has when this is added or left out.",
			Optional: true,
		},
		"deletion_policy": deletionPolicyAttribute(),
		"timeouts":        timeoutsOf(ctx, keyTimes),

		"uri": computed(fmt.Sprintf("PKCS#11 URI ([RFC 7512](https://www.rfc-editor.org/rfc/rfc7512)) of the %s: the "+
			"token's label and the key's ID%s. It has no PIN, and not the key's label, so that it stays when that changes. "+
			"It is unknown until the key exists, and where a change of `key_id` or `usage` changes what `hsm_jwks` shows, so that "+
			"what refers to it waits for that.", k.noun, k.uriNote)),
		"token_serial": computed("Serial number of the token that holds the key, as it was last read. The plan of " +
			"a new key shows it, and an apply in which it is another one makes, changes and " +
			"destroys nothing. Null if the token has none."),
		"private": claim(fmt.Sprintf("Whether the token shows and uses the %s only after a login (`CKA_PRIVATE`). Always true of "+
			"keys that this provider made; where it is false, every plan warns.", k.secret)),
		"sensitive": claim(fmt.Sprintf("Whether the token keeps the value of the %s to itself (`CKA_SENSITIVE`). Always true of "+
			"keys that this provider made. Where it is false, a plan warns, and terraform apply sets it to true if the token "+
			"takes that.", k.secret)),
		"local":             claim("Whether the key was generated on this token (`CKA_LOCAL`)."),
		"always_sensitive":  claim(fmt.Sprintf("Whether the %s has always been sensitive (`CKA_ALWAYS_SENSITIVE`).", k.secret)),
		"never_extractable": claim(fmt.Sprintf("Whether the %s has never been extractable (`CKA_NEVER_EXTRACTABLE`).", k.secret)),
	}
	maps.Copy(all, k.attributes)
	return all
}

func (k keyKind) usageAttribute() schema.SetAttribute {
	otherwise := ""
	attribute := schema.SetAttribute{
		Required:    k.usage == nil,
		ElementType: types.StringType,
		Validators:  someWords(k.usages.Words()...),
	}
	if k.usage != nil {
		values := []attr.Value{}
		for _, word := range k.usage {
			values = append(values, types.StringValue(word))
		}
		set, _ := types.SetValue(types.StringType, values)
		attribute.Optional, attribute.Computed, attribute.Default = true, true, setdefault.StaticValue(set)
		otherwise = fmt.Sprintf(" Defaults to `[\"%s\"]`.", strings.Join(k.usage, `", "`))
	}
	attribute.MarkdownDescription = strings.TrimSpace(fmt.Sprintf("What the %s may do: any of %s.%s The provider "+
		"writes each flag%s as true or false when it makes the key or changes it, since tokens have different defaults. It "+
		"changes in place. %s",
		k.secret, quotedWords(k.usages), otherwise, k.flags, k.usageNote))
	return attribute
}

// times are how long a resource's operations may take where the configuration does not say, and what they do.
type times struct {
	create, read, update, delete          time.Duration
	creating, reading, updating, deleting string
}

var keyTimes = times{
	create: createTime, read: readTime, update: changeTime, delete: changeTime,
	creating: "making the key", reading: "reading the key", updating: "changing the key", deleting: "destroying the " +
		"key",
}

// timeoutsOf has the defaults in its descriptions.
func timeoutsOf(ctx context.Context, t times) schema.Attribute {
	description := func(doing string, otherwise time.Duration) string {
		return fmt.Sprintf("How long %s may take, such as `30s` or `1h30m`. Defaults to `%.0fm`.", doing, otherwise.Minutes())
	}
	attribute := timeouts.Attributes(ctx, timeouts.Opts{
		Create: true, CreateDescription: description(t.creating, t.create),
		Read: true, ReadDescription: description(t.reading, t.read),
		Update: true, UpdateDescription: description(t.updating, t.update),
		Delete: true, DeleteDescription: description(t.deleting, t.delete) + " A change takes effect once it " +
			"is applied.",
	}).(schema.SingleNestedAttribute)
	for name, each := range attribute.Attributes {
		each := each.(schema.StringAttribute)
		each.Validators = []validator.String{duration} // the library's takes what is over before it begins
		attribute.Attributes[name] = each
	}
	return attribute
}

func quotedWords(u object.Usage) string { return "`" + strings.Join(u.Words(), "`, `") + "`" }

// template is what the plan asks the token to make. ok is false where part of it is not known yet.
func (k keyKind) template(ctx context.Context, m keyModel) (tmpl object.Template, ok bool) {
	a := m.common()
	if a.Label.IsUnknown() || a.Usage.IsUnknown() || a.Extractable.IsUnknown() || a.Algorithm.IsUnknown() || !m.known() {
		return object.Template{}, false
	}
	tmpl = object.Template{
		Type: k.keyType, ID: a.id(), Label: a.Label.ValueString(), Usage: a.usage(ctx), Extractable: a.Extractable.ValueBool(),
		Algorithm: a.Algorithm.ValueString(),
	}
	m.fill(&tmpl)
	return tmpl, true
}

// id is the key's CKA_ID, nil where it is unknown or null. The validator, or the token, has made sure that it is
// valid.
func (a *keyAttributes) id() []byte {
	if a.KeyID.IsUnknown() || a.KeyID.IsNull() {
		return nil
	}
	id, err := object.ParseID(a.KeyID.ValueString())
	if err != nil {
		return nil
	}
	return id
}

// usage is the set of usages. It is known, and the validator has made sure of its words.
func (a *keyAttributes) usage(ctx context.Context) object.Usage {
	var words []string
	_ = a.Usage.ElementsAs(ctx, &words, false)
	u, _ := object.ParseUsage(words)
	return u
}

// ref says which key is meant.
func (k keyKind) ref(m keyModel) object.Ref {
	ref := object.Ref{Type: k.keyType, ID: m.common().id(), Fingerprint: m.fingerprint()}
	if secret, ok := m.(*secretKeyModel); ok {
		ref.Kind, ref.Bits = secret.Type.ValueString(), int(secret.Bits.ValueInt64())
	}
	return ref
}

// read makes the model say what the token holds. A key_id that is the same in other letters stays as it was
// configured.
func (k keyKind) read(m keyModel, key object.Key, token hsm.TokenInfo) error {
	a := m.common()
	words := []attr.Value{}
	for _, w := range (key.Usage & key.MayUse()).Words() { // see leftOut
		words = append(words, types.StringValue(w))
	}
	var err error
	if a.Usage, err = stringSet(words); err != nil {
		return err
	}
	if !bytes.Equal(a.id(), key.ID) {
		a.KeyID = types.StringValue(object.FormatID(key.ID))
	}
	a.Label = types.StringValue(printable(key.Label))
	a.Extractable = types.BoolPointerValue(key.Extractable)
	a.Private, a.Sensitive = types.BoolPointerValue(key.Protected), types.BoolPointerValue(key.Sensitive)
	if !pkcs11uri.Names(a.URI.ValueString(), token, key) { // one of an earlier version stays: a new one would be a change
		a.URI = types.StringValue(pkcs11uri.Of(token, key))
	}
	a.TokenSerial = serialOf(token)
	a.Local = types.BoolPointerValue(key.Local)
	a.AlwaysSensitive = types.BoolPointerValue(key.AlwaysSensitive)
	a.NeverExtractable = types.BoolPointerValue(key.NeverExtractable)
	return m.take(key)
}

// leftOut are the usages on the token that no such key can have, and that no configuration may therefore say. Other
// tools set them. Signing with recovery is none of them, see usagesAgree.
func leftOut(key object.Key) object.Usage { return key.Usage &^ (key.MayUse() | object.SignRecover) }

// attributesOf are the model's attributes, each to be read or set.
func attributesOf(m keyModel) (all []reflect.Value) {
	v := reflect.ValueOf(m).Elem()
	for _, field := range reflect.VisibleFields(v.Type()) {
		if !field.Anonymous {
			all = append(all, v.FieldByIndex(field.Index))
		}
	}
	return all
}

// isUnknown says it of an attribute.
func isUnknown(attribute reflect.Value) bool { return attribute.Interface().(attr.Value).IsUnknown() }

// keepPlanned gives the model back what the plan knew: Terraform takes nothing else from an apply. What the token holds
// otherwise, after -refresh=false for instance, the next refresh tells.
func keepPlanned(m, planned keyModel) {
	is := attributesOf(m)
	for i, was := range attributesOf(planned) {
		if !isUnknown(was) {
			is[i].Set(was)
		}
	}
}

func stringSet(values []attr.Value) (types.Set, error) {
	set, diags := types.SetValue(types.StringType, values)
	if diags.HasError() {
		return set, fmt.Errorf("%s: %s", diags[0].Summary(), diags[0].Detail())
	}
	return set, nil
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
