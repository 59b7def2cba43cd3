package provider

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
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
