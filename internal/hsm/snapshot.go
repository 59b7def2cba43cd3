package hsm

import (
	"context"
	"errors"
	"maps"
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
	changes int                 // of objects
	taking  bool
	writes  []func(map[string][]object) // own writes since the taking began, to be made up afterwards
	dropped bool                        // since the taking began
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
	case direct:
		return nil, false, nil
	}
	all, _, err := s.fill(ctx, t, func(objects int, took time.Duration) bool {
		s.counted(objects, took)
		return s.next() == take
	})
	switch {
	case errors.Is(err, errDear):
		return nil, false, nil
	case err != nil:
		return nil, false, whereEnded(ctx, err)
	}
	return all[string(id)], true, nil
}

// errDear says that a snapshot is not worth what it would cost.
var errDear = errors.New("a snapshot costs more than searches do")

// whereEnded is the error, if the context has ended: then the caller need not try another way.
func whereEnded(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return nil
	}
	return err
}

// all gives every key object on the token.
func (s *snapshot) all(ctx context.Context, t *Token) ([]object, error) {
	objects, _, _, err := s.at(ctx, t)
	return objects, err
}

// at gives every key object on the token, and what state would have said when they were those of the snapshot: kept is
// false where they never were.
func (s *snapshot) at(ctx context.Context, t *Token) (objects []object, changes int, kept bool, err error) {
	switch err := s.takeTurn(ctx); {
	case errors.Is(err, errStalled):
		handles, err := t.handles(ctx)
		if err != nil {
			return nil, 0, false, err
		}
		objects, err := t.readAll(ctx, handles)
		return objects, 0, false, err
	case err != nil:
		return nil, 0, false, err
	}
	defer s.giveTurn()
	t.catchUp()
	s.mu.Lock()
	all := flat(s.objects)
	changes, there := s.changes, s.objects != nil
	s.mu.Unlock()
	if there {
		return all, changes, true, nil
	}
	taken, changes, err := s.fill(ctx, t, func(int, time.Duration) bool { return true })
	return flat(taken), changes, err == nil && changes > 0, err
}

func flat(byID map[string][]object) (all []object) {
	for _, objects := range byID {
		all = append(all, objects...)
	}
	return all
}

// fill takes the snapshot, and gives what was read with what this process wrote in the meantime, to nobody else.
// It is kept unless a write failed since the taking began; what was read is still as good as a search made then. changes
// is the snapshot's number then, and 0 where it was not kept.
// Once the objects are listed, it asks whether to go on, and gives errDear where that is not so. The caller has the turn.
func (s *snapshot) fill(ctx context.Context, t *Token, goOn func(objects int, took time.Duration) bool) (taken map[string][]object, changes int, err error) {
	s.mu.Lock()
	s.taking, s.dropped, s.writes = true, false, nil
	s.mu.Unlock()
	start := time.Now()
	var objects []object
	handles, err := t.handles(ctx)
	if err == nil && !goOn(len(handles), time.Since(start)) {
		err = errDear
	}
	if err == nil {
		objects, err = t.readAll(ctx, handles)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taking = false
	writes := s.writes
	s.writes = nil
	switch {
	case errors.Is(err, errDear):
		return nil, 0, err
	case err != nil:
		s.rental = rental{waiting: s.rental.waiting}
		return nil, 0, err
	}
	taken = make(map[string][]object, len(objects)/2)
	for _, o := range objects {
		taken[string(o.id)] = append(taken[string(o.id)], o)
	}
	for _, write := range writes {
		write(taken)
	}
	if !s.dropped {
		s.objects = maps.Clone(taken)
		s.changes++
		changes = s.changes
	}
	return taken, changes, nil
}

func (s *snapshot) serve(id []byte) ([]object, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.objects == nil {
		return nil, false
	}
	return slices.Clone(s.objects[string(id)]), true
}

// wrote notes a write of our own: the objects of old are no more, those of now are there. An object is known by
// what it shows of its key, since its handle may be another by now; where it shows nothing, by its handle, and
// where that is not known, nothing is: the snapshot is dropped.
func (s *snapshot) wrote(old, now []object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	write := func(to map[string][]object) {
		for _, o := range slices.Concat(old, now) {
			kept := slices.DeleteFunc(slices.Clone(to[string(o.id)]), func(have object) bool {
				return have.handle == o.handle || o.showsItself() && sameKey(have, o)
			})
			to[string(o.id)] = kept
		}
		for _, o := range now {
			to[string(o.id)] = append(to[string(o.id)], o)
		}
	}
	unsure := slices.ContainsFunc(old, func(o object) bool {
		return !o.showsItself() && !slices.ContainsFunc(s.objects[string(o.id)], func(have object) bool { return have.handle == o.handle })
	})
	switch {
	case unsure:
		s.objects, s.dropped = nil, true
	case s.objects != nil:
		write(s.objects)
	}
	s.changes++
	if s.taking {
		s.writes = append(s.writes, write)
	}
}

// drop forgets everything, after a write that failed: what it touched is not known here.
func (s *snapshot) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects, s.dropped = nil, true
	s.changes++
}

// state tells by a number whether anything has changed since it was asked before; there is false where nothing is taken.
func (s *snapshot) state() (changes int, there bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changes, s.objects != nil
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
