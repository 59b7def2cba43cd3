package hsm

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/session"
)

// snapshot is the inventory of the whole token, read in one go and kept up to date with the process's own writes.
// Reads begin with direct searches. The snapshot is taken when those have cost as much as it would (see snapshotCost).
// Concurrent readers share one.
type snapshot struct {
	reader   *session.Reader
	find     func(context.Context, []byte) ([]object.Object, error)
	turn     chan struct{} // holds one value; who has it may make the first search, count, or take the snapshot
	progress atomic.Int64  // grows with each thing that the one with the turn gets done
	stalled  atomic.Int64  // the progress at which the one with the turn was found to hang

	mu        sync.Mutex
	inventory *object.Inventory // nil until the snapshot is taken
	round     int64             // of the security officer, when the taking began
	taking    bool
	writes    []write       // own writes since the taking began, for the new inventory
	dropped   bool          // drop was called since the taking began
	began     time.Time     // when the taking began
	took      time.Duration // the taking
	cost      snapshotCost
}

// write is a write of this process: the objects of old are gone, those of now are there.
type write struct{ old, now []object.Object }

func newSnapshot(reader *session.Reader, find func(context.Context, []byte) ([]object.Object, error)) *snapshot {
	s := &snapshot{reader: reader, find: find, turn: make(chan struct{}, 1)}
	s.stalled.Store(-1)
	reader.Searched, reader.Progress = s.searched, func() { s.progress.Add(1) }
	return s
}

// lookup gives an inventory that has the objects of an ID: the snapshot, which it takes if that is due, or what the
// first search found. It is nil where the caller has to search, because a search is cheaper or the snapshot failed.
func (s *snapshot) lookup(ctx context.Context, id []byte) (*object.Inventory, error) {
	if inventory := s.taken(); inventory != nil {
		return inventory, nil
	}
	s.wait(1)
	defer s.wait(-1)
	if err := s.takeTurn(ctx); err != nil {
		return nil, context.Cause(ctx) // nil where the one with the turn hangs and ctx has not ended
	}
	defer s.giveTurn()
	if inventory := s.taken(); inventory != nil {
		return inventory, nil
	}
	switch s.next() {
	case search:
		// Nobody can decide before the first search shows what a search costs.
		objects, err := s.find(ctx, id)
		if err != nil {
			return nil, err
		}
		return object.NewInventory(objects), nil
	case direct:
		return nil, nil
	}
	inventory, err := s.take(ctx, func(objects int, took time.Duration) bool {
		s.counted(objects, took)
		return s.next() == take
	})
	switch {
	case errors.Is(err, errDear), err != nil && ctx.Err() == nil:
		return nil, nil
	case err != nil:
		return nil, err
	}
	return inventory, nil
}

// errDear says that the snapshot would cost more than it saves.
var errDear = errors.New("a snapshot costs more than searches do")

// all gives the inventory of the whole token.
func (s *snapshot) all(ctx context.Context) (*object.Inventory, error) {
	switch err := s.takeTurn(ctx); {
	case errors.Is(err, errStalled):
		handles, err := s.reader.List(ctx)
		if err != nil {
			return nil, err
		}
		objects, err := s.reader.ReadAll(ctx, handles)
		return object.NewInventory(objects), err
	case err != nil:
		return nil, err
	}
	defer s.giveTurn()
	if inventory := s.taken(); inventory != nil {
		return inventory, nil
	}
	return s.take(ctx, func(int, time.Duration) bool { return true })
}

