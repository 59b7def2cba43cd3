package hsm_test

import (
	"context"
	"errors"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// What tests ask of a token's inventory.

// wholeKeys fails where something makes no sense. Halves without their other half are left out.
func wholeKeys(ctx context.Context, token *hsm.Token) ([]object.Key, error) {
	inventory, err := token.Inventory(ctx)
	if err != nil {
		return nil, err
	}
	keys, broken := inventory.Keys()
	for _, b := range broken {
		if !errors.Is(b.Err, object.ErrHalfPair) {
			return nil, b.Err
		}
	}
	return keys, nil
}

func keyPairs(ctx context.Context, token *hsm.Token) ([]object.Key, error) {
	keys, err := wholeKeys(ctx, token)
	return slices.DeleteFunc(keys, func(k object.Key) bool { return k.PublicKey == nil }), err
}

func entries(ctx context.Context, token *hsm.Token) ([]object.Entry, int, error) {
	inventory, err := token.Inventory(ctx)
	if err != nil {
		return nil, 0, err
	}
	all, unclassified := inventory.Entries()
	return all, unclassified, nil
}

func names(ctx context.Context, token *hsm.Token) ([]object.Name, error) {
	all, _, err := entries(ctx, token)
	names := make([]object.Name, len(all))
	for i, entry := range all {
		names[i] = entry.Name
	}
	return names, err
}

func unclassified(ctx context.Context, token *hsm.Token) (int, error) {
	_, n, err := entries(ctx, token)
	return n, err
}

func unsupported(ctx context.Context, token *hsm.Token, id []byte) ([]object.UnsupportedPair, error) {
	inventory, err := token.Inventory(ctx)
	if err == nil && id != nil {
		inventory, err = token.Part(ctx, id)
	}
	if err != nil {
		return nil, err
	}
	return inventory.Unsupported(), nil
}
