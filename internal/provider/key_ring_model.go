package provider

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/jwk"
)

// keyRingModel is the plan or the state of a ring.
type keyRingModel struct {
	Label          types.String   `tfsdk:"label"`
	StandbyLabel   types.String   `tfsdk:"standby_label"`
	RetiredLabel   types.String   `tfsdk:"retired_label"`
	Generation     types.Int64    `tfsdk:"generation"`
	KeyIDPrefix    types.String   `tfsdk:"key_id_prefix"`
	ModulusBits    types.Int64    `tfsdk:"modulus_bits"`
	Curve          types.String   `tfsdk:"curve"`
	Previous       types.Int64    `tfsdk:"previous"`
	MinPublishTime types.String   `tfsdk:"min_publish_time"`
	Retired        types.String   `tfsdk:"retired"`
	Extractable    types.Bool     `tfsdk:"extractable"`
	DeletionPolicy types.String   `tfsdk:"deletion_policy"`
	Timeouts       timeouts.Value `tfsdk:"timeouts"`

	Keys               types.Map    `tfsdk:"keys"`
	Current            types.Object `tfsdk:"current"`
	URIs               types.List   `tfsdk:"uris"`
	RotationPossibleAt types.String `tfsdk:"rotation_possible_at"`
	TokenSerial        types.String `tfsdk:"token_serial"`
}

// ringKey is one pair of a ring.
type ringKey struct {
	Generation     types.Int64  `tfsdk:"generation"`
	Role           types.String `tfsdk:"role"`
	Label          types.String `tfsdk:"label"`
	KeyID          types.String `tfsdk:"key_id"`
	KID            types.String `tfsdk:"kid"`
	URI            types.String `tfsdk:"uri"`
	PublicKeyPEM   types.String `tfsdk:"public_key_pem"`
	JWK            types.String `tfsdk:"jwk"`
	Fingerprint    types.String `tfsdk:"public_key_fingerprint_sha256"`
	PublishedSince types.String `tfsdk:"published_since"`
}

// ringPause is how long a ring that turns waits before it takes a label from a pair: longer than a program takes to
// search the token.
var ringPause = time.Second

const (
	ringKeep    = "keep"
	ringDestroy = "destroy"
)

// common is what messages call the ring by.
func (m *keyRingModel) common() *keyAttributes {
	return &keyAttributes{Label: m.Label, TokenSerial: m.TokenSerial}
}

// name names the ring in messages.
func (m *keyRingModel) name() string { return fmt.Sprintf("%q", m.Label.ValueString()) }

// complete gives the arguments that the configuration leaves out the values that follow from others. state is nil for a
// new ring.
func (m *keyRingModel) complete(config, state *keyRingModel) {
	follow := func(value *types.String, configured types.String, suffix string) {
		switch {
		case !configured.IsNull():
			*value = configured
		case m.Label.IsUnknown():
			*value = types.StringUnknown()
		default:
			*value = types.StringValue(m.Label.ValueString() + suffix)
		}
	}
	follow(&m.StandbyLabel, config.StandbyLabel, ".standby")
	follow(&m.RetiredLabel, config.RetiredLabel, ".retired")
	follow(&m.KeyIDPrefix, config.KeyIDPrefix, "-")
	if state != nil && config.KeyIDPrefix.IsNull() {
		m.KeyIDPrefix = state.KeyIDPrefix
	}
	m.Curve, m.ModulusBits = config.Curve, config.ModulusBits
	switch {
	case !config.ModulusBits.IsNull():
	case config.Curve.IsUnknown(): // if it comes to be null, the pairs are RSA ones
		m.ModulusBits = types.Int64Unknown()
	case config.Curve.IsNull():
		m.ModulusBits = types.Int64Value(4096)
	}
}

// known says that all that decides what the token is to hold is known.
func (m *keyRingModel) known() bool {
	return !slices.ContainsFunc([]attr.Value{
		m.Label, m.StandbyLabel, m.RetiredLabel, m.Generation, m.KeyIDPrefix, m.ModulusBits, m.Curve, m.Previous,
		m.Retired, m.Extractable, m.MinPublishTime, m.DeletionPolicy,
	}, attr.Value.IsUnknown)
}

