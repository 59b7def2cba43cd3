package hsm

import (
	"context"
	"sync"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// whereabouts are the whole keys of the snapshot by their fingerprints, for as long as it does not change: thousands of keys
// that are looked for one after the other cost no more than one.
type whereabouts struct {
	mu       sync.Mutex
	changes  int  // the snapshot's, when these were made of it
	computed bool // with the check values that the token does not show
	keys     map[whose][]WholeKey
}

// whose is what a key is found by that bears another ID than it is to.
type whose struct {
	keyType     KeyType
	fingerprint string
}

// Whereabouts finds a key by what ref says of it besides its ID. It leaves out those of the IDs that skip says, and found
// is false where no other key that WholeKeys gives is such a one. Of several it gives the first. Errors: as of WholeKeys.
func (t *Token) Whereabouts(ctx context.Context, ref Ref, skip func(id []byte) bool) (key WholeKey, found bool, err error) {
	t.catchUp()
	compute := ref.Type == Secret
	changes, there := t.snapshot.state()
	t.known.mu.Lock()
	keys := t.known.keys
	if !there || t.known.changes != changes || compute && !t.known.computed {
		keys = nil
	}
	t.known.mu.Unlock()
	if keys == nil {
		keys, err = t.locate(ctx, compute)
		if cryptoki.InvalidHandle(err) { // what is computed with takes the snapshot's handles, which may be of yesterday
			t.snapshot.drop()
			keys, err = t.locate(ctx, compute)
		}
		if err != nil {
			return WholeKey{}, false, err
		}
	}
	for _, key := range keys[whose{ref.Type, ref.Fingerprint}] {
		if key.fits(ref) && !skip(key.ID) {
			return key, true, nil
		}
	}
	return WholeKey{}, false, nil
}

// locate makes whereabouts, and keeps them if the snapshot that they are of is kept.
func (t *Token) locate(ctx context.Context, compute bool) (map[whose][]WholeKey, error) {
	objects, changes, kept, err := t.snapshot.at(ctx, t)
	if err != nil {
		return nil, err
	}
	all, broken := sound(objects)
	if len(broken) > 0 {
		return nil, broken[0]
	}
	keys := make(map[whose][]WholeKey, len(all))
	for _, key := range all {
		if compute && key.Type == Secret {
			if key, err = t.Fingerprinted(ctx, key); err != nil {
				return nil, err
			}
		}
		who := whose{key.Type, key.fingerprint}
		keys[who] = append(keys[who], key)
	}
	if kept {
		t.known.mu.Lock()
		t.known.keys, t.known.changes, t.known.computed = keys, changes, compute
		t.known.mu.Unlock()
	}
	return keys, nil
}
