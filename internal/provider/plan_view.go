package provider

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
)

// planView is how plans see the token: the keys that it held when the first new key was planned, and which of them
// this state manages. It serves warnings only. So it may be a little old, and one look at the token serves a plan
// of a thousand new keys.
type planView struct {
	once    sync.Once
	byLabel map[string][]hsm.WholeKey
	byID    map[string][]hsm.WholeKey
	err     error
	mu      sync.Mutex
	managed map[string]bool // by formatted key ID
	warned  bool
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
	return c.view.managed[hsm.FormatID(id)]
}

// unmanaged gives the keys of a type that are on the token and, as far as this run has seen, in no state: those of
// this ID, where one is planned, else those of this label.
func (c *client) unmanaged(ctx context.Context, t *hsm.Token, keyType hsm.KeyType, id []byte,
	label string) ([]hsm.WholeKey, error) {
	v := &c.view
	v.once.Do(func() {
		var keys []hsm.WholeKey
		keys, v.err = t.WholeKeys(ctx)
		v.byLabel, v.byID = map[string][]hsm.WholeKey{}, map[string][]hsm.WholeKey{}
		for _, k := range keys {
			v.byLabel[k.Label] = append(v.byLabel[k.Label], k)
			v.byID[string(k.ID)] = append(v.byID[string(k.ID)], k)
		}
	})
	if v.err != nil {
		return nil, v.err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	found := v.byLabel[label]
	if id != nil {
		found = v.byID[string(id)]
	}
	return slices.DeleteFunc(slices.Clone(found), func(k hsm.WholeKey) bool {
		return k.Type != keyType || v.managed[hsm.FormatID(k.ID)]
	}), nil
}

// firstWarning is true once: what each of a thousand planned keys would say, the first says for all.
func (v *planView) firstWarning() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	first := !v.warned
	v.warned = true
	return first
}
