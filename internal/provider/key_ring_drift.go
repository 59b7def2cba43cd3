package provider

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

// gone decides what happens to the state of a ring of which the token holds nothing.
func (r *keyRingResource) gone(ctx context.Context, m *keyRingModel, token *hsm.Token, ring hsm.Ring,
	known map[int]ringKey, resp *resource.ReadResponse) error {
	if unseen, ok := errors.AsType[*hsm.UnseenError](token.Unseen(ctx, nil)); ok {
		resp.Diagnostics.Append(keptUnseen("key ring "+m.name(), unseen))
		return nil
	}
	for _, generation := range slices.Sorted(maps.Keys(known)) {
		if err := r.moved(ctx, token, ring, generation, known[generation]); err != nil {
			return err
		}
	}
	if m.DeletionPolicy.ValueString() == policyPrevent {
		return &hsm.GenerationError{Generation: ring.Generation, Err: fmt.Errorf("key ID %s: %w",
			object.FormatID(ring.ID(ring.Generation)), object.ErrNotFound)}
	}
	resp.Diagnostics.AddWarning("Key Ring Not On The Token", fmt.Sprintf(
		"No pair of the key ring %s is on the token in %s. Its deletion_policy is %q, so it leaves the state, and "+
			"Terraform plans a new ring.\n\nWhat to do: if this is the wrong token, do not apply, and correct the "+
			"provider's configuration. If the pairs are lost, give the new ring another key_id_prefix: verifiers "+
			"keep public keys by their kid.", m.name(), token.Info(), m.DeletionPolicy.ValueString()))
	resp.State.RemoveResource(ctx)
	return nil
}

// moved is an error where a pair that the state knows is on the token under another ID.
func (r *keyRingResource) moved(ctx context.Context, token *hsm.Token, ring hsm.Ring, generation int,
	was ringKey) error {
	if was.Fingerprint.ValueString() == "" {
		return nil
	}
	ref := object.Ref{Type: was.keyType(), Fingerprint: was.Fingerprint.ValueString()}
	key, found, err := token.KeyByFingerprint(ctx, ref, func([]byte) bool { return false })
	if err != nil || !found {
		return err
	}
	return &hsm.GenerationError{Generation: generation, Err: &diagnose.MovedError{
		From: object.FormatID(ring.ID(generation)), To: object.FormatID(key.ID), Label: key.Label, Noun: "key pair",
	}}
}

// warnOfDrift tells what somebody else has done to the ring, as far as the plan does not show it.
func (r *keyRingResource) warnOfDrift(ctx context.Context, token *hsm.Token, m *keyRingModel, ring hsm.Ring,
	held hsm.RingState, known map[int]ringKey, diags *diag.Diagnostics,
) {
	unseen := func(generation int) *hsm.UnseenError {
		e, _ := errors.AsType[*hsm.UnseenError](token.Unseen(ctx, ring.ID(generation)))
		return e
	}
	for _, generation := range slices.Sorted(maps.Keys(known)) {
		was := known[generation].Fingerprint.ValueString()
		pair, there := held.Pairs[generation]
		_, half := held.Halves[generation]
		switch {
		case half: // its destruction was interrupted, and the plan shows that it goes
			continue
		case !there && unseen(generation) != nil:
			e := unseen(generation)
			diags.AddWarning("Not Shown By The Token", fmt.Sprintf("%s\n\nIt is generation %d of the key ring %s, which makes "+
				"no such pair once more.\n\nWhat to do: %s", diagnose.Sentence(e.Error()), generation, m.name(),
				diagnose.AwaitUnseen(e)))
		case !there:
			diags.AddWarning("Pair Of The Ring Not On The Token", fmt.Sprintf(
				"Generation %d (key_id %s) of the key ring %s is gone: somebody has destroyed it on the token, or "+
					"given it another ID. Whoever takes public keys from the token can no longer verify what it has "+
					"signed.\n\nWhat to do: %s", generation, object.FormatID(ring.ID(generation)), m.name(),
				r.wayBack(ctx, token, ring, generation, known[generation])))
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
	r.warnOfOthers(m, ring, held, known, diags)
}

// warnOfOthers names the pairs that are none of the ring's, by their fingerprints: they may have its IDs and labels. Of
// one that the ring has lost, and that has another ID, warnOfDrift tells how it comes back: nobody is to destroy it.
func (r *keyRingResource) warnOfOthers(m *keyRingModel, ring hsm.Ring, held hsm.RingState, known map[int]ringKey,
	diags *diag.Diagnostics,
) {
	moved := map[string]bool{}
	for generation, was := range known {
		_, there := held.Pairs[generation]
		moved[was.Fingerprint.ValueString()] = !there
	}
	var lines []string
	way := "give them another label and another ID, or destroy them."
	for _, other := range held.Others {
		if moved[other.Fingerprint()] {
			continue
		}
		line := fmt.Sprintf("  - %s, SHA-256 fingerprint %s", nameOf(other.Label, other.ID), other.Fingerprint())
		if other.Unprotected() {
			line += ", not protected by the PIN"
		}
		generation, _ := ring.GenerationOf(other.ID)
		if pair, there := held.Pairs[generation]; there {
			line += fmt.Sprintf(". Generation %d of the ring has the same ID, and the fingerprint %s", generation,
				pair.Fingerprint())
			way = "give them another label and another ID, or destroy them, with a tool that shows each object's " +
				"handle: pkcs11-tool takes any pair of an ID, and may take the ring's own."
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return
	}
	diags.AddWarning("Other Pairs Beside The Ring", fmt.Sprintf(
		"The token holds pairs that are none of the key ring %s, and that programs may take for its own, because of "+
			"their label or their ID:\n\n%s\n\nHydra signs with any pair that has the label %q.\n\nWhat to do: "+
			"%s The ring does not touch them. If the ring is to take the place of one of them, the guide \"Rotating "+
			"Hydra's keys\" shows how.", m.name(), strings.Join(lines, "\n"), ring.Current, way))
}

// wayBack says how a pair comes back that the ring has lost. A failure to look for it under another ID only makes that
// shorter.
func (r *keyRingResource) wayBack(ctx context.Context, token *hsm.Token, ring hsm.Ring, generation int,
	was ringKey) string {
	moved, ok := errors.AsType[*diagnose.MovedError](r.moved(ctx, token, ring, generation, was))
	if !ok {
		return "restore it from the token's backup. If it is the one that signs, and lost, raise generation by one: " +
			"then the next pair signs."
	}
	var lines []string
	for _, part := range r.keys.kind.parts {
		lines = append(lines, "  "+token.Command("--id", moved.To, "--type", part, "--set-id", moved.From))
	}
	return fmt.Sprintf("the same pair is on the token as %s. Give it its ID back:\n\n%s",
		named(moved.Label, moved.To), strings.Join(lines, "\n"))
}