// take reads the whole token, and adds what this process wrote meanwhile. It keeps the result unless a write failed
// meanwhile; even then, the result is as good as a search made at its start. Once the objects are listed, it asks goOn
// whether to read them, and gives errDear if not. The caller has the turn.
func (s *snapshot) take(ctx context.Context, goOn func(objects int, took time.Duration) bool) (*object.Inventory, error) {
	s.mu.Lock()
	start := time.Now()
	s.taking, s.dropped, s.writes, s.round, s.began = true, false, nil, s.reader.Pool.Rounds(), start
	s.mu.Unlock()
	var objects []object.Object
	handles, err := s.reader.List(ctx)
	if err == nil && !goOn(len(handles), time.Since(start)) {
		err = errDear
	}
	if err == nil {
		objects, err = s.reader.ReadAll(ctx, handles)
	}
	inventory := object.NewInventory(objects)
	s.mu.Lock()
	defer s.mu.Unlock()
	writes := s.writes
	s.taking, s.writes = false, nil
	switch {
	case errors.Is(err, errDear):
		return nil, err
	case err != nil:
		s.cost = snapshotCost{waiting: s.cost.waiting}
		return nil, err
	}
	keep := !s.dropped
	for _, w := range writes {
		keep = inventory.Update(w.old, w.now) && keep
	}
	if keep {
		s.inventory, s.took = inventory, time.Since(start)
	}
	return inventory, nil
}

func (s *snapshot) taken() *object.Inventory {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inventory != nil && s.round != s.reader.Pool.Rounds() { // the security officer may have erased the token
		s.inventory = nil
	}
	return s.inventory
}

// wrote notes a write of this process.
func (s *snapshot) wrote(old, now []object.Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inventory != nil && !s.inventory.Update(old, now) {
		s.inventory = nil
	}
	if s.taking {
		s.writes = append(s.writes, write{old, now})
	}
}

// wroteCertificates notes which certificates an ID has, after a write of this process.
func (s *snapshot) wroteCertificates(id []byte, now []object.Certificate) {
	objects := make([]object.Object, len(now))
	for i, c := range now {
		objects[i] = c.Object()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inventory != nil {
		s.inventory.UpdateCertificates(id, objects)
	}
	s.dropped = s.dropped || s.taking
}

// whole gives the snapshot, which it takes if that is due. It is nil where a search is cheaper, or the snapshot failed.
func (s *snapshot) whole(ctx context.Context) (*object.Inventory, error) {
	if inventory := s.taken(); inventory != nil {
		return inventory, nil
	}
	if s.next() == search {
		return nil, nil
	}
	return s.lookup(ctx, nil)
}

// drop forgets the snapshot, after a failed write: nobody knows which objects that changed.
func (s *snapshot) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inventory, s.dropped = nil, true
}

// dropOlder forgets a snapshot that is older, and has served for four times as long as it took: so taking one again and
// again takes no more than a part of the time.
func (s *snapshot) dropOlder(age time.Duration) {
	s.mu.Lock()
	age = max(age, 5*s.took)
	s.mu.Unlock()
	s.dropBefore(time.Now().Add(-age))
}

// dropBefore forgets a snapshot whose taking began before that moment.
func (s *snapshot) dropBefore(moment time.Time) {
	s.mu.Lock()
	old := s.began.Before(moment)
	s.mu.Unlock()
	if old {
		s.drop()
	}
}

// patience is how long the one with the turn may get nothing done before the others stop waiting: it hangs in the
// module, and they should not hang with it.
const patience = 3 * time.Second

var errStalled = errors.New("another read of the token hangs")

func (s *snapshot) takeTurn(ctx context.Context) error {
	for {
		before := s.progress.Load()
		wait := patience
		if s.stalled.Load() == before {
			wait = 0 // others have waited already
		}
		select {
		case s.turn <- struct{}{}:
			s.progress.Add(1)
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
			if s.progress.Load() == before {
				s.stalled.Store(before)
				return errStalled
			}
		}
	}
}

func (s *snapshot) giveTurn() { <-s.turn }

func (s *snapshot) wait(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cost.waiting += n
}

func (s *snapshot) next() step {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cost.next()
}

func (s *snapshot) counted(objects int, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cost.counted(objects, took)
}

// searched notes the cost of a direct search.
func (s *snapshot) searched(took time.Duration, reads int, reading time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cost.searched(took, reads, reading)
}
