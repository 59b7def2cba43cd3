package hsm

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// gate keeps calls that write an object apart from those that look at objects, for a make of token whose module does
// not do so by itself (quirks.torn).
type gate struct {
	calls *semaphore.Weighted
	wait  time.Duration // how long a call waits for those inside at most
	stuck atomic.Bool   // a call inside has not come back: nobody waits any more
}

// gated says how much of the gate a function takes: all of it to write an object, one to look at some. What is not
// named here takes nothing.
var gated = map[string]int64{
	"C_SetAttributeValue": everyone, "C_DestroyObject": everyone, "C_GenerateKey": everyone, "C_GenerateKeyPair": everyone,
	"C_FindObjectsInit": 1, "C_GetAttributeValue": 1, "C_DeriveKey": 1,
	"C_SignInit": 1, "C_VerifyInit": 1, "C_EncryptInit": 1, "C_DecryptInit": 1,
}

// weighs is how much of the gate a call takes. RSA key pairs take long to make, and a moment to write: they pass as if
// there were no gate, so that others go on meanwhile, and are looked at when they are there (see generation).
func weighs(c *cryptoki.Call) int64 {
	if c.Function == "C_GenerateKeyPair" && c.Mechanism == cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN {
		return 0
	}
	return gated[c.Function]
}

// gateTime is longer than any call inside takes that does not hang.
const gateTime = 10 * time.Second

// pass is a cryptoki.Hook.
func (g *gate) pass(ctx context.Context, c *cryptoki.Call, next func() error) error {
	weight := weighs(c)
	if weight == 0 || g.stuck.Load() {
		return next()
	}
	wait, cancel := context.WithTimeout(ctx, g.wait)
	defer cancel()
	switch err := g.calls.Acquire(wait, weight); {
	case err == nil:
		defer g.calls.Release(weight)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		g.stuck.Store(true)
	}
	return next()
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
		g = &gate{calls: semaphore.NewWeighted(everyone), wait: gateTime}
		gates.of[token.identity()] = g
	}
	return g
}
