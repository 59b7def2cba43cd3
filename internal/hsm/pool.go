package hsm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// pool hands out sessions, each to one goroutine at a time, opening at most size of them. A session that was
// lost is never handed out again; one in which a call hangs keeps its place, since the token counts it too.
type pool struct {
	open   func(context.Context) (*cryptoki.Session, error)
	places chan struct{} // holds a value for each session that may be taken

	mu    sync.Mutex
	idle  []pooled
	epoch int // counts the times that all sessions were found lost
}

type pooled struct {
	*cryptoki.Session
	epoch int
}

func newPool(size int, open func(context.Context) (*cryptoki.Session, error)) *pool {
	p := &pool{open: open, places: make(chan struct{}, size)}
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
	case <-ctx.Done():
		return fmt.Errorf("no session became free: all %d are in use, or hang in the module: %w", p.size(), context.Cause(ctx))
	}
	s, err := p.take(ctx)
	if err == nil {
		err = f(s.Session)
		p.put(ctx, s, err)
	}
	// A call that hangs holds its session open on the token: the place is given up with it.
	if _, ok := errors.AsType[*cryptoki.HangError](err); !ok {
		p.places <- struct{}{}
	}
	return err
}

func (p *pool) take(ctx context.Context) (pooled, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		s := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return s, nil
	}
	epoch := p.epoch
	p.mu.Unlock()
	s, err := p.open(ctx)
	return pooled{s, epoch}, err
}

// ended are the codes that say a session is no more. Others of its age are then in doubt too.
var ended = []error{
	cryptoki.CKR_SESSION_HANDLE_INVALID, cryptoki.CKR_SESSION_CLOSED, cryptoki.CKR_USER_NOT_LOGGED_IN,
	cryptoki.CKR_DEVICE_REMOVED, cryptoki.CKR_TOKEN_NOT_PRESENT, cryptoki.CKR_CRYPTOKI_NOT_INITIALIZED,
}

func (p *pool) put(ctx context.Context, s pooled, err error) {
	var drop []pooled
	p.mu.Lock()
	for _, code := range ended {
		if errors.Is(err, code) && s.Lost() && s.epoch == p.epoch {
			p.epoch++
			drop, p.idle = p.idle, nil
			break
		}
	}
	if !s.Lost() && s.epoch == p.epoch {
		p.idle = append(p.idle, s)
	} else {
		drop = append(drop, s)
	}
	p.mu.Unlock()
	for _, d := range drop {
		closeSession(ctx, d.Session)
	}
}

// closeTime is how long the closing of a session may take that nobody needs any more.
const closeTime = 500 * time.Millisecond

func closeSession(ctx context.Context, s *cryptoki.Session) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	_ = s.CloseSession(ctx) // a session that cannot be closed is the token's to clear away
}

func (p *pool) close() {
	p.mu.Lock()
	drop := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, d := range drop {
		closeSession(context.Background(), d.Session)
	}
}
