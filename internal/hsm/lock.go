package hsm

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// shared are the process's values of a kind, one for each name, such as a token's: all who opened the token have the same.
type shared[T any] struct {
	mu     sync.Mutex
	values map[string]*T
}

// of gives the value of a name, which is made where there is none yet.
func (s *shared[T]) of(name string, create func() *T) *T {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, ok := s.values[name]
	if !ok {
		if s.values == nil {
			s.values = map[string]*T{}
		}
		value = create()
		s.values[name] = value
	}
	return value
}

// idLocks let one operation at a time change what bears a key ID.
type idLocks struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when it is given back
}

// lock waits for all of the IDs, in their own order, so that no two wait for each other.
func (l *idLocks) lock(ctx context.Context, ids ...[]byte) (unlock func(), err error) {
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
			return nil, fmt.Errorf("another operation on key ID %s has not ended: %w", FormatID(id), err)
		}
		undo = append(undo, release)
	}
	return unlock, nil
}

func (l *idLocks) one(ctx context.Context, id string) (release func(), err error) {
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

// settleTime is how long an operation whose context has ended may go on to leave things in order: to read
// back, put back or clear away what it has begun. People wait for it after an interrupt.
const settleTime = 700 * time.Millisecond

// settling is a context that outlives ctx by settleTime.
func settling(ctx context.Context) (context.Context, context.CancelFunc) {
	settle, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(settleTime, func() { cancel(context.Cause(ctx)) })
	})
	return settle, func() { stop(); cancel(context.Canceled) }
}
