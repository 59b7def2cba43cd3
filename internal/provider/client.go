package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

// client is what all resources and data sources of one configured provider share: the way to the token, which the
// first operation that needs it opens.
type client struct {
	configuration

	now     func() time.Time
	opening chan struct{} // whoever opens the token fills it; a channel, so that waiting for it ends with the context
	opened  *hsm.Token
	earlier []*hsm.Token // those of before
	missing error        // why not one token matches; each of a thousand keys would look for it anew, and at length

	view   planView
	claims claims
	rings  ringClaims
	given  givenPINs

	coming    comings     // the tokens that plans of this process make
	pinToCome atomic.Bool // the provider's own PIN is the one that a plan of this process sets
	officer   officerPINs
	tokens    tokenClaims
	certs     certificateClaims
}

func newClient(c configuration) *client {
	return &client{configuration: c, now: time.Now, opening: make(chan struct{}, 1)}
}

// token opens the token at the first call, and gives the same one from then on. One caller opens it, the others wait.
// Of failures only that is remembered that not one token matches, where every slot answered. Package hsm remembers what
// must not be tried twice: a refused PIN.
func (c *client) token(ctx context.Context) (*hsm.Token, error) {
	err := c.needs("library", "library_parameters", "token_label", "token_serial", "slot", "pin", "user_type", "max_sessions")
	if err != nil {
		return nil, err
	}
	select {
	case c.opening <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the token to be opened: %w", context.Cause(ctx))
	}
	defer func() { <-c.opening }()
	if c.waitsForPIN() {
		return nil, diagnose.ErrPINToCome
	}
	switch {
	case c.opened != nil:
		return c.opened, nil
	case c.comes(): // its plan has looked, and looking for a token that is not there takes long
		return nil, &diagnose.TokenToComeError{}
	case c.missing != nil:
		return nil, c.missing
	}
	token, err := hsm.Open(ctx, c.configuration.token)
	if e, ok := errors.AsType[*hsm.TokenError](err); ok && len(e.Skipped) == 0 && ctx.Err() == nil {
		c.missing = err
	}
	if err != nil {
		return nil, err
	}
	c.opened = token
	return token, nil
}

// cautions are warnings of what a token's user has to know, each told once.
func (c *client) cautions(token *hsm.Token) (warnings diag.Diagnostics) {
	texts := slices.DeleteFunc(token.Cautions(), func(text string) bool { return !c.view.first(text) })
	if len(texts) > 0 {
		warnings.AddWarning("Others May Write At The Same Time", strings.Join(texts, "\n\n")+"\n\nNothing is wrong with the keys "+
			"because of this. But if another process makes or changes a key with the same key_id at the same moment, both may go "+
			"through, and the token may hold two keys with that ID.\n\nWhat to do: have one process at a time write to the token, "+
			"or see to it that all of them find the lock. The guide \"When something goes wrong\" says where it is.")
	}
	return warnings
}

// normalUser says that the provider logs in as the token's normal user.
func (c *client) normalUser() bool {
	user := c.configuration.token.User
	return user == nil || user.Normal()
}

// waitsForPIN says that the token gets the provider's own PIN in this run, so that nothing on it can be read before.
func (c *client) waitsForPIN() bool { return c != nil && c.pinToCome.Load() }

// notRead warns once that keys are taken as the state has them.
func (c *client) notRead(diags *diag.Diagnostics) {
	const why = "The token is to get its user's PIN in this run (pin_wo_version changes, or there is none yet). So " +
		"this plan could not log in, and has not looked at the keys: they are taken as the state has them. The next " +
		"plan looks at them again."
	if c.view.first(why) {
		diags.AddWarning("Keys Not Read", why)
	}
}

// needs says why the module cannot be used, or which of these attributes of the provider block are not known yet.
func (c *client) needs(attributes ...string) error {
	if c == nil {
		return diagnose.ErrNotConfigured
	}
	if c.disabled {
		return diagnose.ErrDisabled
	}
	unknown := slices.DeleteFunc(slices.Clone(c.unknown), func(name string) bool {
		return !slices.Contains(attributes, name)
	})
	if len(unknown) > 0 {
		return &diagnose.UnknownError{Attributes: unknown}
	}
	if c.configuration.token.Library == "" {
		return &hsm.LibraryError{}
	}
	return nil
}

// description describes the selected token, and slots every slot of the module. Neither logs in, so the PIN may be
// wrong, missing or not known yet.
func (c *client) description(ctx context.Context) (hsm.Description, error) {
	if err := c.needs("library", "library_parameters", "token_label", "token_serial", "slot"); err != nil {
		return hsm.Description{}, err
	}
	if c.comes() {
		return hsm.Description{}, &diagnose.TokenToComeError{}
	}
	return hsm.Describe(ctx, c.configuration.token)
}

func (c *client) slots(ctx context.Context) ([]hsm.Slot, error) {
	if err := c.needs("library", "library_parameters"); err != nil {
		return nil, err
	}
	return hsm.Slots(ctx, c.configuration.token)
}

// known says whether the configuration is complete enough to look at the token in a plan.
func (c *client) known() bool {
	return c != nil && len(c.unknown) == 0
}

// renew forgets the token that is open, missing or to come, and what a plan has seen on it or not: it is made or
// erased, or has got its PIN. The next operation that needs it opens it again, and those that are at work on it go on.
func (c *client) renew() {
	c.opening <- struct{}{}
	defer func() { <-c.opening }()
	if c.opened != nil {
		c.earlier = append(c.earlier, c.opened)
	}
	c.opened, c.missing = nil, nil
	c.coming.Store(nil)
	c.pinToCome.Store(false)
	c.view.look.Store(nil)
}

// close gives the token back. No operation is at work any more.
func (c *client) close() error {
	c.renew()
	c.opening <- struct{}{}
	defer func() { <-c.opening }()
	var errs []error
	for _, token := range c.earlier {
		errs = append(errs, token.Close())
	}
	c.earlier = nil
	return errors.Join(errs...)
}

// forMessages is what diagnostics say of the provider's configuration.
func (c *client) forMessages() diagnose.Provider {
	if c == nil {
		return diagnose.Provider{}
	}
	return diagnose.Provider{
		Library: c.configuration.token.Library, Selected: c.selected, PINFrom: c.pinFrom, User: c.user, Foreign: c.foreign,
		First: c.view.first,
	}
}
