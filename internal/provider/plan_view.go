package provider

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

// planView is how plans see the token: what it held when the first of them looked, and which of its keys this state
// manages. That serves warnings only. So it may be a little old, and one look at the token serves a plan of a thousand
// keys. And it has the labels that pairs, by their fingerprints, are to get: see asPlanned.
type planView struct {
	look    atomic.Pointer[look] // nil before the first one, and once the token is made or erased
	mu      sync.Mutex
	managed map[string]bool   // by formatted key ID
	told    map[string]bool   // the texts that were given, see first
	labels  map[string]string // planned ones, by fingerprint
	moved   map[string]bool   // the pairs, by fingerprint, that are to get another ID

	made      map[made]bool     // the keys that this run has made
	destroyed map[string]string // by formatted key ID, the names of keys that this run has destroyed
}

// look is one look at what the token holds.
type look struct {
	once  sync.Once
	token *object.Inventory
	err   error
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
func (c *client) isManaged(id []byte) bool { return c.has(object.FormatID(id)) }

// has says it of a formatted key ID; the client is nil where the provider was never configured.
func (c *client) has(keyID string) bool {
	if c == nil {
		return false
	}
	c.view.mu.Lock()
	defer c.view.mu.Unlock()
	return c.view.managed[strings.ToLower(keyID)]
}

// inventory is what the token held when a plan of this run first looked.
func (c *client) inventory(ctx context.Context, t *hsm.Token) (*object.Inventory, error) {
	c.view.look.CompareAndSwap(nil, &look{})
	l := c.view.look.Load()
	if l == nil { // the token has just been made or erased
		l = &look{}
	}
	l.once.Do(func() {
		var inventory *object.Inventory
		if inventory, l.err = t.Inventory(ctx); inventory != nil {
			l.token, l.err = inventory.Clone(), nil // what this user may not read is no matter of warnings
		}
	})
	return l.token, l.err
}

// certificates gives the certificates that have an ID.
func (c *client) certificates(ctx context.Context, t *hsm.Token, id []byte) ([]object.Object, error) {
	inventory, err := c.inventory(ctx, t)
	if err != nil {
		return nil, err
	}
	return inventory.Certificates(id), nil
}

// stock is what is on the token and, as far as this run has seen, in no state.
type stock struct {
	keys   []object.Key    // whole keys of the type that was asked for
	others []object.Object // other key objects, where an ID was asked for: halves, or of other types
	whole  []object.Key    // those of others that make whole keys, of other types
}

func (s stock) empty() bool { return len(s.keys)+len(s.others) == 0 }

// importIDOf imports a key. Where another one of its type among these has its ID, that takes the fingerprint.
func importIDOf(key object.Key, among []object.Key) string {
	sharing := 0
	for _, k := range among {
		if k.Type == key.Type && bytes.Equal(k.ID, key.ID) {
			sharing++
		}
	}
	if sharing < 2 || key.Fingerprint() == "" {
		return object.FormatID(key.ID)
	}
	return diagnose.ImportID(key.ID, key.Fingerprint())
}

// unmanaged gives what has this ID, where one is planned, else the keys of this label.
func (c *client) unmanaged(ctx context.Context, t *hsm.Token, keyType object.KeyType, id []byte, label string) (stock,
	error) {
	inventory, err := c.inventory(ctx, t)
	if err != nil {
		return stock{}, err
	}
	var found stock
	if id != nil {
		found = stock{keys: inventory.WithID(id), others: inventory.Objects(id)}
	} else {
		found.keys = inventory.Labelled(label)
	}
	found.keys = slices.DeleteFunc(found.keys, func(k object.Key) bool { return c.isManaged(k.ID) })
	if id != nil {
		found.whole = slices.DeleteFunc(slices.Clone(found.keys), func(k object.Key) bool { return k.Type == keyType })
	}
	found.keys = slices.DeleteFunc(found.keys, func(k object.Key) bool { return k.Type != keyType })
	found.others = slices.DeleteFunc(found.others, func(o object.Object) bool {
		return c.isManaged(o.ID) || slices.ContainsFunc(found.keys, func(k object.Key) bool {
			return slices.ContainsFunc(k.Objects(), func(half object.Object) bool { return half.Handle == o.Handle })
		})
	})
	return found, nil
}

// made is what tells that a key may have been made in the place of another one.
type made struct {
	keyType object.KeyType
	label   string
}

// succeeded says that this run has made a key of that type and label, which may be in the place of the one that has
// them.
func (c *client) succeeded(keyType object.KeyType, a *keyAttributes) bool {
	if c == nil {
		return false
	}
	c.view.mu.Lock()
	defer c.view.mu.Unlock()
	return c.view.made[made{keyType, a.Label.ValueString()}]
}

// noteDestroyed notes a key that this run has destroyed, by its ID, and its name for messages.
func (v *planView) noteDestroyed(keyID, name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.destroyed == nil {
		v.destroyed = map[string]string{}
	}
	v.destroyed[strings.ToLower(keyID)] = name
}

// noteMade notes a key that this run has made, and gives the name of the one that this run has destroyed under the same
// ID.
func (v *planView) noteMade(key object.Key) (old string, was bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.made == nil {
		v.made = map[made]bool{}
	}
	v.made[made{key.Type, key.Label}] = true
	old, was = v.destroyed[object.FormatID(key.ID)]
	return old, was
}

// relabel notes the label that a plan gives to a pair; relabelled, that the apply is at it.
func (v *planView) relabel(fingerprint, label string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.labels == nil {
		v.labels = map[string]string{}
	}
	v.labels[fingerprint] = label
}

// move notes that a pair is planned to get another ID.
func (v *planView) move(fingerprint string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.moved == nil {
		v.moved = map[string]bool{}
	}
	v.moved[fingerprint] = true
}

// moves says that a pair is planned to get another ID than it has.
func (v *planView) moves(fingerprint string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.moved[fingerprint]
}

func (v *planView) relabelled(fingerprint string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.labels, fingerprint)
}

// asPlanned gives a pair the label that this run's plan gives it. Data sources that name a key by its resource's uri
// are read after that is planned, but before it is applied, and show what will be: the next plan has nothing to
// correct.
func (v *planView) asPlanned(pair object.Key) object.Key {
	v.mu.Lock()
	defer v.mu.Unlock()
	if label, planned := v.labels[pair.Fingerprint()]; planned {
		pair.Label, pair.PublicLabel = label, label
	}
	return pair
}

// first is true once for each text: what each of a thousand planned keys would say, the first says for all.
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
