package provider

import (
	"errors"
	"slices"
	"sync"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

// coming is a token that a planned resource makes.
type coming struct {
	label string
	slot  *uint
}

// comings are the tokens that planned resources make.
type comings struct {
	mu  sync.Mutex
	all []coming
}

// Store notes one more; nil forgets all.
func (c *comings) Store(one *coming) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one == nil {
		c.all = nil
		return
	}
	c.all = append(c.all, *one)
}

func (c *comings) has(is func(coming) bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.all, is)
}

// comes says whether the token that the provider's block selects is one that this run makes. What the block says by serial
// number cannot be known before.
func (c *client) comes() bool {
	s := c.configuration.token.Selector
	if s.Serial != nil || s.Label == nil && s.Slot == nil {
		return false
	}
	return c.coming.has(func(one coming) bool {
		return (s.Label == nil || *s.Label == one.label) && (s.Slot == nil || one.slot != nil && *s.Slot == *one.slot)
	})
}

// toCome says that an operation failed for a token that this run makes, or gives its PIN.
func toCome(err error) bool {
	_, token := errors.AsType[*diagnose.TokenToComeError](err)
	return token || errors.Is(err, diagnose.ErrPINToCome)
}
