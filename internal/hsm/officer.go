package hsm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/session"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/softhsm"
)

// What the security officer does to a token that is initialised: new PINs, which touch no key, and its erasure.

// TokenRef says which token is meant; "" is what is not known. Where several have the serial number, the label decides,
// and it alone where a make gives none.
type TokenRef struct{ Label, Serial string }

// RelabelledError says that the token of that serial number has another label: somebody has initialised it anew, or has
// given it another name.
type RelabelledError struct {
	Was   string
	Token TokenInfo
}

func (e *RelabelledError) Error() string {
	return fmt.Sprintf("the token that had the label %q has another one: it is in %s", e.Was, e.Token)
}

// FindToken gives the one token that ref means, without logging in. Errors: those of Slots, *TokenError where there is
// not exactly one, or *RelabelledError.
func FindToken(ctx context.Context, c Config, ref TokenRef) (TokenInfo, error) {
	for looks := 1; ; looks++ {
		info, err := ref.find(ctx, c)
		if err == nil || looks == maxLooks || !maybeUnshown(err) || !rest(ctx, looks) {
			return info, err
		}
	}
}

func (r TokenRef) find(ctx context.Context, c Config) (TokenInfo, error) {
	slots, err := Slots(ctx, c)
	if err != nil {
		return TokenInfo{}, err
	}
	if !cryptoki.TellsTokens(r.Serial) {
		r.Serial = ""
	}
	matches, all, skipped := r.matching(slots)
	if len(matches) != 1 {
		selector := Selector{Serial: &r.Serial}
		if r.Serial == "" || len(matches) > 1 {
			selector.Label = &r.Label
		}
		if r.Serial == "" {
			selector.Serial = nil
		}
		return TokenInfo{}, &TokenError{Selector: selector, Matches: len(matches), Tokens: all, Skipped: skipped}
	}
	found := matches[0]
	if found.Initialised() && r.Label != "" && strings.ToValidUTF8(found.Label, "\uFFFD") != r.Label {
		return TokenInfo{}, &RelabelledError{Was: r.Label, Token: found}
	}
	return found, nil
}

// matching gives the tokens that ref means among all that answer.
func (r TokenRef) matching(slots []Slot) (matches, all []TokenInfo, skippedSlots []string) {
	for _, slot := range slots {
		switch {
		case slot.Err != nil:
			skippedSlots = append(skippedSlots, skipped(slot.ID, slot.Err))
		case slot.Token != nil:
			all = append(all, *slot.Token)
		}
	}
	matches = slices.DeleteFunc(slices.Clone(all), func(t TokenInfo) bool {
		return r.Serial != "" &&
			t.Serial != r.Serial
	})
	if r.Serial == "" || len(matches) > 1 {
		matches = slices.DeleteFunc(matches, func(t TokenInfo) bool { return t.Label != r.Label })
	}
	return matches, all, skippedSlots
}

// Deed is something that the security officer does to a token that is initialised.
type Deed int

// The deeds.
const (
	NewUserPIN Deed = iota
	NewOfficerPIN
	Erasure
)

// unknownTo is an error where a token's make knows no such deed.
func (deed Deed) unknownTo(d quirk.Differences, token TokenInfo) error {
	ask := quirk.SetPIN
	if deed == Erasure {
		ask = quirk.EraseToken
	}
	if err := refusal(d, ask); err != nil {
		return err
	}
	switch {
	case d.NoOfficer && (deed != NewUserPIN || token.PINInitialised()):
		return ErrNoOfficer
	case d.NoErasure && deed == Erasure:
		return ErrNoErasure
	}
	return nil
}

// Allows finds the token that ref means, and looks whether its make knows the deed. It logs in nowhere. Errors: those
// of FindToken, *BlankTokenError, *NotHereError, ErrNoOfficer, or ErrNoErasure.
func Allows(ctx context.Context, c Config, ref TokenRef, deed Deed) (TokenInfo, error) {
	w := &officerWork{config: c, ref: ref, deed: deed}
	module, _, err := w.begin(ctx)
	if err == nil {
		_ = module.Close()
	}
	return w.token, err
}

// officerWork is one operation of the security officer on a token that is initialised.
type officerWork struct {
	config Config
	ref    TokenRef
	deed   Deed
	pin    PIN // the security officer's
	stands Standing
	token  TokenInfo
	lock   *softhsm.ProcessLock // nil where the make needs none
}

