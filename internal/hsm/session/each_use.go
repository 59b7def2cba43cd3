package session

import (
	"context"
	"errors"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// ForEachUse logs in for the operation that has just begun in the session, with a key that wants the PIN for each use
// (CKA_ALWAYS_AUTHENTICATE). A PIN that is refused here is never sent again, neither for a key nor for a session.
func (p *Pool) ForEachUse(ctx context.Context, s *cryptoki.Session) error {
	return p.sessions.forEachUse(ctx, s)
}

// NoUseLoginError says that the token takes no login for one use of a key. It has not looked at the PIN, and would
// answer the same again.
type NoUseLoginError struct{ Says string } // what it answered

func (e *NoUseLoginError) Error() string {
	return "the token takes no login for one use of a key (CKU_CONTEXT_SPECIFIC): " + e.Says
}

func (c credential) forEachUse(ctx context.Context, s *cryptoki.Session) error {
	if err := c.takeTurn(ctx); err != nil {
		return err
	}
	defer c.giveTurn()
	c = c.current()
	digest := c.pin.digest()
	for _, user := range []cryptoki.User{c.user, cryptoki.CKU_CONTEXT_SPECIFIC} {
		if err := c.final(user, digest); err != nil {
			return err
		}
	}
	info, err := c.same(ctx)
	if err != nil {
		return err
	}
	pin, err := c.admissible(info)
	if err != nil || !c.needed(info) {
		return err
	}
	err = s.Login(ctx, cryptoki.CKU_CONTEXT_SPECIFIC, pin)
	if err == nil || errors.Is(err, cryptoki.CKR_USER_ALREADY_LOGGED_IN) {
		delete(c.failures[cryptoki.CKU_CONTEXT_SPECIFIC], digest)
		return nil
	}
	if isAny(err, wrongUser) {
		return &NoUseLoginError{err.Error()}
	}
	// The token may count it, whatever it says, and it took the PIN for the session. So it is counted here too, and
	// apart from the sessions' logins.
	err = c.remember(cryptoki.CKU_CONTEXT_SPECIFIC, digest, err, info)
	if IsPINError(err) {
		if c.failures[c.user] == nil {
			c.failures[c.user] = failures{}
		}
		c.failures[c.user][digest] = &failure{count: 1, err: err, final: true}
	}
	return err
}
