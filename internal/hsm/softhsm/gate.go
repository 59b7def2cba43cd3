package softhsm

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// Gate keeps calls that write an object apart from those that look at objects, since the module does not do so by itself.
// Of several that wait, who came first goes first, with all others of its group.
type Gate struct {
	patience map[group]time.Duration // how long one of the group may be inside before it is taken for one that hangs
	mu       sync.Mutex
	inside   map[*entrant]bool
	queue    []*entrant
}

// group is what calls have in common that may be inside together.
type group int

const (
	writes  group = iota // alone; what nothing is known of is taken for one that writes
	makes                // RSA pairs: each takes seconds, and writes for some milliseconds at its end. When those begin shows nobody outside of the module
	looks                // at objects
	outside              // touches no object
)

// groups has the functions that do not write.
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
	gatePatience = 10 * time.Second // longer than a call takes that does not hang
	makePatience = time.Minute      // but for pairs of RSA; not the largest
	// gateGather is how long one that makes a pair lets those of other groups go first, so that more make theirs beside it.
	gateGather = 50 * time.Millisecond
	// joinTime is how long others wait at most before nobody joins those any more that make their pairs.
	joinTime = 2 * time.Second
)

// entrant is a call that waits, or is inside.
type entrant struct {
	group group
	since time.Time // it waits, or is inside
	ripe  bool      // it lets nobody of another group go first any more
	enter chan struct{}
}

func newGate(patience time.Duration) *Gate {
	return &Gate{patience: map[group]time.Duration{looks: patience, writes: patience, makes: makePatience}, inside: map[*entrant]bool{}}
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

// joins says that one that makes a pair may go in at once: nobody else is there, or others make theirs, and nobody has
// waited for them for long.
func (g *Gate) joins() bool {
	others := g.queue[:len(g.queue)-1]
	if !g.fits(makes) || len(g.inside) == 0 && len(others) > 0 {
		return false
	}
	return !slices.ContainsFunc(others, func(e *entrant) bool { return time.Since(e.since) > joinTime })
}

// giveUp takes one out of the queue. It is true where that has been let in meanwhile.
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
	g.admit()
}

// fits says that one of the group may be inside with those that are.
func (g *Gate) fits(group group) bool {
	for e := range g.inside {
		if e.group != group || group == writes {
			return false
		}
	}
	return true
}

// admit lets those in whose turn it is, and says when to look again, should nobody leave by then. Whoever hangs is written
// off, so that it keeps nobody out any more.
func (g *Gate) admit() (wait time.Duration) {
	wait = gatePatience
	for e := range g.inside {
		left := g.patience[e.group] - time.Since(e.since)
		if left <= 0 {
			delete(g.inside, e)
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

// gates are the process's, by token: all who opened a token go through one.
var gates sync.Map // cryptoki.TokenInfo.Identity -> *Gate

// GateOf gives the process's gate of a token.
func GateOf(token cryptoki.TokenInfo) *Gate {
	gate, _ := gates.LoadOrStore(token.Identity(), newGate(gatePatience))
	return gate.(*Gate)
}
