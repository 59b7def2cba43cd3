package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// Officer is the security officer of a token. What one does is done alone on the token in this process: PKCS#11 logs in
// a process, not a session, so that nobody else can be logged in meanwhile, and nobody may have a session that is
// read-only.
type Officer struct {
	credential
	differences quirk.Differences
	factory     bool // the token still has the PIN that it came with
}

// NewOfficer gives the security officer of a token. It calls nothing.
func NewOfficer(m *cryptoki.Module, token cryptoki.TokenInfo, pin PIN, d quirk.Differences) *Officer {
	c := loginOf(m, token, cryptoki.CKU_SO, pin, d)
	c.alone = true
	return &Officer{
		credential: c, differences: d,
		factory: d.FactoryOfficerPIN != "" && token.Has(cryptoki.CKF_SO_PIN_TO_BE_CHANGED),
	}
}

// Alone does something while nobody in this process has a session on the token. It waits for those who use one, and
// closes all. Whoever wants a session afterwards opens one and logs in.
func (o *Officer) Alone(ctx context.Context, do func() error) error {
	if err := o.users.Acquire(ctx, everyone); err != nil {
		return fmt.Errorf("other operations of this process are still at work on the token: %w", context.Cause(ctx))
	}
	defer o.users.Release(everyone)
	if err := o.takeTurn(ctx); err != nil {
		return err
	}
	defer o.giveTurn()
	o.rounds.Add(1)
	o.parked = nil
	if err := o.closeAll(ctx); err != nil {
		return err
	}
	clear(o.sessions)
	return do()
}

// closeAll closes every session of this process on the token. Nothing depends on its success: what comes next fails
// where a session is left. Its only error is that of a context that has ended.
func (o *Officer) closeAll(ctx context.Context) error {
	if o.make.SharedLogin { // the sessions of other programs may count as ours
		for s := range o.sessions {
			o.closeInTurn(ctx, s)
		}
	} else {
		_ = o.module.CloseAllSessions(ctx, o.token.Slot)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("closing the sessions on the token: %w", context.Cause(ctx))
	}
	return nil
}

// LoggedIn does something in a session that is logged in as the security officer, whose PIN is changed before where it
// is still the one that the token came with. It is for Alone.
func (o *Officer) LoggedIn(ctx context.Context, do func(*cryptoki.Session) error) error {
	s, err := o.module.OpenSession(ctx, o.token.Slot, false)
	if err != nil {
		return err
	}
	defer o.leave(ctx, s)
	err = o.Send(ctx, func(pin []byte) error { return s.Login(ctx, cryptoki.CKU_SO, pin) })
	if err != nil {
		return err
	}
	if !o.differences.NoOfficer {
		state, err := s.GetSessionInfo(ctx)
		if err == nil && state != cryptoki.CKS_RW_SO_FUNCTIONS {
			err = errors.New("the token says that its security officer is logged in (C_Login), and is not")
		}
		if err != nil {
			return err
		}
	}
	if o.factory {
		if err := o.ChangeOwnPIN(ctx, s, o.pin); err != nil {
			return err
		}
		o.factory = false
	}
	return do(s)
}

// leave ends the login of a session, and the session. The login ends with the last session at the latest, which this
// one is.
func (o *Officer) leave(ctx context.Context, s *cryptoki.Session) {
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	if !o.make.SharedLogin {
		_ = s.Logout(ending)
	}
	o.closeInTurn(ctx, s)
}

// Next is the security officer once the PIN has been changed to that one.
func (o *Officer) Next(pin PIN) *Officer {
	next := *o
	next.pin, next.factory = pin, false
	return &next
}

// Seen names what the user of that PIN sees on the token, or where the user has none, what everyone sees. It is for
// Alone, right before the token is erased.
func (o *Officer) Seen(ctx context.Context, user PIN) ([]object.Name, error) {
	s, err := o.module.OpenSession(ctx, o.token.Slot, false)
	if err != nil {
		return nil, err
	}
	defer o.leave(ctx, s)
	c := credential{login: o.login, module: o.module, token: o.token, pin: user, user: cryptoki.CKU_USER, make: o.make}
	if err := c.ensure(ctx, s); err != nil && !errors.Is(err, ErrPINNotSet) {
		return nil, err
	}
	return shownIn(ctx, s, o.differences)
}

// Erase initialises the token once more, for Alone. It says right before that it is about to. What this process knows
// of the user's PINs is void then.
func (o *Officer) Erase(ctx context.Context, about func()) error {
	if err := o.closeAll(ctx); err != nil { // whatever a failure before has left open
		return err
	}
	err := o.Send(ctx, func(pin []byte) error {
		about()
		return o.module.InitToken(ctx, o.token.Slot, pin, o.token.Label)
	})
	if err == nil {
		o.set.user.Store(nil)
		o.forgetUser()
	}
	return err
}

// forgetUser forgets which PINs of the user the token took and refused. The caller has the turn.
func (o *Officer) forgetUser() {
	if o.accepted != nil && o.accepted.user == cryptoki.CKU_USER {
		o.accepted = nil
	}
	clear(o.failures[cryptoki.CKU_USER])
}

