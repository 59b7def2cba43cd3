package hsm

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// snapshot is every key object of the token, by ID, as it was read in one go, kept up to date by the
// process's own writes. Reads begin with direct searches; the snapshot is taken when those have cost what it
// would (see rental). Concurrent readers share one.
type snapshot struct {
	turnOnce sync.Once
	turn     chan struct{} // holds one value: whoever has it may search for the first time, count, or take
	progress atomic.Int64  // counts what those whose turn it is get done
	stalled  atomic.Int64  // the progress at which one was found to hang

	mu      sync.Mutex
	objects map[string][]object // by CKA_ID; nil where none is taken
	taking  bool
	writes  []func() // own writes since the taking began, to be made up afterwards
	rental  rental
}

// lookup gives the objects of an ID from the snapshot, taking it where that is due. ok is false where the
// caller has to search directly, be it that a search is cheaper, or that the snapshot could not be had.
func (s *snapshot) lookup(ctx context.Context, t *Token, id []byte) (objects []object, ok bool, err error) {
	t.catchUp()
	if objects, ok = s.serve(id); ok {
		return objects, true, nil
	}
	s.wait(1)
	defer s.wait(-1)
	if err := s.takeTurn(ctx); err != nil {
		return nil, false, context.Cause(ctx) // nil where the one whose turn it is hangs, and ctx lasts
	}
	defer s.giveTurn()
	if objects, ok = s.serve(id); ok {
		return objects, true, nil
	}
	switch s.next() {
	case search:
		// Nothing is known yet of what a search costs: the first is made before anyone decides.
		objects, err := t.find(ctx, id)
		return objects, err == nil, err
	case count:
		start := time.Now()
		handles, err := t.handles(ctx)
		if err != nil {
			return nil, false, whereEnded(ctx, err)
		}
		s.counted(len(handles), time.Since(start))
		if s.next() != take {
			return nil, false, nil
		}
	case direct:
		return nil, false, nil
	}
	if err := s.fill(ctx, t); err != nil {
		return nil, false, whereEnded(ctx, err)
	}
	objects, ok = s.serve(id)
	return objects, ok, nil
}

// whereEnded is the error, if the context has ended: then the caller need not try another way.
func whereEnded(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return nil
	}
	return err
}

// all gives every key object on the token.
func (s *snapshot) all(ctx context.Context, t *Token) ([]object, error) {
	switch err := s.takeTurn(ctx); {
	case errors.Is(err, errStalled):
		return t.readAll(ctx)
	case err != nil:
		return nil, err
	}
	defer s.giveTurn()
	t.catchUp()
	if _, ok := s.serve(nil); !ok {
		if err := s.fill(ctx, t); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []object
	for _, objects := range s.objects {
		all = append(all, objects...)
	}
	return all, nil
}

// fill takes the snapshot. The caller has the turn.
func (s *snapshot) fill(ctx context.Context, t *Token) error {
	s.mu.Lock()
	s.taking, s.writes = true, nil
	s.mu.Unlock()
	objects, err := t.readAll(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taking = false
	if err != nil {
		s.rental = rental{waiting: s.rental.waiting}
		return err
	}
	s.objects = make(map[string][]object, len(objects)/2)
	for _, o := range objects {
		s.objects[string(o.id)] = append(s.objects[string(o.id)], o)
	}
	for _, write := range s.writes {
		write()
	}
	s.writes = nil
	if s.objects == nil { // a failed write dropped it; what was read is still as good as a search made then
		s.objects = map[string][]object{}
		defer func() { s.objects = nil }()
	}
	return nil
}

func (s *snapshot) serve(id []byte) ([]object, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.objects == nil {
		return nil, false
	}
	return slices.Clone(s.objects[string(id)]), true
}

// wrote notes a write of our own: the objects of old are no more, those of now are there.
func (s *snapshot) wrote(old, now []object) {
	s.apply(func() {
		for _, o := range old {
			s.objects[string(o.id)] = slices.DeleteFunc(s.objects[string(o.id)], func(have object) bool { return have.handle == o.handle })
		}
		for _, o := range now {
			s.objects[string(o.id)] = append(s.objects[string(o.id)], o)
		}
	})
}

// drop forgets everything, after a write that failed: what it touched is not known here.
func (s *snapshot) drop() {
	s.apply(func() { s.objects = nil })
}

func (s *snapshot) apply(write func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taking {
		s.writes = append(s.writes, write)
	}
	if s.objects != nil {
		write()
	}
}

// patience is how long the one whose turn it is may get nothing done before the others go their own way: it
// hangs in the module, and nobody else is to hang with it.
const patience = 3 * time.Second

var errStalled = errors.New("another read of the token hangs")

func (s *snapshot) takeTurn(ctx context.Context) error {
	s.turnOnce.Do(func() {
		s.turn = make(chan struct{}, 1)
		s.stalled.Store(-1)
	})
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
	s.rental.waiting += n
}

func (s *snapshot) next() step {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rental.next()
}

func (s *snapshot) counted(objects int, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rental.counted(objects, took)
}

// searched notes the cost of a direct search, which the rule weighs.
func (s *snapshot) searched(took time.Duration, reads int, reading time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rental.searched(took, reads, reading)
}
