package provider

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// planView is how plans see the token: the keys that it held when the first new key was planned, and which of them
// this state manages. It serves warnings only. So it may be a little old, and one look at the token serves a plan
// of a thousand new keys.
type planView struct {
	once    sync.Once
	token   *object.Inventory
	err     error
	mu      sync.Mutex
	managed map[string]bool // by formatted key ID
	warned  bool
	told    map[string]bool // the warnings that were given, see first
}

func (v *planView) noteManaged(keyID string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.managed == nil {
		v.managed = map[string]bool{}
	}
	v.managed[strings.ToLower(keyID)] = true
}

// noteManaged notes that a key ID is in the state, so that no plan takes its key for one that nobody manages. The
// client is nil where the provider was never configured.
func (c *client) noteManaged(keyID string) {
	if c != nil {
		c.view.noteManaged(keyID)
	}
}

// isManaged says that, as far as this run has seen, a key ID is in the state.
func (c *client) isManaged(id []byte) bool {
	c.view.mu.Lock()
	defer c.view.mu.Unlock()
	return c.view.managed[object.FormatID(id)]
}

// unmanaged gives the keys of a type that are on the token and, as far as this run has seen, in no state: those of
// this ID, where one is planned, else those of this label.
func (c *client) unmanaged(ctx context.Context, t *hsm.Token, keyType object.KeyType, id []byte,
	label string) ([]object.Key, error) {
	v := &c.view
	v.once.Do(func() {
		var inventory *object.Inventory
		if inventory, v.err = t.Inventory(ctx); v.err == nil {
			v.token = inventory.Clone()
			_, v.err = v.token.Sound()
		}
	})
	if v.err != nil {
		return nil, v.err
	}
	var found []object.Key
	if id != nil {
		found = v.token.WithID(id)
	} else {
		found = v.token.Labelled(label)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.DeleteFunc(found, func(k object.Key) bool {
		return k.Type != keyType || v.managed[object.FormatID(k.ID)]
	}), nil
}

// first is true once for each warning.
func (v *planView) first(warning string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.told == nil {
		v.told = map[string]bool{}
	}
	told := v.told[warning]
	v.told[warning] = true
	return !told
}

// firstWarning is true once: what each of a thousand planned keys would say, the first says for all.
func (v *planView) firstWarning() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	first := !v.warned
	v.warned = true
	return first
}
