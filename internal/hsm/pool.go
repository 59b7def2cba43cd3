package hsm

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// pool hands out sessions, each to one goroutine at a time, opening at most size of them. A session that was
// lost is never handed out again; one in which a call hangs keeps its place, since the token counts it too.
type pool struct {
	sessions sessions
	places   chan struct{} // holds a value for each session that may be taken

	mu    sync.Mutex
	idle  []pooled
	epoch int // counts the times that a session was found ended, which puts all that are older in doubt
}

// sessions is where a pool has its sessions from.
type sessions interface {
	open(context.Context) (*cryptoki.Session, error)
	// valid says whether a session that may have been lost with others is still good.
	valid(context.Context, *cryptoki.Session) bool
	// close closes one that was lost, end one that is not needed any more.
	close(context.Context, *cryptoki.Session)
	end(*cryptoki.Session)
}

type pooled struct {
	*cryptoki.Session
	epoch int
}

func newPool(size int, sessions sessions) *pool {
	p := &pool{sessions: sessions, places: make(chan struct{}, size)}
	for range size {
		p.places <- struct{}{}
	}
	return p
}

// size is how many sessions may be open at once.
func (p *pool) size() int { return cap(p.places) }

// use runs f with a session.
func (p *pool) use(ctx context.Context, f func(*cryptoki.Session) error) error {
	select {
	case <-p.places:
	default: // asked first, so that an ended context is told of by the call that it stops, where a place is free
		select {
		case <-p.places:
		case <-ctx.Done():
			return fmt.Errorf("no session became free: all %d are in use, or hang in the module: %w", p.size(), context.Cause(ctx))
		}
	}
	hangs := false
	defer func() {
		// A call that hangs holds its session open on the token: the place is given up with it.
		if !hangs {
			p.places <- struct{}{}
		}
	}()
	s, err := p.take(ctx)
	if err == nil {
		err = f(s.Session)
		p.put(ctx, s, err)
	}
	_, hangs = errors.AsType[*cryptoki.HangError](err)
	return err
}

func (p *pool) take(ctx context.Context) (pooled, error) {
	for {
		p.mu.Lock()
		epoch, n := p.epoch, len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			s, err := p.sessions.open(ctx)
			return pooled{s, epoch}, err
		}
		s := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if s.epoch == epoch || p.sessions.valid(ctx, s.Session) {
			return pooled{s.Session, epoch}, nil
		}
		p.sessions.close(ctx, s.Session)
	}
}

// ended are the codes that say a session is no more. Others of its age are then in doubt too.
var ended = []error{
	cryptoki.CKR_SESSION_HANDLE_INVALID, cryptoki.CKR_SESSION_CLOSED, cryptoki.CKR_USER_NOT_LOGGED_IN,
	cryptoki.CKR_DEVICE_REMOVED, cryptoki.CKR_TOKEN_NOT_PRESENT, cryptoki.CKR_CRYPTOKI_NOT_INITIALIZED,
	cryptoki.CKR_OBJECT_HANDLE_INVALID, cryptoki.CKR_KEY_HANDLE_INVALID,
}

// age tells by a number whether any session was found ended since it was asked before.
func (p *pool) age() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.epoch
}

func (p *pool) put(ctx context.Context, s pooled, err error) {
	p.mu.Lock()
	if s.epoch == p.epoch && isAny(err, ended) {
		p.epoch++
	}
	keep := !s.Lost()
	if keep {
		p.idle = append(p.idle, s)
	}
	p.mu.Unlock()
	if !keep {
		p.sessions.close(ctx, s.Session)
	}
}

func (p *pool) close() {
	p.mu.Lock()
	drop := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, d := range drop {
		p.sessions.end(d.Session)
	}
}
