package provider

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

var (
	_ resource.ResourceWithConfigure   = (*keyRingResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*keyRingResource)(nil)
	_ resource.ResourceWithImportState = (*keyRingResource)(nil)
	_ resource.ResourceWithIdentity    = (*keyRingResource)(nil)
)

const keyRingType = "hsm_key_ring"

// keyRingResource is a ring: the next, the current and the previous pairs of one purpose, which package hsm turns. What
// it does as the resources of single keys do, keys does.
type keyRingResource struct {
	keys *keyResource
	now  func() time.Time
}

func newKeyRingResource() resource.Resource {
	return &keyRingResource{
		keys: &keyResource{kind: keyKind{
			vocabulary: vocabulary{noun: "key ring", title: "Key Ring", parts: pairVocabulary.parts,
				mark: pairVocabulary.mark},
			name: strings.TrimPrefix(keyRingType, "hsm_"),
		}},
		now: time.Now,
	}
}

func (r *keyRingResource) client() *client { return r.keys.client }

func (r *keyRingResource) Metadata(ctx context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	r.keys.Metadata(ctx, req, resp)
}

func (r *keyRingResource) Configure(ctx context.Context, req resource.ConfigureRequest,
	resp *resource.ConfigureResponse) {
	r.keys.Configure(ctx, req, resp)
}

