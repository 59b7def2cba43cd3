package provider

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

// coming is a token that a planned resource makes.
type coming struct {
	label *string // nil where it is not known yet
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

// comes says whether the token that the provider's block selects is one that this run makes. What the block says by
// serial number cannot be known before.
func (c *client) comes() bool {
	s := c.configuration.token.Selector
	if s.Serial != nil || s.Label == nil && s.Slot == nil {
		return false
	}
	return c.coming.has(func(one coming) bool {
		return (s.Label == nil || one.label == nil || *s.Label == *one.label) && (s.Slot == nil || one.slot != nil &&
			*s.Slot == *one.slot)
	})
}

// another is a paragraph for a block that selects no token that this run makes, where it makes one. It is "" otherwise.
func (c *client) another() string {
	c.coming.mu.Lock()
	defer c.coming.mu.Unlock()
	for _, one := range c.coming.all {
		if one.label != nil && len(c.selected) > 0 {
			return fmt.Sprintf("\n\nThis plan makes the token %q (hsm_token), and the provider block selects "+
				"another one, by %s. If it is to be that one, give both the same label.", *one.label,
				strings.Join(c.selected, " and "))
		}
	}
	return ""
}

// toCome says that an operation failed for a token that this run makes, or gives its PIN.
func toCome(err error) bool {
	_, token := errors.AsType[*diagnose.TokenToComeError](err)
	return token || errors.Is(err, diagnose.ErrPINToCome)
}
