package session

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// IDLocks lets one operation at a time change the objects of a key ID.
type IDLocks struct {
	mu   sync.Mutex
	held map[string]chan struct{} // by ID; closed when the lock is given back
}

// Lock waits for all of the IDs. It takes them in a fixed order, so that no two operations wait for each other.
func (l *IDLocks) Lock(ctx context.Context, ids ...[]byte) (unlock func(), err error) {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, bytes.Compare)
	ids = slices.CompactFunc(ids, bytes.Equal)
	var undo []func()
	unlock = func() {
		for _, u := range undo {
			u()
		}
	}
	for _, id := range ids {
		release, err := l.one(ctx, string(id))
		if err != nil {
			unlock()
			return nil, fmt.Errorf("another operation on key ID %s is still running: %w", object.FormatID(id), err)
		}
		undo = append(undo, release)
	}
	return unlock, nil
}

func (l *IDLocks) one(ctx context.Context, id string) (release func(), err error) {
	for {
		l.mu.Lock()
		if l.held == nil {
			l.held = map[string]chan struct{}{}
		}
		holder, taken := l.held[id]
		if !taken {
			mine := make(chan struct{})
			l.held[id] = mine
			l.mu.Unlock()
			return func() {
				l.mu.Lock()
				defer l.mu.Unlock()
				delete(l.held, id)
				close(mine)
			}, nil
		}
		l.mu.Unlock()
		select {
		case <-holder:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
