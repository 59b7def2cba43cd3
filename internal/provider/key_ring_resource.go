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
	create := func(ctx context.Context, token *hsm.Token) error {
		if !m.known() {
			return errUnknownAtApply
		}
		if resp.Diagnostics.Append(m.check()...); resp.Diagnostics.HasError() {
			return nil // what the plan did not know yet
		}
		ring, plan := m.ring(ctx, nil), m
		held, err := token.RingNow(ctx, ring)
		if err == nil && inTheWay(ring, held) {
			err = &diagnose.RingExistsError{Label: ring.Current, Pairs: described(held)}
		}
		if err != nil {
			return err
		}
		held, done, err := token.Turn(ctx, ring)
		if err != nil && len(done) > 0 {
			resp.Diagnostics.AddWarning("Ring Half Made", fmt.Sprintf("Not all pairs of the key ring %s could be "+
				"made. The token holds those of these steps, and no state has them:\n\n%s\n\nWhat to do: remove the "+
				"cause of the error that is told beside this. Then import the ring:\n\n%s\n\nThe next terraform "+
				"apply does the rest.", m.name(), steps(done), diagnose.HowToImport(keyRingType, ring.Current)))
		}
		if err != nil {
			return err
		}
		r.made(ring, held, done, &resp.Diagnostics)
		resp.Diagnostics.Append(mark(ctx, resp.Private)...)
		resp.Diagnostics.Append(r.keep(ctx, token, ring, held, &m, &plan, nil, ringNote{},
			saved{resp.Private, resp.Identity, &resp.State})...)
		return nil
	}
	r.keys.within(ctx, &resp.Diagnostics, diagnose.Create, &m, m.Timeouts.Create, createTime, create)
}

// inTheWay says that a new ring would take over, or make pairs beside, what the token holds. Pairs that an earlier ring
// has retired are in nobody's way, as long as the new one begins above them.
func inTheWay(ring hsm.Ring, held hsm.RingState) bool {
	for generation, at := range held.PlacesIn(ring) {
		if at.Label != ring.Retired || generation >= ring.Generation {
			return true
		}
	}
	return false
}

// made warns of pairs that a new ring has made under the IDs of those that this run has destroyed.
func (r *keyRingResource) made(ring hsm.Ring, held hsm.RingState, done []hsm.Turn, diags *diag.Diagnostics) {
	r.managed(held)
	var again []string
	for _, turn := range done {
		if _, was := r.client().view.noteMade(held.Pairs[turn.Generation]); was {
			again = append(again, object.FormatID(ring.ID(turn.Generation)))
		}
	}
	if len(again) > 0 {
		diags.AddWarning("New Key Under An Old ID", fmt.Sprintf("The old pairs of the key ring %q are destroyed, and "+
			"new ones have the same key_id: %s. Verifiers keep public keys by their kid, which follows key_id. Those "+
			"that know an old key check the new key's signatures against it, and refuse them.\n\nWhat to do: have "+
			"all who verify read the keys anew. To replace keys another time, raise generation instead.",
			ring.Current, strings.Join(again, ", ")))
	}
}

// saved is where an operation keeps what is to be known later.
type saved struct {
	private  privateState
	identity *tfsdk.ResourceIdentity
	state    *tfsdk.State
}

