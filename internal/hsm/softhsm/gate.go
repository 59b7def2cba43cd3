package softhsm

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// Gate keeps calls that write objects apart from calls that look at objects, since the module does not do so itself.
// Calls go in in the order in which they came. With one go all others of its group that wait; calls that write go
// alone.
type Gate struct {
	patience map[group]time.Duration // how long a call of the group may be inside before it counts as hanging
	mu       sync.Mutex
	inside   map[*entrant]bool
	lost     map[*entrant]bool // calls that hang, and keep nobody out any more
	queue    []*entrant
}

// group is a group of calls that may be inside together.
type group int

const (
	// writes is for calls that write objects, and for functions that the gate does not know. Each is inside alone.
	writes group = iota
	// makes is for calls that make an RSA pair. Each takes seconds, and writes objects only in its last milliseconds.
	// Nobody outside the module can see when these begin, so the calls are inside with each other, but with no others.
	makes
	// looks is for calls that look at objects.
	looks
	// outside is for calls that touch no object. They do not wait.
	outside
)

// groups has the functions that do not write objects. Every other function is in the group writes.
var groups = map[string]group{
	"C_FindObjectsInit": looks, "C_GetAttributeValue": looks, "C_DeriveKey": looks, "C_GetTokenInfo": looks, "C_Login": looks,
	"C_SignInit": looks, "C_VerifyInit": looks, "C_EncryptInit": looks, "C_DecryptInit": looks,

	"C_Initialize": outside, "C_Finalize": outside, "C_GetInfo": outside, "C_GetSlotList": outside, "C_GetSlotInfo": outside,
	"C_GetMechanismList": outside, "C_GetMechanismInfo": outside, "C_OpenSession": outside, "C_CloseSession": outside,
	"C_GetSessionInfo": outside, "C_FindObjects": outside, "C_FindObjectsFinal": outside, "C_Sign": outside, "C_Verify": outside,
	"C_Encrypt": outside, "C_Decrypt": outside,
}

func groupOf(c *cryptoki.Call) group {
	if c.Function == "C_GenerateKeyPair" && c.Mechanism == cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN {
		return makes
	}
	return groups[c.Function]
}

const (
	gatePatience = 10 * time.Second // longer than any call takes that does not hang
	makePatience = time.Minute      // for RSA pairs, except for the largest ones
	// gateGather is how long a call that makes a pair lets calls of other groups go first, so that others that make a
	// pair can gather and go in with it.
	gateGather = 50 * time.Millisecond
	// joinTime is how long a call of another group may wait before no more calls join those that make pairs.
	joinTime = 2 * time.Second
)

// entrant is a call that waits, or is inside.
type entrant struct {
	group group
	since time.Time // when it began to wait, or went in
	ripe  bool      // it no longer lets calls of other groups go first
	enter chan struct{}
}

func newGate(patience time.Duration) *Gate {
	return &Gate{patience: map[group]time.Duration{looks: patience, writes: patience, makes: makePatience},
		inside: map[*entrant]bool{}, lost: map[*entrant]bool{}}
}

// Pass is a cryptoki.Hook.
func (g *Gate) Pass(ctx context.Context, c *cryptoki.Call, next func() error) error {
	e := &entrant{group: groupOf(c), enter: make(chan struct{})}
	if e.group == outside {
		return next()
	}
	if !c.Wait() {
		return c.NotCalled(ctx)
	}
	entered := g.enter(ctx, e)
	if entered {
		defer g.leave(e)
	}
	if !entered || !c.Proceed() {
		return c.NotCalled(ctx)
	}
	return next()
}

// enter waits for its turn. It is false where the context ended first.
func (g *Gate) enter(ctx context.Context, e *entrant) bool {
	g.mu.Lock()
	e.ripe, e.since = e.group != makes, time.Now()
	g.queue = append(g.queue, e)
	if e.group == makes && g.joins() {
		g.let(func(other *entrant) bool { return other == e })
	}
	wait := g.admit()
	g.mu.Unlock()
	select {
	case <-e.enter:
		return true
	default:
	}
	for gather := time.After(gateGather); ; {
		select {
		case <-e.enter:
			return true
		case <-ctx.Done():
			return g.giveUp(e)
		case <-gather:
			g.mu.Lock()
			e.ripe = true
		case <-time.After(wait):
			g.mu.Lock()
		}
		wait = g.admit()
		g.mu.Unlock()
	}
}

// joins says that a call that makes a pair may go in at once: either nobody else is there, or others make pairs now
// and nobody has waited for them for long.
func (g *Gate) joins() bool {
	others := g.queue[:len(g.queue)-1]
	if !g.fits(makes) || len(g.inside) == 0 && len(others) > 0 {
		return false
	}
	return !slices.ContainsFunc(others, func(e *entrant) bool { return time.Since(e.since) > joinTime })
}

// giveUp takes a call out of the queue. It is true if the call was let in meanwhile.
func (g *Gate) giveUp(e *entrant) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.queue, e)
	if i < 0 {
		return true
	}
	g.queue = slices.Delete(g.queue, i, i+1)
	g.admit()
	return false
}

func (g *Gate) leave(e *entrant) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.inside, e)
	delete(g.lost, e)
	g.admit()
}

// hangs says that the module is in a call that was written off.
func (g *Gate) hangs() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.lost) > 0
}

// fits says that a call of the group may be inside together with those that are there now.
func (g *Gate) fits(group group) bool {
	for e := range g.inside {
		if e.group != group || group == writes {
			return false
		}
	}
	return true
}

// admit lets in the calls whose turn it is, and says when to look again if nobody leaves by then. A call that hangs is
// written off, so that it keeps nobody out any more.
func (g *Gate) admit() (wait time.Duration) {
	wait = gatePatience
	for e := range g.inside {
		left := g.patience[e.group] - time.Since(e.since)
		if left <= 0 {
			delete(g.inside, e)
			g.lost[e] = true
			continue
		}
		wait = min(wait, left)
	}
	first := slices.IndexFunc(g.queue, func(e *entrant) bool { return e.ripe })
	if first < 0 || !g.fits(g.queue[first].group) {
		return wait
	}
	turn := g.queue[first]
	g.let(func(e *entrant) bool { return e == turn || e.group == turn.group && e.group != writes })
	return wait
}

func (g *Gate) let(in func(*entrant) bool) {
	g.queue = slices.DeleteFunc(g.queue, func(e *entrant) bool {
		if !in(e) {
			return false
		}
		e.since = time.Now()
		g.inside[e] = true
		close(e.enter)
		return true
	})
}

// gates are the process's gates, by token. All who opened a token share one.
var gates sync.Map // cryptoki.TokenInfo.Identity -> *Gate

// GateOf gives the process's gate for a token.
func GateOf(token cryptoki.TokenInfo) *Gate {
	gate, _ := gates.LoadOrStore(token.Identity(), newGate(gatePatience))
	return gate.(*Gate)
}