// usersPIN is the PIN of the token's normal user: the Config's may be another one's.
func (w *officerWork) usersPIN() PIN {
	if w.config.normalUser() {
		return w.config.PIN
	}
	return PIN{}
}

// begin finds the token, and gives its module open.
func (w *officerWork) begin(ctx context.Context) (module *cryptoki.Module, d quirk.Differences, err error) {
	if w.token, err = FindToken(ctx, w.config, w.ref); err != nil {
		return nil, d, err
	}
	if !w.token.Initialised() {
		return nil, d, &BlankTokenError{Slot: w.token.Slot}
	}
	if module, err = openModule(ctx, w.config); err != nil {
		return nil, d, err
	}
	about, err := twice(ctx, func() (cryptoki.Info, error) { return module.GetInfo(ctx) })
	if err == nil {
		d = quirk.Of(about, w.token)
		err = w.deed.unknownTo(d, w.token)
	}
	if err != nil {
		_ = module.Close()
	}
	return module, d, err
}

// run does it alone on the token in this process, and between processes as far as the make needs that.
func (w *officerWork) run(ctx context.Context, do func(m *cryptoki.Module, o *session.Officer,
	d quirk.Differences) error) error {
	err := func() error {
		leave, err := initializingAlone(ctx, w.config.Library)
		if err != nil {
			return err
		}
		defer leave()
		module, d, err := w.begin(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = module.Close() }()
		if d.OneWriter {
			w.lock = softhsm.LockOf(w.token, w.config.LibraryParameters, d.Files)
			leave, _, err := w.lock.Enter(ctx)
			if err != nil {
				return err
			}
			defer leave()
			w.lock.Stir(ctx) // programs that do not meet at the lock may have written too
		}
		return do(module, session.NewOfficer(module, w.token, w.pin, d), d)
	}()
	if err != nil {
		return &StandingError{Token: w.token, Stands: w.stands, Err: err}
	}
	return nil
}

// SetUserPIN gives the token's user a new PIN, by the security officer, and logs in with it. Keys are untouched, and
// operations of this process go on with the new PIN. Errors are *StandingError, which wrap ErrNoOfficer where the make
// has no such thing.
func SetUserPIN(ctx context.Context, c Config, ref TokenRef, officer, pin PIN) error {
	w := &officerWork{config: c, ref: ref, deed: NewUserPIN, pin: officer, stands: StandsOldPIN}
	return w.run(ctx, func(_ *cryptoki.Module, o *session.Officer, _ quirk.Differences) error {
		err := o.Alone(ctx, func() error {
			return o.LoggedIn(ctx, func(s *cryptoki.Session) error {
				w.stands = StandsPerhapsNewPIN
				err := o.SetPIN(ctx, s, pin)
				if declined(err) {
					w.stands = StandsOldPIN
				}
				return err
			})
		})
		if err != nil {
			return err
		}
		return w.taken(ctx, pin)
	})
}

// taken makes sure that the token took the user's new PIN. One that the user has to change first is taken.
func (w *officerWork) taken(ctx context.Context, pin PIN) error {
	if w.token.Has(cryptoki.CKF_PROTECTED_AUTHENTICATION_PATH) {
		return nil // the token would ask on its keypad once more
	}
	c := w.config
	c.Selector, c.PIN, c.User = Selector{Label: &w.token.Label, Slot: &w.token.Slot}, pin, nil
	token, err := Open(ctx, c)
	if err != nil {
		return err
	}
	defer func() { _ = token.Close() }()
	err = token.pool.Use(ctx, func(*cryptoki.Session) error { return nil })
	switch {
	case errors.Is(err, ErrPINExpired):
		return nil
	case IsPINError(err):
		return fmt.Errorf("the token says that its user has the new PIN (C_InitPIN), and does not take it: %w", err)
	}
	return err
}

// SetOfficerPIN changes the security officer's PIN, and logs in with it. Errors are *StandingError, which wrap
// ErrNoOfficer where the make has no such PIN.
func SetOfficerPIN(ctx context.Context, c Config, ref TokenRef, present, pin PIN) error {
	w := &officerWork{config: c, ref: ref, deed: NewOfficerPIN, pin: present, stands: StandsOldOfficerPIN}
	return w.run(ctx, func(_ *cryptoki.Module, o *session.Officer, _ quirk.Differences) error {
		return o.Alone(ctx, func() error {
			err := o.LoggedIn(ctx, func(s *cryptoki.Session) error {
				w.stands = StandsPerhapsNewOfficerPIN
				err := o.ChangeOwnPIN(ctx, s, pin)
				if declined(err) {
					w.stands = StandsOldOfficerPIN
				}
				return err
			})
			if err != nil || w.token.Has(cryptoki.CKF_PROTECTED_AUTHENTICATION_PATH) {
				return err
			}
			err = o.Next(pin).LoggedIn(ctx, func(*cryptoki.Session) error { return nil })
			if errors.Is(err, ErrOfficerPINIncorrect) {
				return fmt.Errorf("the token says that its security officer has the new PIN (C_SetPIN), and does "+
					"not take it: %w", err)
			}
			return err
		})
	})
}