func (r *keyRingResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	label := func(description string) schema.StringAttribute {
		return schema.StringAttribute{MarkdownDescription: description, Optional: true, Computed: true,
			Validators: []validator.String{atMostBytes(255)}}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "Key pairs that take turns at signing: the next, the current and the previous ones of " +
			"one purpose, such as Hydra's access tokens. Raise `generation` by one, and the next pair signs. It is " +
			"published before, and the one that signed until then stays published after, so that no verifier " +
			"notices.\n\nA ring makes its pairs itself. What is on the token already comes into a ring by an import.",
		Attributes: map[string]schema.Attribute{
			"label": schema.StringAttribute{
				MarkdownDescription: "Label (`CKA_LABEL`) of the pair that signs. In Hydra it is the name of a key " +
					"set. It can change in place.",
				Required: true, Validators: []validator.String{atMostBytes(240)},
			},
			"standby_label": label("Label of the next and the previous pairs. Defaults to `LABEL.standby`. There is " +
				"always a pair under it: Hydra fills an empty set that it publishes with a key of its own."),
			"retired_label": label("Label of the pairs that are published no more. Defaults to `LABEL.retired`."),
			"generation": schema.Int64Attribute{
				MarkdownDescription: "Which generation signs, from 1. One more rotates; one less goes back, as long " +
					"as that pair is still published. Any other step is an error. The function `generation` gives it " +
					"by the calendar.",
				Required: true, Validators: []validator.Int64{atLeast(1)},
			},
			"key_id_prefix": schema.StringAttribute{
				MarkdownDescription: "What the IDs (`CKA_ID`) of the pairs begin with. That of generation 3 is the " +
					"text of the prefix and `3`, so that no generation is made twice. Defaults to `LABEL-`, with the " +
					"label that the ring was made with. It must not end in a digit, and cannot change.",
				Optional: true, Computed: true, Validators: []validator.String{atMostBytes(240), generationPrefix},
			},
			"modulus_bits": schema.Int64Attribute{
				MarkdownDescription: "Length of the modulus of new RSA pairs, 2048 to 16384 bits, in steps of 8. " +
					"Defaults to 4096, unless `curve` is given. A change counts for pairs that are made from then on.",
				Optional: true, Computed: true, Validators: []validator.Int64{between(2048, 16384), multipleOf(8)},
			},
			"curve": schema.StringAttribute{
				MarkdownDescription: fmt.Sprintf("Curve of new pairs, by its JOSE name: `%s`. A change counts for "+
					"pairs that are made from then on, so that RSA becomes EC by rotating.",
					strings.Join(publickey.Curves(), "`, `")),
				Optional: true, Validators: []validator.String{oneOf(publickey.Curves()...),
					without("A new pair is an RSA pair or one on a curve. Leave one of the two out.", "modulus_bits")},
			},
			"previous": schema.Int64Attribute{
				MarkdownDescription: "How many past generations stay published. Defaults to 1. With 0, in an " +
					"emergency, the pair that has signed is published no more as soon as the next one signs. A pair " +
					"that is retired is never published again.",
				Optional: true, Computed: true, Default: int64default.StaticInt64(1),
				Validators: []validator.Int64{between(0, 100)},
			},
			"min_publish_time": schema.StringAttribute{
				MarkdownDescription: "How long the next pair has to have been published before it may sign, such as " +
					"`24h` or `2d`: verifiers keep sets of keys for a while. Defaults to `24h`. A rotation before " +
					"that is an error of the plan. To rotate all the same, set it to `0s` for that one apply. After " +
					"an import, the time counts from the import.",
				Optional: true, Computed: true, Default: stringdefault.StaticString("24h"),
				Validators: []validator.String{publishTime},
			},
			"retired": schema.StringAttribute{
				MarkdownDescription: "What happens to a pair that is published no more: `keep` gives it the " +
					"`retired_label`, and `destroy` destroys it for ever. Defaults to `keep`. A change counts for " +
					"pairs that are retired from then on.",
				Optional: true, Computed: true, Default: stringdefault.StaticString(ringKeep),
				Validators: []validator.String{oneOf(ringKeep, ringDestroy)},
			},
			"extractable": schema.BoolAttribute{
				MarkdownDescription: "Whether the private keys of new pairs may ever leave the token, wrapped by " +
					"another key (`CKA_EXTRACTABLE`). Defaults to false. A change counts for pairs that are made " +
					"from then on.",
				Optional: true, Computed: true, Default: booldefault.StaticBool(false),
			},
			"deletion_policy": schema.StringAttribute{
				MarkdownDescription: "What happens to the pairs on the token when the resource is destroyed. " +
					"Defaults to `prevent`.\n  - `prevent`: a plan that would destroy them fails. A pair that is " +
					"lost is not made again.\n  - `abandon`: the resource leaves the state, and the pairs stay on " +
					"the token.\n  - `delete`: the pairs that `keys` shows are destroyed for ever. Retired ones that " +
					"were kept stay.\n\n  The policy in the state counts: a change of the policy takes effect once " +
					"it is applied.",
				Optional: true, Computed: true, Default: stringdefault.StaticString(policyPrevent),
				Validators: []validator.String{oneOf(policyPrevent, policyAbandon, policyDelete)},
			},
			"timeouts": timeoutsOf(ctx, ringTimes),
			"keys": schema.MapNestedAttribute{
				MarkdownDescription: "The pairs that are published, by the number of their generation as a text.",
				Computed:            true, NestedObject: schema.NestedAttributeObject{Attributes: ringKeyAttributes()},
			},
			"current": schema.SingleNestedAttribute{
				MarkdownDescription: "The pair that signs: one of `keys`.", Computed: true,
				Attributes: ringKeyAttributes(),
			},
			"uris": schema.ListAttribute{
				MarkdownDescription: "The URIs of all pairs that are published, in the order of their generations: " +
					"for the `uris` of `hsm_jwks`.",
				ElementType: types.StringType, Computed: true,
			},
			"rotation_possible_at": schema.StringAttribute{
				MarkdownDescription: "When the next pair will have been published for `min_publish_time`, in RFC 3339.",
				Computed:            true,
			},
			"token_serial": schema.StringAttribute{
				MarkdownDescription: "Serial number of the token that holds the ring, as it was last read. An apply " +
					"in which it is another one turns nothing. Null if the token has none.",
				Computed: true,
			},
		},
	}
}

var ringTimes = times{
	create: createTime, read: readTime, update: createTime, delete: changeTime,
	creating: "making the first pairs", reading: "reading the pairs", updating: "turning the ring, which makes a pair,",
	deleting: "destroying the pairs",
}

// ringKeyAttributes are those of one pair.
func ringKeyAttributes() map[string]schema.Attribute {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{MarkdownDescription: description, Computed: true}
	}
	return map[string]schema.Attribute{
		"generation": schema.Int64Attribute{MarkdownDescription: "Number of the generation.", Computed: true},
		"role":       text("What the pair does: `next`, `current` or `previous`."),
		"label":      text("Label of the pair."),
		"key_id":     text("ID of the pair in hexadecimal."),
		"kid":        text("The ID as a JWK's `kid`."),
		"uri": text("PKCS#11 URI ([RFC 7512](https://www.rfc-editor.org/rfc/rfc7512)) of the pair. It is unknown " +
			"until the pair exists, so that what refers to it waits for that."),
		"public_key_pem": text("The public key in PEM (`PUBLIC KEY`, a SubjectPublicKeyInfo)."),
		"jwk": text("The public key as a JSON Web Key ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)), with " +
			"`kid`, `use` and `alg`."),
		"public_key_fingerprint_sha256": text("SHA-256 of the public key's SubjectPublicKeyInfo, in hexadecimal. By " +
			"it the provider notices when another key has taken the place of this one under the same ID."),
		"published_since": text("Since when the pair has been published, as far as this state knows, in RFC 3339."),
	}
}