// keep makes the state and the note say what the token holds. plan is what the plan knew, nil where none did; known are
// the pairs of before, and note is what was noted then.
func (r *keyRingResource) keep(ctx context.Context, token *hsm.Token, ring hsm.Ring, held hsm.RingState,
	m, plan *keyRingModel, known map[int]ringKey, note ringNote, in saved) (diags diag.Diagnostics) {
	if err := m.take(ctx, ring, held, token.Info(), known, r.now()); err != nil {
		return diag.Diagnostics{r.keys.failure(diagnose.Read, m, token, err)}
	}
	if plan != nil {
		diags.Append(m.keepPlannedKeys(ctx, plan)...)
	}
	note.take(ring, held, m.keys(ctx))
	diags.Append(note.keep(ctx, in.private)...)
	diags.Append(m.identify(ctx, in.identity)...)
	diags.Append(in.state.Set(ctx, m)...)
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
	// Even if the ring is gone, or the token is not looked at: the framework wants an identity there too.
	resp.Diagnostics.Append(m.identify(ctx, resp.Identity)...)
	known := m.keys(ctx)
	for _, own := range r.claimsOf(ctx, &m, "") {
		r.client().met(own)
	}
	read := func(ctx context.Context, token *hsm.Token) error {
		ring := m.ring(ctx, &m)
		held, err := token.Ring(ctx, ring)
		if err != nil {
			return err
		}
		if held.Empty() {
			return r.gone(ctx, &m, token, ring, known, resp)
		}
		r.managed(held)
		r.warnOfDrift(ctx, token, &m, ring, held, known, &resp.Diagnostics)
		resp.Diagnostics.Append(r.keep(ctx, token, ring, held, &m, nil, known, notedRing(ctx, req.Private, known),
			saved{resp.Private, resp.Identity, &resp.State})...)
		return nil
	}
	r.keys.within(ctx, &resp.Diagnostics, diagnose.Read, &m, m.Timeouts.Read, readTime, read)
}

func (r *keyRingResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	defer func() { nameKeys(&resp.Diagnostics, keyRingType, req.State.Raw) }()
	var m, state keyRingModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if !m.known() {
		resp.Diagnostics.Append(r.keys.failure(diagnose.Update, &state, nil, errUnknownAtApply))
		return
	}
	known := state.keys(ctx)
	note, ring, plan := notedRing(ctx, req.Private, known), m.ring(ctx, &state), m
	note.renamed(ring, known)
	if resp.Diagnostics.Append(m.check()...); resp.Diagnostics.HasError() {
		return
	}
	// The note leaves out retired pairs, which only another label moves.
	if m.labels() == state.labels() && !plan.unsettled() && len(ring.Turns(note.Places)) == 0 {
		resp.Diagnostics.Append(m.identify(ctx, resp.Identity)...)
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
		return
	}
	for _, key := range known {
		r.client().view.relabelled(key.Fingerprint.ValueString())
	}
	update := func(ctx context.Context, token *hsm.Token) error {
		if anotherToken(state.common(), token, &resp.Diagnostics) {
			return nil
		}
		held, err := token.RingNow(ctx, ring)
		if err != nil {
			return err
		}
		note.Places = held.PlacesIn(ring) // others may have changed it since the plan
		refused := r.vanished(&plan, ring, note, plan.keys(ctx))
		if !refused.HasError() {
			refused = r.allowed(&m, &state, ring, note, known).Errors() // of the rest, the plan has warned
		}
		if resp.Diagnostics.Append(refused...); refused.HasError() {
			return nil
		}
		if err := unseenPairs(ctx, token, ring, note); err != nil {
			return err
		}
		held, done, err := token.Turn(ctx, ring)
		if err != nil {
			r.keepWhatIsDone(ctx, token, &state, known, note, done, saved{resp.Private, resp.Identity, &resp.State},
				&resp.Diagnostics)
			return err
		}
		r.managed(held)
		resp.Diagnostics.Append(r.keep(ctx, token, ring, held, &m, &plan, known, note,
			saved{resp.Private, resp.Identity, &resp.State})...)
		return nil
	}
	r.keys.within(ctx, &resp.Diagnostics, diagnose.Update, &state, m.Timeouts.Update, createTime, update)
}

// vanished refuses to make a pair anew that the plan has seen on the token.
func (r *keyRingResource) vanished(m *keyRingModel, ring hsm.Ring, note ringNote,
	plan map[int]ringKey) (diags diag.Diagnostics) {
	for _, turn := range ring.Turns(note.Places) {
		if turn.Do == hsm.Make && plan[turn.Generation].Fingerprint.ValueString() != "" {
			diags.AddError("Pair Of The Ring Is Lost", fmt.Sprintf("Generation %d (key_id %s) of the key ring %s was "+
				"on the token when this was planned, and is not there any more.\n\nOn the token: nothing has been "+
				"changed.\n\nWhat to do: run terraform plan, which looks at the token again and says how to go on.",
				turn.Generation, object.FormatID(ring.ID(turn.Generation)), m.name()))
		}
	}
	return diags
}