// unsettled says that something is not known that a look at the token would tell.
func (m *keyRingModel) unsettled() bool {
	values := []attr.Value{m.Keys, m.Current, m.URIs, m.RotationPossibleAt, m.TokenSerial}
	for _, key := range m.Keys.Elements() {
		if pair, ok := key.(types.Object); ok {
			values = append(values, slices.Collect(maps.Values(pair.Attributes()))...)
		}
	}
	return slices.ContainsFunc(values, attr.Value.IsUnknown)
}

// named gives the labels with the arguments that they have.
func (m *keyRingModel) named() []ringLabel {
	return []ringLabel{{"label", m.Label}, {"standby_label", m.StandbyLabel}, {"retired_label", m.RetiredLabel}}
}

type ringLabel struct {
	argument string
	value    types.String
}

// is says that both are known and the same.
func (l ringLabel) is(other ringLabel) bool {
	return l.value.ValueString() != "" && l.value.Equal(other.value)
}

// check refuses what no ring can be. What is not known yet, a later plan checks.
func (m *keyRingModel) check() (diags diag.Diagnostics) {
	labels := m.named()
	for i, one := range labels {
		if !one.value.IsUnknown() && one.value.ValueString() == "" {
			diags.AddAttributeError(path.Root(one.argument), "Empty Label", "A key needs a label of 1 to 255 "+
				"bytes.\n\nWhat to do: give it one, or leave the argument out.")
		}
		for _, other := range labels[:i] {
			if one.is(other) {
				diags.AddAttributeError(path.Root(one.argument), "Labels Of A Ring Must Differ", fmt.Sprintf(
					"%s and %s are both %q. A ring tells by the label which pair signs, which are published, and "+
						"which are retired.\n\nWhat to do: give each of them another label.", other.argument,
					one.argument, one.value.ValueString()))
			}
		}
	}
	if prefix := m.KeyIDPrefix; !prefix.IsUnknown() {
		if err := generationPrefix.parse(prefix.ValueString()); err != nil {
			diags.AddAttributeError(path.Root("key_id_prefix"), "Invalid Prefix", fmt.Sprintf("key_id_prefix %s. It "+
				"must have at least one character, and no digit at its end.", err))
		}
	}
	return diags
}

// relabelling refuses a label that the pairs of another role have until now: halfway, nobody could tell them apart.
func (m *keyRingModel) relabelling(state *keyRingModel) (diags diag.Diagnostics) {
	was := state.named()
	for i, one := range m.named() {
		for j, old := range was {
			if i != j && one.is(old) {
				diags.AddAttributeError(path.Root(one.argument), "Labels Of A Ring Must Differ", fmt.Sprintf(
					"%s is now %q, which was %s until now. While the pairs get their new labels, nobody could tell "+
						"which of them are which.\n\nOn the token: nothing has been changed.\n\nWhat to do: choose "+
						"a label that the ring does not have. For this one, apply the new %s first, and this change "+
						"after that.", one.argument, one.value.ValueString(), old.argument, old.argument))
			}
		}
	}
	return diags
}

// template is that of new pairs.
func (m *keyRingModel) template() object.Template {
	tmpl := object.Template{Type: object.RSA, ModulusBits: int(m.ModulusBits.ValueInt64()), PublicExponent: 65537}
	if curve := m.Curve.ValueString(); curve != "" {
		tmpl = object.Template{Type: object.EC, Curve: curve}
	}
	tmpl.Usage, tmpl.Extractable, tmpl.AnyUsage = object.Sign, m.Extractable.ValueBool(), true
	return tmpl
}

func (m *keyRingModel) labels() hsm.RingLabels {
	return hsm.RingLabels{
		Current: m.Label.ValueString(), Standby: m.StandbyLabel.ValueString(), Retired: m.RetiredLabel.ValueString(),
	}
}

// ring is what the model asks for. state is the model of before, nil where there is none; its pairs are those that are
// meant.
func (m *keyRingModel) ring(ctx context.Context, state *keyRingModel) hsm.Ring {
	r := hsm.Ring{
		RingLabels: m.labels(), Prefix: m.KeyIDPrefix.ValueString(), Generation: int(m.Generation.ValueInt64()),
		Previous: int(m.Previous.ValueInt64()), Destroy: m.Retired.ValueString() == ringDestroy, Template: m.template(),
		Pause: ringPause,
	}
	if state == nil {
		return r
	}
	if was := state.labels(); was != r.RingLabels {
		r.Was = was
	}
	r.Fingerprints = map[int]string{}
	for generation, key := range state.keys(ctx) {
		r.Fingerprints[generation] = key.Fingerprint.ValueString()
	}
	return r
}