func ringKeyType() types.ObjectType {
	of := map[string]attr.Type{}
	for name, attribute := range ringKeyAttributes() {
		of[name] = attribute.GetType()
	}
	return types.ObjectType{AttrTypes: of}
}

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

func (m *keyRingModel) identify(ctx context.Context, identity *tfsdk.ResourceIdentity,
	token hsm.TokenInfo) diag.Diagnostics {
	return identity.Set(ctx, ringIdentity{TokenSerial: serialOf(token), Label: m.Label, KeyIDPrefix: m.KeyIDPrefix})
}

func (r *keyRingResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	defer func() { nameKeys(&resp.Diagnostics, keyRingType, req.Plan.Raw) }()
	var m keyRingModel
	if resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	r.keys.within(ctx, &resp.Diagnostics, diagnose.Create, &m, m.Timeouts.Create, createTime, func(ctx context.Context,
		token *hsm.Token) error {
		if !m.known() {
			return errUnknownAtApply
		}
		if resp.Diagnostics.Append(m.check()...); resp.Diagnostics.HasError() {
			return nil // what the plan did not know yet
		}
		ring, plan := m.ring(ctx, nil), m
		held, err := token.Ring(ctx, ring)
		if err == nil && !held.Empty() {
			err = &diagnose.RingExistsError{Label: ring.Current, Pairs: described(held.Pairs)}
		}
		if err != nil {
			return err
		}
		held, done, err := token.Turn(ctx, ring)
		if err != nil && len(done) > 0 {
			resp.Diagnostics.AddWarning("Ring Half Made", fmt.Sprintf("Not all pairs of the key ring %s could be "+
				"made. The token holds those of these steps, and no state has them:\n\n%s\n\nWhat to do: remove the "+
				"cause of the error that is told beside this. Then import the ring:\n\n%s\n\nThe next terraform "+
				"apply does the rest.", m.name(), steps(done),
				diagnose.HowToImport(keyRingType, ring.Current)))
		}
		if err != nil {
			return err
		}
		r.managed(held)
		resp.Diagnostics.Append(mark(ctx, resp.Private)...)
		resp.Diagnostics.Append(r.keep(ctx, token, ring, held, &m, &plan, nil, resp.Private, resp.Private,
			resp.Identity, &resp.State)...)
		return nil
	})
}

// keep makes the state and the notes say what the token holds. plan is what the plan knew, nil where none did; known
// are the pairs of before.
func (r *keyRingResource) keep(ctx context.Context, token *hsm.Token, ring hsm.Ring, held hsm.RingState, m,
	plan *keyRingModel,
	known map[int]ringKey, before privateReader, private privateState, identity *tfsdk.ResourceIdentity,
	state *tfsdk.State,
) (diags diag.Diagnostics) {
	if err := m.take(ctx, ring, held, token.Info(), known, r.now()); err != nil {
		return diag.Diagnostics{r.keys.failure(diagnose.Read, m, token, err)}
	}
	if plan != nil {
		diags.Append(m.keepPlannedKeys(ctx, plan)...)
	}
	diags.Append(noteRing(ctx, before, private, ring, held)...)
	diags.Append(m.identify(ctx, identity, token.Info())...)
	diags.Append(state.Set(ctx, m)...)
	return diags
}

// managed notes that the pairs are in the state, so that no plan takes one for a key that nobody manages.
func (r *keyRingResource) managed(held hsm.RingState) {
	for _, pair := range held.Pairs {
		r.client().noteManaged(object.FormatID(pair.ID))
	}
}

func steps(turns []hsm.Turn) string {
	var lines []string
	for _, turn := range turns {
		lines = append(lines, "  - "+turn.String())
	}
	return strings.Join(lines, "\n")
}