// keepWhatIsDone tells what a turn that failed has done. If the token still answers, it makes the state say what it
// holds: when a pair was published counts from now, and not from the next refresh. The arguments stay as they were.
func (r *keyRingResource) keepWhatIsDone(ctx context.Context, token *hsm.Token, state *keyRingModel,
	known map[int]ringKey, note ringNote, done []hsm.Turn, in saved, diags *diag.Diagnostics) {
	if len(done) == 0 {
		return
	}
	diags.AddWarning("Ring Half Turned", fmt.Sprintf("The key ring %s has begun to turn, and an error, which is told "+
		"beside this, has stopped it. It has done:\n\n%s\n\nAfter them a pair signs as before, and what is to stay "+
		"published is published.\n\nWhat to do: remove the cause of the error, and run terraform apply, which does "+
		"the rest.",
		state.name(), steps(done)))
	// That ctx has ended may be the error. A look is short where the token was read just now.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	ring := state.ring(ctx, state)
	if held, err := token.Ring(ctx, ring); err == nil {
		r.managed(held)
		diags.Append(r.keep(ctx, token, ring, held, state, nil, known, note, in)...)
	}
}

func (r *keyRingResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	defer func() { nameKeys(&resp.Diagnostics, keyRingType, req.State.Raw) }()
	var m keyRingModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	switch m.DeletionPolicy.ValueString() {
	case policyAbandon:
		return
	case policyDelete:
		for _, own := range r.claimsOf(ctx, &m, markOf(ctx, req.Private)) {
			resp.Diagnostics.Append(r.client().destroying(own)...)
		}
		if resp.Diagnostics.HasError() {
			return
		}
	default: // a tainted resource: no plan has asked us
		resp.Diagnostics.Append(ringPrevented(&m, "is about to destroy"))
		return
	}
	destroy := func(ctx context.Context, token *hsm.Token) error {
		if anotherToken(m.common(), token, &resp.Diagnostics) {
			return nil
		}
		ring, known := m.ring(ctx, &m), m.keys(ctx)
		doomed := slices.Collect(maps.Keys(known))
		// What makes no sense on the token, the destruction of that pair tells. Half of a pair is no pair of the state.
		held, _ := token.Ring(ctx, ring)
		doomed = slices.AppendSeq(doomed, maps.Keys(held.Halves))
		slices.Sort(doomed)
		for _, generation := range slices.Compact(doomed) {
			ref := object.Ref{ID: ring.ID(generation), Fingerprint: ring.Fingerprints[generation]}
			if _, err := token.Destroy(ctx, ref); err != nil {
				return &hsm.GenerationError{Generation: generation, Err: err}
			}
			r.client().view.noteDestroyed(object.FormatID(ref.ID), nameOf(ring.Current, ref.ID))
		}
		for _, generation := range slices.Sorted(maps.Keys(known)) { // one that was not there may have another ID
			if err := r.moved(ctx, token, ring, generation, known[generation]); err != nil {
				return err
			}
		}
		held, err := token.Ring(ctx, ring)
		if err == nil && !held.Empty() {
			resp.Diagnostics.AddWarning("Retired Pairs Stay On The Token", fmt.Sprintf(
				"The published pairs of the key ring %s are destroyed. Pairs that it has retired and kept are still "+
					"on the token:\n\n%s\n\nWhat to do: nothing, if you want to keep them. Otherwise destroy them "+
					"with the tool that you use for the token. As long as they are there, a new ring needs another "+
					"key_id_prefix, or a higher generation.", m.name(), described(held)))
		}
		return nil // a failed look does not matter: what was to be destroyed is
	}
	r.keys.within(ctx, &resp.Diagnostics, diagnose.Delete, &m, m.Timeouts.Delete, changeTime, destroy)
}
