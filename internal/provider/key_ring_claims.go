package provider

import (
	"context"
	"maps"
	"slices"
)

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