// Send makes a call that takes the security officer's PIN, once: a PIN that the token refuses is never sent again by
// this process. The token's flags are looked at before.
func (o *Officer) Send(ctx context.Context, call func(pin []byte) error) error {
	digest := o.pin.digest()
	if err := o.final(cryptoki.CKU_SO, digest); err != nil {
		return err
	}
	info, err := o.same(ctx)
	if err != nil {
		return err
	}
	pin, err := o.admissible(info)
	if err != nil {
		return err
	}
	if err := call(pin); err != nil {
		return o.remember(cryptoki.CKU_SO, digest, err, info)
	}
	delete(o.failures[cryptoki.CKU_SO], digest)
	return nil
}

// SetPIN gives the user a PIN, in a session of LoggedIn. Every login of this process uses it from then on.
func (o *Officer) SetPIN(ctx context.Context, s *cryptoki.Session, pin PIN) error {
	if pin.IsZero() && !o.token.Has(cryptoki.CKF_PROTECTED_AUTHENTICATION_PATH) {
		return ErrNoPIN
	}
	if err := FormOf(pin, o.make); err != nil {
		return fmt.Errorf("%w: %w", ErrPINUnfit, err)
	}
	if err := s.InitPIN(ctx, pin.bytes()); err != nil {
		return unfit(err)
	}
	o.set.user.Store(&pin)
	o.forgetUser()
	return nil
}

// ChangeOwnPIN changes the security officer's PIN, in a session of LoggedIn.
func (o *Officer) ChangeOwnPIN(ctx context.Context, s *cryptoki.Session, pin PIN) error {
	if pin.IsZero() && !o.token.Has(cryptoki.CKF_PROTECTED_AUTHENTICATION_PATH) {
		return ErrNoOfficerPIN
	}
	if err := s.SetPIN(ctx, o.sent(), pin.bytes()); err != nil {
		return unfit(err)
	}
	o.set.officer.Store(&pin)
	delete(o.failures[cryptoki.CKU_SO], pin.digest()) // it was refused as long as it was not the PIN
	return nil
}

// unfit marks what a token says of a new PIN.
func unfit(err error) error {
	if errors.Is(err, cryptoki.CKR_PIN_LEN_RANGE) || errors.Is(err, cryptoki.CKR_PIN_INVALID) {
		return fmt.Errorf("%w: %w", ErrPINUnfit, err)
	}
	return err
}

// sent is the PIN that the token is sent.
func (o *Officer) sent() []byte {
	switch {
	case o.differences.NoOfficer:
		return []byte{}
	case o.factory:
		return []byte(o.differences.FactoryOfficerPIN)
	}
	return o.pin.bytes()
}

// admissible checks the token's flags before a PIN is sent, and gives the PIN to send. The flags of a token that is
// not initialised mean nothing: some say that the PIN of such a one is locked.
func (o *Officer) admissible(info cryptoki.TokenInfo) ([]byte, error) {
	if info.Has(cryptoki.CKF_TOKEN_INITIALIZED) {
		switch {
		case info.Has(cryptoki.CKF_SO_PIN_LOCKED):
			return nil, ErrOfficerPINLocked
		case info.Has(cryptoki.CKF_SO_PIN_FINAL_TRY):
			return nil, ErrOfficerPINFinalTry
		}
	}
	switch {
	case info.Has(cryptoki.CKF_PROTECTED_AUTHENTICATION_PATH):
		return nil, nil // the token asks on a keypad of its own
	case o.pin.IsZero() && !o.differences.NoOfficer:
		return nil, ErrNoOfficerPIN
	}
	return o.sent(), nil
}

// Shown names what a token shows to those who have no PIN, or to whoever is logged in already in this process.
func Shown(ctx context.Context, m *cryptoki.Module, token cryptoki.TokenInfo, d quirk.Differences) ([]object.Name,
	error) {
	c := loginOf(m, token, cryptoki.CKU_USER, PIN{}, d)
	if err := c.takeTurn(ctx); err != nil {
		return nil, err
	}
	defer c.giveTurn()
	s, err := m.OpenSession(ctx, token.Slot, token.Has(cryptoki.CKF_WRITE_PROTECTED))
	if err != nil {
		return nil, err
	}
	defer c.closeInTurn(ctx, s)
	return shownIn(ctx, s, d)
}

// shownIn names what a session sees.
func shownIn(ctx context.Context, s *cryptoki.Session, d quirk.Differences) (names []object.Name, err error) {
	handles, err := s.FindObjects(ctx, nil)
	if err != nil {
		return nil, err
	}
	reader := Reader{Differences: d}
	for _, handle := range handles {
		o, err := reader.Object(ctx, s, handle)
		if errors.Is(err, cryptoki.CKR_FUNCTION_FAILED) {
			o, err = reader.Object(ctx, s, handle) // which then asks for one attribute after the other
		}
		switch {
		case cryptoki.InvalidHandle(err): // gone by now
		case err != nil:
			return nil, err
		case o.Stored():
			names = append(names, o.Name())
		}
	}
	return names, nil
}
