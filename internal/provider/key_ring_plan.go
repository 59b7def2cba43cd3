package provider

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

// ModifyPlan shows which pairs are made, promoted, demoted and retired, and refuses what would stop verifiers.
func (r *keyRingResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest,
	resp *resource.ModifyPlanResponse) {
	defer func() { nameKeys(&resp.Diagnostics, keyRingType, req.State.Raw, resp.Plan.Raw) }()
	var plan, config, state *keyRingModel
	if !req.Plan.Raw.IsNull() {
		plan, config = &keyRingModel{}, &keyRingModel{}
		resp.Diagnostics.Append(req.Plan.Get(ctx, plan)...)
		resp.Diagnostics.Append(req.Config.Get(ctx, config)...)
	}
	if !req.State.Raw.IsNull() {
		state = &keyRingModel{}
		resp.Diagnostics.Append(req.State.Get(ctx, state)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	mark := markOf(ctx, req.Private)
	if state != nil {
		for _, own := range r.claimsOf(ctx, state, mark) {
			own.leaves = plan == nil && own.policy == policyAbandon
			resp.Diagnostics.Append(r.client().claim(own)...)
		}
		if resp.Diagnostics.HasError() {
			return
		}
	}
	if plan == nil {
		r.planEnd(ctx, state, &resp.Diagnostics)
		return
	}
	plan.complete(config, state)
	resp.Diagnostics.Append(plan.check()...)
	if state != nil && !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(plan.relabelling(state)...)
	}
	if c := r.client(); c != nil && !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(c.rings.hold(plan, state, mark)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	if state == nil {
		r.planNew(ctx, mark, plan, &resp.Diagnostics)
	} else {
		r.planTurn(ctx, req, mark, plan, state, &resp.Diagnostics)
	}
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
	}
}

// planNew plans a ring that makes its pairs.
func (r *keyRingResource) planNew(ctx context.Context, mark string, plan *keyRingModel, diags *diag.Diagnostics) {
	plan.forgetKeys()
	plan.TokenSerial = types.StringUnknown()
	replaces := r.planForced(ctx, mark, plan, diags)
	if diags.HasError() {
		return
	}
	own := claim{mark: mark, resource: keyRingType, label: plan.Label.ValueString()}
	token := r.keys.offers(ctx, own, plan, func(*hsm.Token) (object.Template, bool) {
		tmpl := plan.template()
		tmpl.Label = plan.Label.ValueString()
		return tmpl, plan.known()
	}, diags)
	if diags.HasError() {
		return
	}
	if plan.known() {
		ring := plan.ring(ctx, nil)
		for _, generation := range []int{ring.Generation, ring.Generation + 1} {
			diags.Append(r.client().want(object.FormatID(ring.ID(generation)), own)...)
		}
		diags.Append(plan.setKeys(ctx, planned(ring, nil, nil))...)
	}
	if token == nil || diags.HasError() {
		return
	}
	plan.TokenSerial = serialOf(token.Info())
	if plan.known() {
		if err := token.AllowsRing(plan.ring(ctx, nil)); err != nil {
			diags.Append(r.keys.failure(diagnose.Plan, plan, token, err))
			return
		}
	}
	if plan.known() && !replaces { // else pairs that are there are those of the ring that is replaced
		r.lookForPairs(ctx, plan, diags)
	}
}

// planForced looks at a new ring that takes the place of one without a change of the configuration, as keyResource
// does, and says whether it is one.
func (r *keyRingResource) planForced(ctx context.Context, mark string, plan *keyRingModel,
	diags *diag.Diagnostics) (replaces bool) {
	var ids []string
	if plan.known() {
		ring := plan.ring(ctx, nil)
		ids = []string{object.FormatID(ring.ID(ring.Generation)), object.FormatID(ring.ID(ring.Generation + 1))}
	}
	for _, id := range append(ids, "") {
		old, ok, tainted := r.client().replacedBy(mark, id)
		switch {
		case !ok:
			continue
		case old.policy == policyPrevent:
			diags.Append(ringPrevented(plan, "would replace"))
		case old.policy == policyAbandon:
			diags.AddAttributeError(path.Root("key_id_prefix"), "Key ID Stays Taken", fmt.Sprintf("Terraform would "+
				"replace the key ring %s by a new one. With deletion_policy = \"abandon\" the old pairs stay on the "+
				"token and keep their IDs, so the new ring cannot make its own.\n\nOn the token: nothing has been "+
				"changed.\n\nWhat to do: %s For new keys, raise generation: that rotates. Or add a second ring with "+
				"another label and key_id_prefix.", plan.name(), keepRing))
		case tainted: // what a second plan warns of, Terraform does not show
			diags.AddWarning("New Key Under An Old ID", fmt.Sprintf("The pairs of the key ring %s are to be "+
				"destroyed, and new ones get the same key_id. Verifiers keep public keys by their kid, which follows "+
				"key_id. Those that know an old key check the new key's signatures against it, and refuse "+
				"them.\n\nWhat to do: if the resource is only tainted, run terraform untaint with its address. For "+
				"new keys, raise generation instead.", plan.name()))
		}
		return true
	}
	return false
}

// keepRing is how a ring stays as it is where Terraform would replace it.
const keepRing = "leave -replace out. If the resource is tainted, run terraform untaint with its address. If it has " +
	"a new name or index, tell Terraform the old address with a moved block."

// lookForPairs looks whether the token lets a new ring turn, and has pairs that are in its way.
func (r *keyRingResource) lookForPairs(ctx context.Context, plan *keyRingModel, diags *diag.Diagnostics) {
	r.keys.look(ctx, plan, diags, func(ctx context.Context, token *hsm.Token) error {
		ring := plan.ring(ctx, nil)
		held, err := token.Ring(ctx, ring)
		if err != nil {
			return err
		}
		if !token.Relabels(ctx) {
			diags.AddError("No Ring On This Token", fmt.Sprintf("The key ring %s could be made and never turn: this "+
				"token changes no label (C_SetAttributeValue is not supported), in %s.\n\nOn the token: nothing has "+
				"been changed.\n\nWhat to do: manage single key pairs, and rotate by new ones. The guide \"Replace "+
				"and rotate\" shows the steps.", plan.name(), token.Info()))
		}
		if inTheWay(ring, held) {
			diags.AddAttributeWarning(path.Root("label"), "Ring Already On The Token", fmt.Sprintf(
				"A new key ring %s is planned, but the token already holds pairs with its IDs:\n\n%s\n\nA ring never "+
					"makes a pair beside them, so the apply will be refused.\n\nWhat to do: if they are the ring's, "+
					"left by an interrupted apply for instance, import them. %s Then:\n\n%s\n\nIf the resource is "+
					"tainted, run terraform untaint with its address. Otherwise choose another key_id_prefix or, if all "+
					"of them are retired, a generation above theirs.",
				plan.name(), described(held), diagnose.CheckFirst, diagnose.HowToImport(keyRingType, ring.Current)))
		}
		if len(held.Others) > 0 {
			r.warnOfDrift(ctx, token, plan, ring, held, nil, diags)
		}
		return nil
	})
}

// planTurn plans what is left to do to a ring that is there.
func (r *keyRingResource) planTurn(ctx context.Context, req resource.ModifyPlanRequest, mark string,
	plan, state *keyRingModel, diags *diag.Diagnostics) {
	plan.TokenSerial = state.TokenSerial
	if !plan.KeyIDPrefix.IsUnknown() && !plan.KeyIDPrefix.Equal(state.KeyIDPrefix) {
		diags.AddAttributeError(path.Root("key_id_prefix"), "Ring Keeps Its IDs", fmt.Sprintf(
			"The IDs of the key ring %s begin with %q, and key_id_prefix is now %q. Verifiers keep public keys by "+
				"their kid, which is the ID.\n\nOn the token: nothing has been changed.\n\nWhat to do: write "+
				"key_id_prefix = %q. For other IDs, add another ring.",
			state.name(), state.KeyIDPrefix.ValueString(), plan.KeyIDPrefix.ValueString(),
			state.KeyIDPrefix.ValueString()))
		return
	}
	if !plan.known() {
		plan.forgetKeys()
		return
	}
	known, ring := state.keys(ctx), plan.ring(ctx, state)
	note := notedRing(ctx, req.Private, known)
	note.renamed(ring, known)
	if len(ring.Turns(note.Places)) > 0 || plan.labels() != state.labels() {
		r.allowedByMake(ctx, plan, diags, func(token *hsm.Token) error {
			return cmp.Or(token.AllowsRing(ring), unseenPairs(ctx, token, ring, note))
		})
		if diags.HasError() {
			return
		}
	}
	if diags.Append(r.allowed(plan, state, ring, note, known)...); diags.HasError() {
		return
	}
	own := claim{mark: mark, resource: keyRingType, label: plan.Label.ValueString()}
	for _, turn := range ring.Turns(note.Places) {
		if turn.Do == hsm.Make {
			diags.Append(r.client().want(object.FormatID(ring.ID(turn.Generation)), own)...)
		}
	}
	keys := planned(ring, note.Places, known)
	if diags.Append(plan.setKeys(ctx, keys)...); diags.HasError() {
		return
	}
	// Where only what no attribute shows is left to do, Terraform sees nothing to apply unless something is unknown.
	if len(ring.Turns(note.Places)) > 0 && plan.Keys.Equal(state.Keys) {
		plan.RotationPossibleAt = types.StringUnknown()
	}
	for generation, was := range known {
		label := plan.RetiredLabel // of a pair that goes, too: no set is to find it under the label that it has
		if key, stays := keys[generation]; stays {
			label = key.Label
		}
		if !was.Label.Equal(label) && r.client() != nil {
			r.client().view.relabel(was.Fingerprint.ValueString(), label.ValueString())
		}
	}
}

// unseenPairs is an error where a pair that the ring had would be made once more, although its absence proves nothing.
func unseenPairs(ctx context.Context, token *hsm.Token, ring hsm.Ring, note ringNote) error {
	for _, turn := range ring.Turns(note.Places) {
		if turn.Do != hsm.Make || turn.Generation > note.Highest {
			continue
		}
		if err := token.Unseen(ctx, ring.ID(turn.Generation)); err != nil {
			return &hsm.GenerationError{Generation: turn.Generation, Err: err}
		}
	}
	return nil
}

// allowedByMake tells what the token's make does not do of what is planned.
func (r *keyRingResource) allowedByMake(ctx context.Context, m *keyRingModel, diags *diag.Diagnostics,
	allows func(*hsm.Token) error) {
	r.keys.look(ctx, m, diags, func(_ context.Context, token *hsm.Token) error {
		if err := allows(token); err != nil {
			diags.Append(r.keys.failure(diagnose.Plan, m, token, err))
		}
		return nil
	})
}

// allowed refuses steps that would stop verifiers, and pairs that would be made a second time. note is what the token
// held when it was last read.
func (r *keyRingResource) allowed(plan, state *keyRingModel, ring hsm.Ring, note ringNote,
	known map[int]ringKey) (diags diag.Diagnostics) {
	signs := int(state.Generation.ValueInt64())
	for generation, at := range note.Places { // an interrupted apply may have gone further than the state
		if at.Label == state.Label.ValueString() {
			signs = max(signs, generation)
		}
	}
	applied, to := int(state.Generation.ValueInt64()), ring.Generation
	near := func(from int) bool { return to-from <= 1 && from-to <= 1 }
	there := note.Places[to].Label
	published := known[to].PublishedSince.ValueString() != "" &&
		(ring.Publishes(there) || there == ring.Was.Current || there == ring.Was.Standby) && !note.Places[to].Half
	switch {
	case to == signs:
	case !near(applied) && !near(signs):
		diags.Append(tooFar(plan, state, signs, to))
	case to < signs && !published:
		diags.AddAttributeError(path.Root("generation"), "Generation Is Published No More", fmt.Sprintf(
			"The key ring %s cannot go back from generation %d to %d: that pair is not published any more, so that "+
				"verifiers would refuse what it signs.\n\nOn the token: nothing has been changed.\n\nWhat to do: "+
				"write generation = %d to keep the pair that signs, or generation = %d to let the next one sign.",
			state.name(), signs, to, signs, signs+1))
	case to < signs:
	case !published:
		diags.AddAttributeError(path.Root("generation"), "Next Pair Is Not Published", fmt.Sprintf(
			"The key ring %s cannot rotate to generation %d: that pair is not published on the token, so that "+
				"verifiers do not know it.\n\nOn the token: nothing has been changed.\n\nWhat to do: write "+
				"generation = %d, and run terraform apply, which publishes the next pair. It may sign %s after that.",
			state.name(), to, signs, plan.MinPublishTime.ValueString()))
	default:
		diags.Append(r.tooEarly(plan, state, note, signs, to, known[to])...)
		diags.Append(stillSigns(state, ring, note, signs)...)
	}
	if diags.HasError() {
		return diags
	}
	for _, turn := range ring.Turns(note.Places) {
		if turn.Do == hsm.Make && turn.Generation <= note.Highest {
			diags.Append(lost(plan, ring, turn.Generation))
		}
	}
	return diags
}

// tooFar refuses a step over several generations.
func tooFar(plan, state *keyRingModel, signs, to int) diag.Diagnostic {
	way := fmt.Sprintf("write generation = %d, run terraform apply, and go on from there. The pair of generation %d "+
		"may sign once it has been published for %s. If generation comes from the function generation, write the "+
		"number for the time being.", signs+1, signs+2, plan.MinPublishTime.ValueString())
	if to < signs {
		way = fmt.Sprintf("write generation = %d, which is the pair that signs. To go back, write generation = %d.",
			signs, signs-1)
	}
	return diag.NewAttributeErrorDiagnostic(path.Root("generation"), "Ring Turns By One", fmt.Sprintf(
		"The key ring %s is at generation %d, and generation is now %d. A ring turns by one generation in an apply: "+
			"a pair is published before it signs.\n\nOn the token: nothing has been changed.\n\nWhat to do: %s",
		state.name(), signs, to, way))
}

// stillSigns refuses a rotation that would retire a pair straight from the label of the one that signs. An interrupted
// apply has left it there, or somebody has given it to it: until now, programs may have signed with it.
func stillSigns(state *keyRingModel, ring hsm.Ring, note ringNote, signs int) (diags diag.Diagnostics) {
	for _, generation := range slices.Sorted(maps.Keys(note.Places)) {
		label := note.Places[generation].Label
		stays := generation >= min(signs, ring.Generation-ring.Previous)
		if stays || ring.Previous == 0 || label != ring.Current && label != state.Label.ValueString() {
			continue
		}
		diags.AddAttributeError(path.Root("generation"), "Ring Turns By One", fmt.Sprintf(
			"The key ring %s cannot rotate to generation %d yet: generation %d still has the label of the pair that "+
				"signs, so that programs may sign with it. With previous = %d it would be published no more while "+
				"what it has signed is valid.\n\nOn the token: nothing has been changed.\n\nWhat to do: write "+
				"generation = %d, and run terraform apply, which takes the label from it. Rotate once what it has "+
				"signed has expired. Or set previous = %d.", state.name(), ring.Generation, generation,
			ring.Previous, signs, ring.Generation-generation))
		break
	}
	return diags
}

// tooEarly refuses a rotation to a pair that verifiers may not know yet. Without a min_publish_time the clock does not
// matter, which may have been wrong when the pair was published.
func (r *keyRingResource) tooEarly(plan, state *keyRingModel, note ringNote, signs, to int,
	next ringKey) (diags diag.Diagnostics) {
	length, err := parsePeriod(plan.MinPublishTime.ValueString())
	at, ok := next.ready(plan)
	if err == nil && length == 0 || ok && !r.now().Before(at) {
		return nil
	}
	way := fmt.Sprintf("write generation = %d until %s. To rotate all the same, because the key that signs is in the "+
		"wrong hands for instance, set min_publish_time = \"0s\" for this one apply. If it is in the wrong hands, set "+
		"previous = 0 too.", signs, next.possibleAt(plan).ValueString())
	if at, there := note.Places[signs]; !there || at.Half { // nobody is to wait: nothing signs
		way = fmt.Sprintf("generation %d, which is to sign until then, is not on the token. If it is lost, set "+
			"min_publish_time = \"0s\" for this one apply: the next pair signs at once. Otherwise restore it from the "+
			"token's backup.", signs)
	}
	diags.AddAttributeError(path.Root("generation"), "Rotation Too Early", fmt.Sprintf(
		"The key ring %s cannot rotate to generation %d yet: that pair has been published since %s, and "+
			"min_publish_time is %s. Verifiers that have an older set of keys would refuse what it signs.\n\nOn the "+
			"token: nothing has been changed.\n\nWhat to do: %s", state.name(), to, next.PublishedSince.ValueString(),
		plan.MinPublishTime.ValueString(), way))
	return diags
}

// lost tells of a pair that the ring has had, and that the token does not hold. It is an error unless deletion_policy
// lets the ring make it once more.
func lost(plan *keyRingModel, ring hsm.Ring, generation int) diag.Diagnostic {
	name := fmt.Sprintf("Generation %d (key_id %s) of the key ring %s", generation,
		object.FormatID(ring.ID(generation)), plan.name())
	if plan.DeletionPolicy.ValueString() != policyPrevent {
		return diag.NewWarningDiagnostic("New Key Under An Old ID", fmt.Sprintf(
			"%s is not on the token any more, and is to be made once more, with the same key_id. Verifiers keep "+
				"public keys by their kid, which follows key_id. Those that know the old key check the new key's "+
				"signatures against it, and refuse them.\n\nWhat to do: if this is the wrong token, do not apply. If "+
				"it is the pair that signs, rather raise generation by one.",
			name))
	}
	way := "set deletion_policy = \"abandon\", and run terraform apply, which makes it once more, with the same " +
		"key_id. Then set it back"
	if generation == ring.Generation {
		way = fmt.Sprintf("write generation = %d and, for this one apply, min_publish_time = \"0s\": the next pair signs "+
			"in its place, if it is on the token. Otherwise %s", generation+1, way)
	}
	return diag.NewErrorDiagnostic("Pair Of The Ring Is Lost", fmt.Sprintf(
		"%s is not on the token. A ring with deletion_policy = \"prevent\" does not make it once more: a wrong "+
			"partition, or a replica that lags behind, looks just like a lost pair.\n\nOn the token: nothing has "+
			"been changed.\n\nWhat to do: if this is the wrong token, correct the provider's configuration. Or "+
			"restore the pair from the token's backup. If it is lost for good: %s.",
		name, way))
}

// planEnd refuses the end of a ring that deletion_policy protects.
func (r *keyRingResource) planEnd(ctx context.Context, state *keyRingModel, diags *diag.Diagnostics) {
	switch state.DeletionPolicy.ValueString() {
	case policyAbandon:
		diags.AddWarning("Key Stays On The Token", fmt.Sprintf("The key ring %s leaves the state. Terraform says "+
			"that it is destroyed. But its deletion_policy is \"abandon\": its pairs stay on the token, and whoever "+
			"has the PIN can go on using them.", state.name()))
	case policyDelete:
		r.allowedByMake(ctx, state, diags, (*hsm.Token).AllowsDestruction)
	default:
		diags.Append(ringPrevented(state, "would destroy"))
	}
}

// ringPrevented is the error for an end that deletion_policy forbids.
func ringPrevented(m *keyRingModel, happening string) diag.Diagnostic {
	return diag.NewAttributeErrorDiagnostic(path.Root("deletion_policy"), "Key Ring Is Protected From Destruction",
		fmt.Sprintf("Terraform %s the key ring %s, whose deletion_policy is \"prevent\".\n\nOn the token: nothing "+
			"has been changed.\n\nWhat to do:\n  - To keep the ring: put its resource block back, or run no "+
			"terraform destroy; %s\n  - To take it out of the state and leave its pairs on the token: set "+
			"deletion_policy = \"abandon\" and run terraform apply, then destroy the resource. Or use a removed "+
			"block.\n  - To destroy its pairs for ever: set deletion_policy = \"delete\" and run terraform apply, "+
			"then destroy the resource.", happening, m.name(), keepRing))
}
