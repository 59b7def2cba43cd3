package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
)

// Errors of the configuration itself, met where the token is needed.
var (
	errNotConfigured = errors.New("the provider has not been configured")
	errDisabled      = errors.New("HSM_ENABLED is false in the environment, so nothing may touch the token")
	errNoLibrary     = errors.New("no PKCS#11 module is configured")
)

// unknownError says that the token is needed while part of the provider's configuration is not known yet.
type unknownError struct{ attributes []string }

func (e *unknownError) Error() string {
	return fmt.Sprintf("the provider's configuration is not known yet: %s", strings.Join(e.attributes, ", "))
}

// client is what every resource and data source of one configured provider shares: the way to the token, which
// is opened at the first need.
type client struct {
	configuration

	opening chan struct{} // held by who opens the token; a channel, so that waiting for it ends with the context
	opened  *hsm.Token

	sight plannedSight
}

func newClient(c configuration) *client {
	return &client{configuration: c, opening: make(chan struct{}, 1)}
}

// token opens the token at the first call and gives the same one ever after. One caller opens, the others wait.
// A failure is not remembered here: what must not be tried twice, a refused PIN, is remembered by package hsm.
func (c *client) token(ctx context.Context) (*hsm.Token, error) {
	if err := c.needs("library", "token_label", "token_serial", "slot", "pin", "max_sessions"); err != nil {
		return nil, err
	}
	select {
	case c.opening <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the token to be opened: %w", context.Cause(ctx))
	}
	defer func() { <-c.opening }()
	if c.opened != nil {
		return c.opened, nil
	}
	token, err := hsm.Open(ctx, c.configuration.token)
	if err != nil {
		return nil, err
	}
	c.opened = token
	return token, nil
}

// needs is an error where the module cannot be used, or one of these attributes of the provider block is not known yet.
func (c *client) needs(attributes ...string) error {
	if c == nil {
		return errNotConfigured
	}
	if c.disabled {
		return errDisabled
	}
	unknown := slices.DeleteFunc(slices.Clone(c.unknown), func(name string) bool { return !slices.Contains(attributes, name) })
	if len(unknown) > 0 {
		return &unknownError{attributes: unknown}
	}
	if c.configuration.token.Library == "" {
		return errNoLibrary
	}
	return nil
}

// description tells of the token in use, and slots of every slot of the module. Neither logs in, so that a PIN may be
// wrong, missing or not known yet.
func (c *client) description(ctx context.Context) (hsm.Description, error) {
	if err := c.needs("library", "token_label", "token_serial", "slot"); err != nil {
		return hsm.Description{}, err
	}
	return hsm.Describe(ctx, c.configuration.token)
}

func (c *client) slots(ctx context.Context) ([]hsm.Slot, error) {
	if err := c.needs("library"); err != nil {
		return nil, err
	}
	return hsm.Slots(ctx, c.configuration.token)
}

// known says whether the configuration is complete enough to look at the token in a plan.
func (c *client) known() bool {
	return c != nil && len(c.unknown) == 0
}

// close gives the token back. The next need opens it anew.
func (c *client) close() error {
	c.opening <- struct{}{}
	defer func() { <-c.opening }()
	if c.opened == nil {
		return nil
	}
	err := c.opened.Close()
	c.opened = nil
	return err
}

// plannedSight is what a plan has seen of the token: the keys that were there when the first new one was
// planned, and which of them this state manages. It serves warnings only, so it may be a little old, and one
// look serves a plan of a thousand new keys.
type plannedSight struct {
	once    sync.Once
	byLabel map[string][]hsm.WholeKey
	byID    map[string][]hsm.WholeKey
	err     error
	mu      sync.Mutex
	managed map[string]bool // by formatted key ID
	warned  bool
}

// manages notes that a key ID is in the state, so that no plan calls it a stranger.
func (s *plannedSight) manages(keyID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.managed == nil {
		s.managed = map[string]bool{}
	}
	s.managed[strings.ToLower(keyID)] = true
}

// manages notes that a key ID is in the state; a client that was never configured has no sight of anything.
func (c *client) manages(keyID string) {
	if c != nil {
		c.sight.manages(keyID)
	}
}

// isManaged says that, as far as this run has seen, a key ID is in the state.
func (c *client) isManaged(id []byte) bool {
	c.sight.mu.Lock()
	defer c.sight.mu.Unlock()
	return c.sight.managed[hsm.FormatID(id)]
}

// strangers gives the keys of a type that are on the token and, as far as this run has seen, in no state: those of this ID,
// where one is planned, else those of this type and label.
func (c *client) strangers(ctx context.Context, t *hsm.Token, keyType hsm.KeyType, id []byte, label string) ([]hsm.WholeKey, error) {
	s := &c.sight
	s.once.Do(func() {
		var pairs []hsm.WholeKey
		pairs, s.err = t.WholeKeys(ctx)
		s.byLabel, s.byID = map[string][]hsm.WholeKey{}, map[string][]hsm.WholeKey{}
		for _, k := range pairs {
			s.byLabel[k.Label] = append(s.byLabel[k.Label], k)
			s.byID[string(k.ID)] = append(s.byID[string(k.ID)], k)
		}
	})
	if s.err != nil {
		return nil, s.err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.byLabel[label]
	if id != nil {
		found = s.byID[string(id)]
	}
	return slices.DeleteFunc(slices.Clone(found), func(k hsm.WholeKey) bool {
		return k.Type != keyType || s.managed[hsm.FormatID(k.ID)]
	}), nil
}

// firstWarning is true once: what every one of a thousand planned keys would say is said by the first.
func (s *plannedSight) firstWarning() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := !s.warned
	s.warned = true
	return first
}