func (r *keyRingResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	defer func() { nameKeys(&resp.Diagnostics, keyRingType, req.State.Raw) }()
	var m keyRingModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(markMissing(ctx, req.Private, resp.Private)...)
	known := m.keys(ctx)
	r.keys.within(ctx, &resp.Diagnostics, diagnose.Read, &m, m.Timeouts.Read, readTime, func(ctx context.Context,
		token *hsm.Token) error {
		ring := m.ring(ctx, &m)
		held, err := token.Ring(ctx, ring)
		resp.Diagnostics.Append(m.identify(ctx, resp.Identity, token.Info())...)
		if err != nil {
			return err
		}
		if held.Empty() {
			return r.gone(ctx, &m, token, ring, resp)
		}
		r.managed(held)
		r.warnOfDrift(ctx, token, &m, ring, held, known, &resp.Diagnostics)
		resp.Diagnostics.Append(r.keep(ctx, token, ring, held, &m, nil, known, req.Private, resp.Private, resp.Identity,
			&resp.State)...)
		return nil
	})
}

// gone decides what happens to the state of a ring of which the token holds nothing.
func (r *keyRingResource) gone(ctx context.Context, m *keyRingModel, token *hsm.Token, ring hsm.Ring,
	resp *resource.ReadResponse) error {
	if m.DeletionPolicy.ValueString() == policyPrevent {
		return &hsm.GenerationError{Generation: ring.Generation, Err: fmt.Errorf("key ID %s: %w",
			object.FormatID(ring.ID(ring.Generation)), object.ErrNotFound)}
	}
	resp.Diagnostics.AddWarning("Key Ring Not On The Token", fmt.Sprintf(
		"No pair of the key ring %s is on the token in %s. Its deletion_policy is %q, so it leaves the state, and "+
			"Terraform plans a new ring.\n\nWhat to do: if this is the wrong token, do not apply, and correct the "+
			"provider's configuration. If the pairs are lost, give the new ring another key_id_prefix: verifiers "+
			"keep public keys by their kid.",
		m.name(), token.Info(), m.DeletionPolicy.ValueString()))
	resp.State.RemoveResource(ctx)
	return nil
}

// warnOfDrift tells what somebody else has done to the ring, as far as the plan does not show it.
func (r *keyRingResource) warnOfDrift(ctx context.Context, token *hsm.Token, m *keyRingModel, ring hsm.Ring,
	held hsm.RingState, known map[int]ringKey, diags *diag.Diagnostics,
) {
	for _, generation := range slices.Sorted(maps.Keys(known)) {
		was := known[generation].Fingerprint.ValueString()
		pair, there := held.Pairs[generation]
		_, half := held.Halves[generation]
		switch {
		case half: // its destruction was interrupted, and the plan shows that it goes
			continue
		case !there:
			diags.AddWarning("Pair Of The Ring Not On The Token", fmt.Sprintf(
				"Generation %d (key_id %s) of the key ring %s is gone: somebody has destroyed it on the token, or "+
					"given it another ID. Whoever takes public keys from the token can no longer verify what it has "+
					"signed.\n\nWhat to do: %s", generation, object.FormatID(ring.ID(generation)), m.name(),
				r.wayBack(ctx, token, ring.ID(generation), known[generation])))
		case was != "" && was != pair.Fingerprint():
			diags.AddWarning("Another Key Behind The Same ID", fmt.Sprintf(
				"Generation %d (key_id %s) of the key ring %s is not the pair in the state: its public key has the "+
					"SHA-256 fingerprint\n\n  %s\n\nThe state has\n\n  %s\n\nSomeone has made a new pair in its "+
					"place, or the provider looks at another token. The state takes what the token holds, and counts "+
					"its time of publication from now.\n\nWhat to do: if you did not expect this, do not apply, and "+
					"find out why.", generation, object.FormatID(pair.ID), m.name(), pair.Fingerprint(),
				was))
		case known[generation].Label.ValueString() != printable(pair.Label):
			diags.AddWarning("Pair Of The Ring Has Another Label", fmt.Sprintf(
				"Generation %d (key_id %s) of the key ring %s has the label %q, and the state has %q: somebody has "+
					"changed it, or an apply was interrupted. The plan shows the labels that the next apply gives "+
					"back.\n\nWhat to do: find out who changed it. Then run terraform apply.",
				generation, object.FormatID(pair.ID), m.name(), pair.Label, known[generation].Label.ValueString()))
		}
		warnOfStrays(pair, diags)
	}
	if len(held.Others) > 0 {
		var lines []string
		for _, other := range held.Others {
			line := "  - " + nameOf(other.Label, other.ID)
			if other.Unprotected() {
				line += ", not protected by the PIN"
			}
			lines = append(lines, line)
		}
		diags.AddWarning("Other Pairs Beside The Ring", fmt.Sprintf(
			"The token holds pairs that are none of the key ring %s, and that programs may take for its own, because "+
				"of their label or their ID:\n\n%s\n\nHydra signs with any pair that has the label %q.\n\nWhat to "+
				"do: give them another label and another ID, or destroy them. The ring does not touch them.", m.name(),
			strings.Join(lines, "\n"), ring.Current))
	}
}