// declined says that a call which was to set a PIN was not made, or that the token would not have it.
func declined(err error) bool {
	return cryptoki.Refused(err) || errors.Is(err, ErrPINUnfit) || errors.Is(err, ErrNoPIN) || errors.Is(err,
		ErrNoOfficerPIN)
}

// ErasureError says that Erase leaves a token alone because of what it holds.
type ErasureError struct {
	Label string        // the token's
	Holds []object.Name // what is seen on it
	Err   error         // why not all of it can be seen; nil where Holds is all
}

func (e *ErasureError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("what the token %q holds cannot be seen: %v", e.Label, e.Err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "the token %q is not empty. It holds (%d):", e.Label, len(e.Holds))
	for _, name := range e.Holds[:min(len(e.Holds), maxHalves)] {
		fmt.Fprintf(&b, "\n  - %s", name)
	}
	if more := len(e.Holds) - maxHalves; more > 0 {
		fmt.Fprintf(&b, "\n  - and %d more", more)
	}
	return b.String()
}

// Unwrap gives why not everything can be seen.
func (e *ErasureError) Unwrap() error { return e.Err }

// Erase initialises a token once more, which destroys every object and the user's PIN. The label stays, and so does the
// security officer's PIN, which has to be proven by a login before: not every make checks it. A token that holds an
// object, or of which its user (the Config's PIN) cannot see what it holds, is left alone, unless force is true. Errors
// are *StandingError, which wrap *ErasureError, ErrNoOfficer, ErrNoErasure, or another failure.
func Erase(ctx context.Context, c Config, ref TokenRef, officer PIN, force bool) error {
	w := &officerWork{config: c, ref: ref, deed: Erasure, pin: officer, stands: StandsUntouched}
	return w.run(ctx, func(m *cryptoki.Module, o *session.Officer, d quirk.Differences) error {
		err := o.Alone(ctx, func() error {
			if err := o.LoggedIn(ctx, func(*cryptoki.Session) error { return nil }); err != nil {
				return err
			}
			if !force { // nobody of this process makes a key from here on
				shown, err := o.Seen(ctx, w.usersPIN())
				if hidden := w.lock.Unreadable(); err == nil && hidden > 0 {
					err = &UnreadableError{Objects: hidden}
				}
				if err != nil || len(shown) > 0 {
					return &ErasureError{Label: w.token.Label, Holds: shown, Err: err}
				}
			}
			return o.Erase(ctx, func() { w.stands = StandsPerhapsErased })
		})
		switch {
		case err == nil:
			return w.erased(ctx, m, d)
		case w.stands != StandsPerhapsErased:
			return err
		}
		settle, cancel := session.Settling(ctx)
		defer cancel()
		now, lookErr := tokenInfo(settle, m, w.token.Slot)
		had, has := w.token.PINInitialised(), now.PINInitialised()
		refused := cryptoki.Refused(err) || IsPINError(err) || errors.Is(err, cryptoki.CKR_ARGUMENTS_BAD) ||
			errors.Is(err, cryptoki.CKR_SESSION_EXISTS)
		if lookErr == nil && refused && had == has {
			w.stands = StandsUntouched
		}
		return err
	})
}

// erased makes sure that a token which says that it was erased is so, as far as strangers see, and its user where there
// still is one.
func (w *officerWork) erased(ctx context.Context, m *cryptoki.Module, d quirk.Differences) error {
	now, err := tokenInfo(ctx, m, w.token.Slot)
	if err != nil {
		return err
	}
	left, err := session.Shown(ctx, m, now, d)
	if err == nil && len(left) == 0 && now.PINInitialised() {
		left, _ = everythingOn(ctx, w.config, w.usersPIN(), now)
	}
	if len(left) > 0 {
		err = fmt.Errorf("the token says that it was initialised (C_InitToken), and still holds objects (%d)",
			len(left))
	}
	return err
}
