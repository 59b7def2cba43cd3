package provider

import (
	"context"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// ringIdentity tells a ring from those of all tokens. Its label may change.
type ringIdentity struct {
	TokenSerial types.String `tfsdk:"token_serial"`
	Label       types.String `tfsdk:"label"`
	KeyIDPrefix types.String `tfsdk:"key_id_prefix"`
}

func (r *keyRingResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest,
	resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"token_serial": identityschema.StringAttribute{
			Description: "Serial number of the token. An import that gives it is refused on every other token. Null " +
				"if the token has none.",
			OptionalForImport: true,
		},
		"label": identityschema.StringAttribute{Description: "Label of the pair that signs.", RequiredForImport: true},
		"key_id_prefix": identityschema.StringAttribute{
			Description: "What the IDs of the pairs begin with. An import needs it only where pairs of several rings " +
				"have the label.",
			OptionalForImport: true,
		},
	}}
}

func (m *keyRingModel) identify(ctx context.Context, identity *tfsdk.ResourceIdentity) diag.Diagnostics {
	return identity.Set(ctx, ringIdentity{TokenSerial: m.TokenSerial, Label: m.Label, KeyIDPrefix: m.KeyIDPrefix})
}

// ImportState takes a ring by the label of the pair that signs. The prefix of its IDs and the generation are those of
// the pair with that label; of several, the highest.
func (r *keyRingResource) ImportState(ctx context.Context, req resource.ImportStateRequest,
	resp *resource.ImportStateResponse) {
	asked := ringIdentity{Label: types.StringValue(req.ID)}
	if req.ID == "" && req.Identity != nil {
		if resp.Diagnostics.Append(req.Identity.Get(ctx, &asked)...); resp.Diagnostics.HasError() {
			return
		}
	}
	defer func() { nameKeys(&resp.Diagnostics, keyRingType, resp.State.Raw) }()
	m := keyRingModel{
		Label: asked.Label, MinPublishTime: types.StringValue("24h"), Retired: types.StringValue(ringKeep),
		DeletionPolicy: types.StringValue(policyPrevent), Timeouts: noTimeouts(),
	}
	take := func(ctx context.Context, token *hsm.Token) error {
		if serial := asked.TokenSerial.ValueString(); serial != "" && serial != printable(token.Info().Serial) {
			return &diagnose.SerialError{Asked: serial, Token: token.Info()}
		}
		if err := r.recognise(ctx, token, asked, &m); err != nil {
			return err
		}
		held, err := token.Ring(ctx, m.ring(ctx, nil))
		if err != nil {
			return err
		}
		m.resemble(ctx, held)
		ring := m.ring(ctx, nil)
		for generation, pair := range held.Pairs {
			if ring.RoleOf(generation, pair.Label) == hsm.RoleRetired {
				continue // nobody uses it any more
			}
			if _, err := token.Prove(ctx, pair); err != nil {
				return &hsm.GenerationError{Generation: generation, Err: err}
			}
		}
		r.managed(held)
		resp.Diagnostics.Append(mark(ctx, resp.Private)...)
		resp.Diagnostics.Append(r.keep(ctx, token, ring, held, &m, nil, nil, ringNote{},
			saved{resp.Private, resp.Identity, &resp.State})...)
		return nil
	}
	r.keys.within(ctx, &resp.Diagnostics, diagnose.Import, &m, always, readTime, take)
}

// always is the time that an operation may take whose time no configuration gives.
func always(_ context.Context, limit time.Duration) (time.Duration, diag.Diagnostics) {
	return limit, nil
}

// recognise finds what the pairs of a ring have in common.
func (r *keyRingResource) recognise(ctx context.Context, token *hsm.Token, asked ringIdentity, m *keyRingModel) error {
	inventory, err := token.Inventory(ctx)
	if err != nil {
		return err
	}
	label, highest := asked.Label.ValueString(), map[string]int{}
	for _, key := range inventory.Labelled(label) {
		prefix, generation, ok := hsm.CutGeneration(key.ID)
		ok = ok && utf8.ValidString(prefix) && generation <= maxGeneration // or no configuration could say it
		if ok && key.Public != nil && !key.Unprotected() && (asked.KeyIDPrefix.IsNull() ||
			asked.KeyIDPrefix.ValueString() == prefix) {
			highest[prefix] = max(highest[prefix], generation)
		}
	}
	prefixes := slices.Sorted(maps.Keys(highest))
	if len(prefixes) != 1 {
		return &diagnose.RingImportError{Label: label, Prefixes: prefixes}
	}
	m.KeyIDPrefix, m.Generation = types.StringValue(prefixes[0]), types.Int64Value(int64(highest[prefixes[0]]))
	m.StandbyLabel, m.RetiredLabel = types.StringValue(label+".standby"), types.StringValue(label+".retired")
	return nil
}

// resemble gives the model the arguments with which a ring would be as the token holds it: the labels of the next pair
// and of the last past one that is not published, how many past ones are, and the kind of the newest.
func (m *keyRingModel) resemble(ctx context.Context, held hsm.RingState) {
	signs, newest, retired, previous := int(m.Generation.ValueInt64()), 0, 0, 0
	if next, ok := held.Pairs[signs+1]; ok && next.Label != m.Label.ValueString() {
		m.StandbyLabel = types.StringValue(printable(next.Label))
	}
	published := m.ring(ctx, nil).Publishes
	for generation, pair := range held.Pairs {
		newest = max(newest, generation)
		switch {
		case generation >= signs:
		case published(pair.Label):
			previous = max(previous, signs-generation)
		default:
			retired = max(retired, generation)
		}
	}
	if retired > 0 {
		m.RetiredLabel = types.StringValue(printable(held.Pairs[retired].Label))
	} else {
		previous = max(previous, 1) // the default: nothing has been retired yet
	}
	m.Previous = types.Int64Value(int64(previous))
	m.makesLike(held.Pairs[newest])
}

// makesLike has the ring make pairs like one that is there.
func (m *keyRingModel) makesLike(pair object.Key) {
	m.Extractable = types.BoolValue(pair.Extractable != nil && *pair.Extractable)
	if pair.Type == object.EC {
		m.Curve = types.StringValue(publickey.Curve(pair.PublicKey))
		return
	}
	m.ModulusBits = types.Int64Value(4096) // the default, beside a pair that no ring makes
	if pair.Type == object.RSA {
		var like rsaKeyPairModel
		if like.take(pair) == nil {
			m.ModulusBits = like.ModulusBits
		}
	}
}