// wayBack says how a pair comes back that the ring has lost. A failure to look for it under another ID only makes that
// shorter.
func (r *keyRingResource) wayBack(ctx context.Context, token *hsm.Token, id []byte, was ringKey) string {
	ref := object.Ref{Type: was.keyType(), Fingerprint: was.Fingerprint.ValueString()}
	moved, found, err := token.KeyByFingerprint(ctx, ref, func([]byte) bool { return false })
	if err != nil || !found {
		return "restore it from the token's backup. If it is the one that signs, and lost, raise generation by one: " +
			"then the next pair signs."
	}
	var lines []string
	for _, part := range r.keys.kind.parts {
		lines = append(lines, "  "+token.Command("--id", object.FormatID(moved.ID), "--type", part, "--set-id",
			object.FormatID(id)))
	}
	return fmt.Sprintf("the same pair is on the token as %s. Give it its ID back:\n\n%s", nameOf(moved.Label, moved.ID),
		strings.Join(lines, "\n"))
}

func (r *keyRingResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	defer func() { nameKeys(&resp.Diagnostics, keyRingType, req.State.Raw) }()
	var m, state keyRingModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	known := state.keys(ctx)
	for _, key := range known {
		r.client().view.relabelled(key.Fingerprint.ValueString())
	}
	r.keys.within(ctx, &resp.Diagnostics, diagnose.Update, &state, m.Timeouts.Update, createTime,
		func(ctx context.Context, token *hsm.Token) error {
			if anotherToken(state.common(), token, &resp.Diagnostics) {
				return nil
			}
			if !m.known() {
				return errUnknownAtApply
			}
			ring, plan := m.ring(ctx, &state), m
			now := notedRing(ctx, req.Private)
			resp.Diagnostics.Append(m.check()...)
			if resp.Diagnostics.Append(r.allowed(&m, &state, ring, now, known)...); resp.Diagnostics.HasError() {
				return nil
			}
			held, done, err := token.Turn(ctx, ring)
			if err != nil {
				r.keepWhatIsDone(ctx, token, &state, known, done, req, resp)
				return err
			}
			r.managed(held)
			resp.Diagnostics.Append(r.keep(ctx, token, ring, held, &m, &plan, known, req.Private, resp.Private,
				resp.Identity, &resp.State)...)
			return nil
		})
}

// keepWhatIsDone makes the state say what the token holds after a turn that failed, if the token still answers: when a
// pair was published counts from now, and not from the next refresh. The arguments stay as they were.
func (r *keyRingResource) keepWhatIsDone(ctx context.Context, token *hsm.Token, state *keyRingModel,
	known map[int]ringKey, done []hsm.Turn,
	req resource.UpdateRequest, resp *resource.UpdateResponse,
) {
	ring := state.ring(ctx, state)
	held, err := token.Ring(ctx, ring)
	if len(done) == 0 || err != nil {
		return
	}
	r.managed(held)
	resp.Diagnostics.Append(r.keep(ctx, token, ring, held, state, nil, known, req.Private, resp.Private, resp.Identity,
		&resp.State)...)
	resp.Diagnostics.AddWarning("Ring Half Turned", fmt.Sprintf("The key ring %s has begun to turn, and an error, "+
		"which is told beside this, has stopped it. It has done:\n\n%s\n\nA pair signs, and every pair that has "+
		"signed is still published.\n\nWhat to do: remove the cause of the error, and run terraform apply, which "+
		"does the rest.", state.name(), steps(done)))
}