// keys are the pairs of a plan or state, by generation; none where they are not known.
func (m *keyRingModel) keys(ctx context.Context) map[int]ringKey {
	all := map[int]ringKey{}
	byText := map[string]types.Object{}
	if m.Keys.IsUnknown() || m.Keys.ElementsAs(ctx, &byText, false).HasError() {
		return all
	}
	for text, object := range byText {
		var key ringKey
		generation, err := strconv.Atoi(text)
		if err != nil || object.IsUnknown() || object.As(ctx, &key, basetypes.ObjectAsOptions{}).HasError() {
			continue
		}
		if !key.Fingerprint.IsNull() { // else it was planned, and never made: another run changed the token before
			all[generation] = key
		}
	}
	return all
}

// setKeys makes the model show pairs, and what follows from them.
func (m *keyRingModel) setKeys(ctx context.Context, keys map[int]ringKey) (diags diag.Diagnostics) {
	byText := map[string]ringKey{}
	uris := []types.String{}
	for _, generation := range slices.Sorted(maps.Keys(keys)) {
		key := keys[generation]
		byText[strconv.Itoa(generation)] = key
		if key.published(m) {
			uris = append(uris, key.URI)
		}
	}
	var ds diag.Diagnostics
	m.Keys, ds = types.MapValueFrom(ctx, ringKeyType(), byText)
	diags.Append(ds...)
	m.URIs, ds = types.ListValueFrom(ctx, types.StringType, uris)
	diags.Append(ds...)
	m.Current = types.ObjectNull(ringKeyType().AttrTypes)
	if current, ok := keys[int(m.Generation.ValueInt64())]; ok {
		m.Current, ds = types.ObjectValueFrom(ctx, ringKeyType().AttrTypes, current)
		diags.Append(ds...)
	}
	m.RotationPossibleAt = types.StringNull()
	if next, ok := keys[int(m.Generation.ValueInt64())+1]; ok {
		m.RotationPossibleAt = next.possibleAt(m)
	}
	return diags
}

// forgetKeys says that nothing is known of the pairs.
func (m *keyRingModel) forgetKeys() {
	m.Keys, m.Current = types.MapUnknown(ringKeyType()), types.ObjectUnknown(ringKeyType().AttrTypes)
	m.URIs, m.RotationPossibleAt = types.ListUnknown(types.StringType), types.StringUnknown()
}

// published says that the pair has one of the labels that are published.
func (k ringKey) published(m *keyRingModel) bool {
	return k.Label.Equal(m.Label) || k.Label.Equal(m.StandbyLabel)
}

// keyType is the type of the pair, as its JWK tells.
func (k ringKey) keyType() object.KeyType {
	switch text := k.JWK.ValueString(); {
	case strings.Contains(text, `"crv"`):
		return object.EC
	case strings.Contains(text, `"pub"`): // somebody else's, under one of the ring's IDs
		return object.MLDSA
	}
	return object.RSA
}

// possibleAt is when the pair may sign: unknown where it is not published yet, null where nobody knows since when it
// is.
func (k ringKey) possibleAt(m *keyRingModel) types.String {
	if k.PublishedSince.IsUnknown() || m.MinPublishTime.IsUnknown() {
		return types.StringUnknown()
	}
	at, ok := k.ready(m)
	if !ok {
		return types.StringNull()
	}
	return types.StringValue(at.Format(time.RFC3339))
}

// ready is when the pair has been published for min_publish_time.
func (k ringKey) ready(m *keyRingModel) (at time.Time, ok bool) {
	since, err := time.Parse(time.RFC3339, k.PublishedSince.ValueString())
	if err != nil {
		return time.Time{}, false
	}
	length, err := parsePeriod(m.MinPublishTime.ValueString())
	return since.Add(length), err == nil
}

