package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// Pool hands out sessions, each to one goroutine at a time, and opens only so many. It never hands out a lost session
// again. A session in which a call hangs keeps its place, since the token counts it too.
type Pool struct {
	token    cryptoki.TokenInfo
	sessions credential
	places   chan struct{} // holds a value for each session that may still be taken

	mu    sync.Mutex
	idle  []pooled
	epoch int // how often a session was found ended; then all older sessions may have ended too
}

type pooled struct {
	*cryptoki.Session
	epoch int
	round int64 // of the login: an older session is closed
}

// New gives the sessions on a token: at most max, and no more than the token allows. The first session that is used
// logs in.
func New(
	m *cryptoki.Module, token cryptoki.TokenInfo, user cryptoki.User, pin PIN, max int, d quirk.Differences,
) *Pool {
	for _, limit := range []uint{token.MaxSessions, token.MaxRWSessions} {
		if limit != 0 && limit != cryptoki.Unknown && limit < uint(max) {
			max = int(limit)
		}
	}
	if d.OneSession {
		max = 1
	}
	p := &Pool{token: token, sessions: loginOf(m, token, user, pin, d), places: make(chan struct{}, max)}
	for range max {
		p.places <- struct{}{}
	}
	return p
}

// LoggedIn is an error where the session has lost its login: then what it did not find may still be there.
func (p *Pool) LoggedIn(ctx context.Context, s *cryptoki.Session) error {
	return p.sessions.loggedIn(ctx, s)
}

// User is who logs in.
func (p *Pool) User() cryptoki.User { return p.sessions.user }

// Token is the token as it was when it was opened.
func (p *Pool) Token() cryptoki.TokenInfo { return p.token }

// Size is how many sessions may be open at once.
func (p *Pool) Size() int { return cap(p.places) }

// Epoch grows whenever a session was found ended, and with each of Rounds: then handles of before may mean other
// objects.
func (p *Pool) Epoch() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.epoch + int(p.Rounds())
}

// Rounds is how often the security officer has worked in this process, who may have erased the token.
func (p *Pool) Rounds() int64 { return p.sessions.rounds.Load() }

// Use runs f with a session.
func (p *Pool) Use(ctx context.Context, f func(*cryptoki.Session) error) error {
	if err := p.sessions.users.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("the token's security officer is still at work in this process: %w", context.Cause(ctx))
	}
	defer p.sessions.users.Release(1)
	select {
	case <-p.places:
	default: // if a place is free, the call itself reports a context that has ended
		select {
		case <-p.places:
		case <-ctx.Done():
			return fmt.Errorf("no session became free: all %d are in use or hang in the module: %w", p.Size(),
				context.Cause(ctx))
		}
	}
	hangs := false
	defer func() {
		// A call that hangs keeps its session open on the token, so its place is not free again.
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

func (p *Pool) take(ctx context.Context) (pooled, error) {
	for {
		p.mu.Lock()
		epoch, n := p.epoch, len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			s, err := p.sessions.open(ctx)
			return pooled{s, epoch, p.Rounds()}, err
		}
		s := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if s.round != p.Rounds() {
			continue // the security officer has closed it
		}
		if s.epoch == epoch || p.sessions.valid(ctx, s.Session) {
			return pooled{s.Session, epoch, s.round}, nil
		}
		p.sessions.close(ctx, s.Session)
	}
}

// ended are the codes that say that a session has ended. Other sessions of its age may then have ended too.
var ended = []error{
	cryptoki.CKR_SESSION_HANDLE_INVALID, cryptoki.CKR_SESSION_CLOSED, cryptoki.CKR_USER_NOT_LOGGED_IN,
	cryptoki.CKR_DEVICE_REMOVED, cryptoki.CKR_TOKEN_NOT_PRESENT, cryptoki.CKR_CRYPTOKI_NOT_INITIALIZED,
}

// Ended says that a failure means the end of its session.
func Ended(err error) bool {
	return slices.ContainsFunc(ended, func(code error) bool { return errors.Is(err, code) })
}

func (p *Pool) put(ctx context.Context, s pooled, err error) {
	p.mu.Lock()
	if s.epoch == p.epoch && (Ended(err) || cryptoki.InvalidHandle(err)) { // handles end with sessions
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

// Close ends the sessions that are not in use, and the one that was kept for the login alone: once the module has ended
// too, its handle may mean a session that somebody opens later.
func (p *Pool) Close() {
	p.mu.Lock()
	drop := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, d := range drop {
		p.sessions.end(d.Session, d.round)
	}
	ctx := context.Background()
	p.sessions.inTurn(ctx, func() { p.sessions.unpark(ctx) })
}
