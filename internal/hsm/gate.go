package hsm

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// gate keeps calls that write an object apart from those that look at objects, for a make of token whose module does
// not do so by itself (quirks.torn). Of several that wait, who came first goes first, with all others of its group.
type gate struct {
	patience time.Duration // how long one waits at most while nobody leaves
	gather   time.Duration // how long one that makes a pair lets others look first

	mu     sync.Mutex
	inside map[group]int
	queue  []*entrant
	left   int // how many have left
	epoch  int // counts the times that those inside were written off
}

// group is what calls have in common that may be inside together.
type group int

const (
	outside group = iota // touches no object
	looks
	makes  // RSA pairs: seconds, and at the end some milliseconds of writing that nobody outside of the module sees begin
	writes // alone
)

// groups has the functions that touch objects.
var groups = map[string]group{
	"C_SetAttributeValue": writes, "C_DestroyObject": writes, "C_GenerateKey": writes, "C_GenerateKeyPair": writes,
	"C_FindObjectsInit": looks, "C_GetAttributeValue": looks, "C_DeriveKey": looks, "C_GetTokenInfo": looks, "C_Login": looks,
	"C_SignInit": looks, "C_VerifyInit": looks, "C_EncryptInit": looks, "C_DecryptInit": looks,
}

func groupOf(c *cryptoki.Call) group {
	if c.Function == "C_GenerateKeyPair" && c.Mechanism == cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN {
		return makes
	}
	return groups[c.Function]
}

const (
	gatePatience = 10 * time.Second // longer than any call takes that does not hang, but for the making of huge RSA keys
	gateGather   = 50 * time.Millisecond
)

// entrant is a call that waits, or is inside.
type entrant struct {
	group group
	ripe  bool // it lets nobody of another group go first any more
	epoch int  // when it came in
	enter chan struct{}
}

func newGate(patience time.Duration) *gate {
	return &gate{patience: patience, gather: gateGather, inside: map[group]int{}}
}

// pass is a cryptoki.Hook.
func (g *gate) pass(ctx context.Context, c *cryptoki.Call, next func() error) error {
	e := &entrant{group: groupOf(c), enter: make(chan struct{})}
	if e.group == outside {
		return next()
	}
	c.Wait()
	entered := g.enter(ctx, e)
	if entered {
		defer g.leave(e)
	}
	if !c.Proceed() || !entered {
		return context.Cause(ctx)
	}
	return next()
}

// enter waits for its turn. It is false where the context ended first.
func (g *gate) enter(ctx context.Context, e *entrant) bool {
	g.mu.Lock()
	e.ripe = e.group != makes
	g.queue = append(g.queue, e)
	if e.group == makes && (g.inside[makes] > 0 || len(g.queue) == 1 && g.fits(makes)) {
		e.ripe = true
		g.let(func(other *entrant) bool { return other == e })
	}
	g.admit()
	left := g.left
	g.mu.Unlock()
	select {
	case <-e.enter:
		return true
	default:
	}
	for gather := time.After(g.gather); ; {
		select {
		case <-e.enter:
			return true
		case <-ctx.Done():
			return g.giveUp(e)
		case <-gather:
			g.mu.Lock()
			e.ripe = true
		case <-time.After(g.patience):
			g.mu.Lock()
			if g.left == left { // one that is inside hangs: it is written off, so that it keeps nobody out any more
				clear(g.inside)
				g.epoch++
			}
		}
		g.admit()
		left = g.left
		g.mu.Unlock()
	}
}

// giveUp takes one out of the queue. It is true where that has been let in meanwhile.
func (g *gate) giveUp(e *entrant) bool {
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

func (g *gate) leave(e *entrant) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left++; e.epoch == g.epoch {
		g.inside[e.group]--
	}
	g.admit()
}

// fits says that one of the group may be inside with those that are.
func (g *gate) fits(group group) bool {
	for other, n := range g.inside {
		if n > 0 && (other != group || group == writes) {
			return false
		}
	}
	return true
}

// admit lets those in whose turn it is.
func (g *gate) admit() {
	first := slices.IndexFunc(g.queue, func(e *entrant) bool { return e.ripe })
	if first < 0 || !g.fits(g.queue[first].group) {
		return
	}
	turn := g.queue[first]
	if turn.group == writes {
		g.let(func(e *entrant) bool { return e == turn })
		return
	}
	g.let(func(e *entrant) bool { return e.group == turn.group })
}

func (g *gate) let(in func(*entrant) bool) {
	g.queue = slices.DeleteFunc(g.queue, func(e *entrant) bool {
		if !in(e) {
			return false
		}
		g.inside[e.group]++
		e.epoch = g.epoch
		close(e.enter)
		return true
	})
}

var gates = struct {
	sync.Mutex
	of map[string]*gate
}{of: map[string]*gate{}}

// gateOf gives the process's gate of a token, which all share who opened it.
func gateOf(token TokenInfo) *gate {
	gates.Lock()
	defer gates.Unlock()
	g, ok := gates.of[token.identity()]
	if !ok {
		g = newGate(gatePatience)
		gates.of[token.identity()] = g
	}
	return g
}