func (r *keyRingResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	defer func() { nameKeys(&resp.Diagnostics, keyRingType, req.State.Raw) }()
	var m keyRingModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	claims := r.claimsOf(ctx, &m, markOf(ctx, req.Private))
	switch m.DeletionPolicy.ValueString() {
	case policyAbandon:
		return
	case policyDelete:
		for _, own := range claims {
			resp.Diagnostics.Append(r.client().destroying(own)...)
		}
		if resp.Diagnostics.HasError() {
			return
		}
	default: // a tainted resource: no plan has asked us
		resp.Diagnostics.Append(ringPrevented(&m, "is about to destroy"))
		return
	}
	r.keys.within(ctx, &resp.Diagnostics, diagnose.Delete, &m, m.Timeouts.Delete, changeTime, func(ctx context.Context,
		token *hsm.Token) error {
		if anotherToken(m.common(), token, &resp.Diagnostics) {
			return nil
		}
		ring := m.ring(ctx, &m)
		for _, generation := range slices.Sorted(maps.Keys(ring.Fingerprints)) {
			ref := object.Ref{ID: ring.ID(generation), Fingerprint: ring.Fingerprints[generation]}
			if _, err := token.Destroy(ctx, ref); err != nil {
				return &hsm.GenerationError{Generation: generation, Err: err}
			}
			r.client().view.noteDestroyed(object.FormatID(ref.ID), nameOf(ring.Current, ref.ID))
		}
		held, err := token.Ring(ctx, ring)
		if err == nil && len(held.Pairs) > 0 {
			resp.Diagnostics.AddWarning("Retired Pairs Stay On The Token", fmt.Sprintf(
				"The published pairs of the key ring %s are destroyed. Pairs that it has retired and kept are still "+
					"on the token:\n\n%s\n\nWhat to do: nothing, if you want to keep them. Otherwise destroy them "+
					"with the tool that you use for the token. A new ring needs another key_id_prefix as long as "+
					"they are there.", m.name(), described(held.Pairs)))
		}
		return nil // a failed look does not matter: what was to be destroyed is
	})
}

// claimsOf are the claims of a ring's pairs.
func (r *keyRingResource) claimsOf(ctx context.Context, m *keyRingModel, mark string) (all []claim) {
	keys := m.keys(ctx)
	for _, generation := range slices.Sorted(maps.Keys(keys)) {
		key := keys[generation]
		all = append(all, claim{
			mark: mark, resource: keyRingType, keyType: key.keyType(), keyID: key.KeyID.ValueString(),
			label:  key.Label.ValueString(),
			policy: m.DeletionPolicy.ValueString(), fingerprint: key.Fingerprint.ValueString(),
		})
	}
	return all
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
		Label: asked.Label, Previous: types.Int64Value(1), MinPublishTime: types.StringValue("24h"),
		Retired:     types.StringValue(ringKeep),
		Extractable: types.BoolValue(false), DeletionPolicy: types.StringValue(policyPrevent), Timeouts: noTimeouts(),
	}
	r.keys.within(ctx, &resp.Diagnostics, diagnose.Import, &m, always, readTime, func(ctx context.Context,
		token *hsm.Token) error {
		if serial := asked.TokenSerial.ValueString(); serial != "" && serial != printable(token.Info().Serial) {
			return &diagnose.SerialError{Asked: serial, Token: token.Info()}
		}
		if err := r.recognise(ctx, token, asked, &m); err != nil {
			return err
		}
		ring := m.ring(ctx, nil)
		held, err := token.Ring(ctx, ring)
		if err != nil {
			return err
		}
		newest, past := ring.Generation, 0
		for generation, pair := range held.Pairs {
			newest = max(newest, generation)
			if generation == ring.Generation+1 && !ring.Publishes(pair.Label) {
				m.StandbyLabel = types.StringValue(printable(pair.Label))
			}
		}
		ring = m.ring(ctx, nil)
		for generation, pair := range held.Pairs {
			if _, err := token.Prove(ctx, pair); err != nil {
				return &hsm.GenerationError{Generation: generation, Err: err}
			}
			if generation < ring.Generation && ring.Publishes(pair.Label) {
				past = max(past, ring.Generation-generation)
			}
		}
		m.Previous = types.Int64Value(int64(max(past, 1)))
		m.makesLike(held.Pairs[newest])
		ring = m.ring(ctx, nil)
		r.managed(held)
		resp.Diagnostics.Append(mark(ctx, resp.Private)...)
		resp.Diagnostics.Append(r.keep(ctx, token, ring, held, &m, nil, nil, resp.Private, resp.Private, resp.Identity,
			&resp.State)...)
		return nil
	})
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

// makesLike has the ring make pairs like one that is there.
func (m *keyRingModel) makesLike(pair object.Key) {
	m.Extractable = types.BoolValue(pair.Extractable != nil && *pair.Extractable)
	if pair.Type == object.EC {
		m.Curve = types.StringValue(publickey.Curve(pair.PublicKey))
		return
	}
	var like rsaKeyPairModel
	if like.take(pair) == nil {
		m.ModulusBits = like.ModulusBits
	}
}