// take makes the model say what the token holds of the ring. known are the pairs of before.
func (m *keyRingModel) take(ctx context.Context, r hsm.Ring, held hsm.RingState, token hsm.TokenInfo,
	known map[int]ringKey, now time.Time) error {
	keys := map[int]ringKey{}
	for generation, pair := range held.Pairs {
		role := r.RoleOf(generation, pair.Label)
		if role == hsm.RoleRetired && !r.Publishes(pair.Label) {
			continue
		}
		if role == hsm.RoleRetired { // published until the next apply
			role = hsm.RolePrevious
		}
		before := known[generation]
		key, err := ringKeyOf(generation, role, pair, token, before)
		if err != nil {
			return &hsm.GenerationError{Generation: generation, Err: err}
		}
		same := before.Fingerprint.ValueString() == pair.Fingerprint() && before.PublishedSince.ValueString() != ""
		switch {
		case !r.Publishes(pair.Label):
			key.PublishedSince = types.StringNull()
		case same:
			key.PublishedSince = before.PublishedSince
		default:
			key.PublishedSince = timeText(now)
		}
		keys[generation] = key
	}
	m.TokenSerial = serialOf(token)
	if diags := m.setKeys(ctx, keys); diags.HasError() {
		return fmt.Errorf("%s: %s", diags[0].Summary(), diags[0].Detail())
	}
	return nil
}

func ringKeyOf(generation int, role hsm.Role, pair object.Key, token hsm.TokenInfo, before ringKey) (ringKey, error) {
	forms, err := formsOf(pair.PublicKey, pair.ID, use(pair.Usage), pair.AllowsAlg)
	if err != nil {
		return ringKey{}, err
	}
	uri := before.URI
	if !pkcs11uri.Names(uri.ValueString(), token, pair) {
		uri = types.StringValue(pkcs11uri.Of(token, pair))
	}
	return ringKey{
		Generation: types.Int64Value(int64(generation)), Role: types.StringValue(string(role)),
		Label: types.StringValue(printable(pair.Label)), KeyID: types.StringValue(object.FormatID(pair.ID)),
		KID: types.StringValue(forms.kid), URI: uri, PublicKeyPEM: types.StringValue(forms.pem),
		JWK: types.StringValue(forms.jwk), Fingerprint: types.StringValue(pair.Fingerprint()),
	}, nil
}

// plannedKey is a pair that is still to be made. What hangs on its public key is unknown, and so is its URI: who refers
// to that waits until the pair is there.
func plannedKey(r hsm.Ring, generation int) ringKey {
	id := r.ID(generation)
	return ringKey{
		Generation: types.Int64Value(int64(generation)), KeyID: types.StringValue(object.FormatID(id)),
		KID: types.StringValue(jwk.KID(id)), URI: types.StringUnknown(), PublicKeyPEM: types.StringUnknown(),
		JWK: types.StringUnknown(), Fingerprint: types.StringUnknown(), PublishedSince: types.StringUnknown(),
	}
}

// planned are the pairs of a ring once it has turned: those that are known with their new roles, and new ones. now are
// the places of those that are there.
func planned(r hsm.Ring, now map[int]hsm.Place, known map[int]ringKey) map[int]ringKey {
	then := map[int]hsm.Place{}
	maps.Copy(then, now)
	for _, turn := range r.Turns(now) {
		turn.Apply(then)
	}
	keys := map[int]ringKey{}
	for generation, at := range then {
		role := r.RoleOf(generation, at.Label)
		if role == hsm.RoleRetired || at.Half {
			continue
		}
		key, ok := known[generation]
		if _, there := now[generation]; !ok || !there {
			key = plannedKey(r, generation)
		}
		if key.PublishedSince.ValueString() == "" {
			key.PublishedSince = types.StringUnknown()
		}
		if now[generation].Off { // sets may show it otherwise
			key.URI, key.JWK = types.StringUnknown(), types.StringUnknown()
		}
		key.Role, key.Label = types.StringValue(string(role)), types.StringValue(at.Label)
		keys[generation] = key
	}
	return keys
}

// keepPlannedKeys gives the model what the plan knew of its pairs. What the token holds otherwise, the next refresh
// tells.
func (m *keyRingModel) keepPlannedKeys(ctx context.Context, plan *keyRingModel) diag.Diagnostics {
	if plan.Keys.IsUnknown() {
		return nil
	}
	all, keys := m.keys(ctx), plan.keys(ctx)
	for generation, key := range keys {
		is := all[generation]
		for _, field := range []struct {
			planned *types.String
			held    types.String
		}{
			{&key.URI, is.URI}, {&key.PublicKeyPEM, is.PublicKeyPEM}, {&key.JWK, is.JWK},
			{&key.Fingerprint, is.Fingerprint}, {&key.PublishedSince, is.PublishedSince},
		} {
			if field.planned.IsUnknown() {
				*field.planned = field.held
			}
		}
		keys[generation] = key
	}
	return m.setKeys(ctx, keys)
}
