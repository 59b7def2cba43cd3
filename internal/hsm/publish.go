package hsm

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// proofs remembers which pairs were proven in this process. It forgets them when a session has ended: then a handle may
// mean another private half, which looks the same.
type proofs struct {
	mu    sync.Mutex
	epoch int // the pool's
	pairs map[proofOf]*proof
}

// proofOf is what a proof is about: a public key, and a private half as this process sees it.
type proofOf struct {
	id, fingerprint string
	private         cryptoki.Object
	material        string // what the private half shows of itself
}

// proof is that of one pair. Whoever fills turn makes it, and others wait for that one.
type proof struct {
	turn   chan struct{}
	proven bool // read and written by the one with the turn
}

func whatOf(key object.Key) proofOf {
	return proofOf{string(key.ID), key.Fingerprint(), key.Private.Handle, key.Private.Material()}
}

func (p *proofs) of(key object.Key, epoch int) *proof {
	what := whatOf(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pairs == nil || p.epoch != epoch {
		p.pairs, p.epoch = map[proofOf]*proof{}, epoch
	}
	if p.pairs[what] == nil {
		p.pairs[what] = &proof{turn: make(chan struct{}, 1)}
	}
	return p.pairs[what]
}

// forget drops a proof that came to nothing.
func (p *proofs) forget(key object.Key, failed *proof) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if what := whatOf(key); p.pairs[what] == failed {
		delete(p.pairs, what)
	}
}

// Published makes sure of pairs whose public keys are about to be published: that each public half belongs to the
// private one. Anyone may write over a public half, without a PIN. Pairs whose halves show that they belong together
// cost no calls. The others are proven by an operation each, once in a process, in all sessions at the same time.
// Errors: *DisprovedError, *UnprovenError where the pair's usage or the token allows no such operation, or the
// token's failure.
func (t *Token) Published(ctx context.Context, pairs []object.Key) error {
	open := make([]object.Key, 0, len(pairs))
	for _, pair := range pairs {
		if !pair.Shown() {
			open = append(open, pair)
		}
	}
	results, err := t.proveAll(ctx, open)
	if err != nil {
		return err
	}
	disproved, unproven := &DisprovedError{}, &UnprovenError{}
	for i, result := range results {
		halves := Halves{open[i].Private.Name(), open[i].Public.Name(), result.refusal}
		switch result.verdict {
		case object.Different:
			disproved.Pairs = append(disproved.Pairs, halves)
		case object.Undecided:
			unproven.Pairs = append(unproven.Pairs, halves)
		}
	}
	switch {
	case len(disproved.Pairs) > 0:
		return disproved
	case len(unproven.Pairs) > 0:
		return unproven
	}
	return nil
}

// result is what came of one proof.
type result struct {
	verdict      object.Verdict
	refusal, err error
}

// proveAll proves pairs. Where sessions were lost since the pairs were read, it finds them again, once.
func (t *Token) proveAll(ctx context.Context, pairs []object.Key) ([]result, error) {
	results := make([]result, len(pairs))
	if err := t.proveEach(ctx, pairs, results); err != nil {
		return nil, err
	}
	lost := func(r result) bool { return r.err != nil }
	if !slices.ContainsFunc(results, lost) {
		return results, nil
	}
	t.snapshot.drop()
	inventory, err := t.snapshot.all(ctx)
	if err != nil {
		return nil, err
	}
	byFingerprint := map[string][]object.Key{}
	now, _ := inventory.Keys()
	for _, key := range now {
		byFingerprint[key.Fingerprint()] = append(byFingerprint[key.Fingerprint()], key)
	}
	pairs = slices.Clone(pairs)
	for i := range results {
		for _, key := range byFingerprint[pairs[i].Fingerprint()] {
			if object.SameObject(*key.Private, *pairs[i].Private) && object.SameObject(*key.Public, *pairs[i].Public) {
				pairs[i] = key
			}
		}
	}
	if err := t.proveEach(ctx, pairs, results); err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(results, lost); i >= 0 {
		return nil, results[i].err
	}
	return results, nil
}

// proveEach proves the pairs that have no verdict yet, in all sessions at the same time. An error that a result
// carries is of a handle that is not valid any more.
func (t *Token) proveEach(ctx context.Context, pairs []object.Key, results []result) error {
	// A call in the module must end by itself: one whose context ends counts as hanging, and its session is lost. So a
	// failure only keeps the others from beginning.
	var group errgroup.Group
	var failed atomic.Bool
	group.SetLimit(t.pool.Size())
	for i := range pairs {
		if results[i].verdict != object.Undecided || results[i].refusal != nil {
			continue
		}
		group.Go(func() error {
			if failed.Load() {
				return nil
			}
			results[i] = t.proveOnce(ctx, pairs[i])
			if err := results[i].err; err != nil && !cryptoki.InvalidHandle(err) {
				failed.Store(true)
				return err
			}
			return nil
		})
	}
	return group.Wait()
}

// proveOnce proves a pair that was not proven yet in this process.
func (t *Token) proveOnce(ctx context.Context, pair object.Key) result {
	p := t.proofs.of(pair, t.pool.Epoch())
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return result{err: context.Cause(ctx)}
	}
	defer func() { <-p.turn }()
	if p.proven {
		return result{verdict: object.Same}
	}
	verdict, refusal, err := t.operate(ctx, pair)
	if p.proven = err == nil && verdict == object.Same; !p.proven {
		t.proofs.forget(pair, p)
	}
	return result{verdict, refusal, err}
}
