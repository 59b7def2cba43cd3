package provider

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
)

// claimsOf are the claims of a ring's pairs.
func (r *keyRingResource) claimsOf(ctx context.Context, m *keyRingModel, mark string) (all []claim) {
	keys := m.keys(ctx)
	for _, generation := range slices.Sorted(maps.Keys(keys)) {
		key := keys[generation]
		all = append(all, claim{
			mark: mark, resource: keyRingType, keyType: key.keyType(), keyID: key.KeyID.ValueString(),
			label: key.Label.ValueString(), policy: m.DeletionPolicy.ValueString(),
			fingerprint: key.Fingerprint.ValueString(),
		})
	}
	return all
}

// ringClaim is what a ring of this run has, and no other ring may have.
type ringClaim struct {
	mark, prefix string      // the mark is "" of a new ring
	labels       []ringLabel // in the plan, and until now
}

// ringClaims are the rings that this run has planned. Terraform plans them one by one and at the same time, so that the
// one that comes later finds what is wrong with both.
type ringClaims struct {
	mu    sync.Mutex
	rings []ringClaim
}

// hold notes a ring that is planned, and is an error where another one has what tells it apart. All rings may retire
// their pairs under one label.
func (c *ringClaims) hold(plan, state *keyRingModel, mark string) (diags diag.Diagnostics) {
	own := ringClaim{mark: mark, prefix: plan.KeyIDPrefix.ValueString(), labels: plan.named()}
	if state != nil {
		own.prefix, own.labels = state.KeyIDPrefix.ValueString(), append(own.labels, state.named()...)
	}
	if state != nil && mark == "" { // nobody can tell it from itself
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rings = slices.DeleteFunc(c.rings, func(r ringClaim) bool { return mark != "" && r.mark == mark })
	for _, other := range c.rings {
		if own.prefix != "" && own.prefix == other.prefix {
			diags.AddAttributeError(path.Root("key_id_prefix"), "Invalid Prefix", fmt.Sprintf("Two key rings have "+
				"the key_id_prefix %q: each would take the pairs of the other for its own.\n\nOn the token: nothing "+
				"has been changed.\n\nWhat to do: give the new one another key_id_prefix. If it is the same ring "+
				"under a new name or index, tell Terraform the old address with a moved block.", own.prefix))
			break
		}
		if label, ok := own.shares(other); ok {
			diags.AddAttributeError(path.Root(label.argument), "Labels Of A Ring Must Differ", fmt.Sprintf(
				"%s is %q, which is a label of another key ring, too. Programs that look for keys by their label "+
					"would take the pairs of one ring for those of the other.\n\nOn the token: nothing has been "+
					"changed.\n\nWhat to do: give one of the two rings another label. If a label is to go from one "+
					"ring to the other, first apply a new label of the ring that has it.", label.argument,
				label.value.ValueString()))
			break
		}
	}
	c.rings = append(c.rings, own)
	return diags
}

// shares gives a label of which programs that look for it would find pairs of both rings.
func (c ringClaim) shares(other ringClaim) (ringLabel, bool) {
	for _, one := range c.labels {
		for _, theirs := range other.labels {
			if one.is(theirs) && (one.argument != "retired_label" || theirs.argument != "retired_label") {
				return one, true
			}
		}
	}
	return ringLabel{}, false
}
