package hsm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/session"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/softhsm"
)

// How a token is made. C_InitToken destroys everything on a token, and no module's own check is relied on: some take
// any PIN of a security officer, and erase. So Initialize calls it only for a token that is not initialised, looks
// right before, and goes on with one that was begun only where nothing is on it.

// Setup is what a token that is not initialised is to become.
type Setup struct {
	Label      string // 1 to MaxTokenLabel bytes
	Slot       *uint  // the slot that it is in; nil: that of the only token that is not initialised
	OfficerPIN PIN
	PIN        PIN // the user's
}

// Site is the token that Initialize would take.
type Site struct {
	Token                 TokenInfo
	State                 SiteState
	AsksOfficer, AsksUser bool // whether Initialize wants their PINs: else the token asks on a keypad, or there is none
}

// SiteState is how far a token is.
type SiteState int

// The states of a token that Initialize takes.
const (
	SiteBlank    SiteState = iota // it is not initialised
	SiteBegun                     // it has the label, no user PIN, and nothing that shows without a login
	SiteFinished                  // it has the label, a user PIN, and nothing that shows without a login
)

// LabelTakenError says that Initialize makes no token because there is one of that label.
type LabelTakenError struct {
	Label  string
	Tokens []TokenInfo   // those that have it
	Holds  []object.Name // what is on the only one
	Err    error         // why it cannot be seen what is on it; nil where Holds says it
}

func (e *LabelTakenError) Error() string {
	switch {
	case len(e.Tokens) > 1:
		return fmt.Sprintf("%d tokens have the label %q", len(e.Tokens), e.Label)
	case e.Err != nil:
		return fmt.Sprintf("a token has the label %q, and what it holds cannot be seen: %v", e.Label, e.Err)
	}
	return fmt.Sprintf("a token has the label %q, and it is in use: it holds objects (%d). It is in %s", e.Label,
		len(e.Holds), e.Tokens[0])
}

// Unwrap gives why it cannot be seen what is on the token.
func (e *LabelTakenError) Unwrap() error { return e.Err }

// FixedLabelError says that the token's make gives it its label, which is another one than the Setup's.
type FixedLabelError struct {
	Label string
	Token TokenInfo
}

func (e *FixedLabelError) Error() string {
	return fmt.Sprintf("the token that is not initialised has the label %q, which is not for C_InitToken to choose",
		e.Token.Label)
}

// InterruptedError says that the initialisation of a token was cut off before it had a PIN of its security officer: its
// flags say that this PIN is locked, and that no user has one. So nothing of anybody is on it, and no call mends it.
type InterruptedError struct{ Token TokenInfo }

func (e *InterruptedError) Error() string {
	return "the initialisation of the token was cut off before its security officer had a PIN. It is in " +
		e.Token.String()
}

// Is matches ErrOfficerPINLocked.
func (e *InterruptedError) Is(target error) bool { return target == ErrOfficerPINLocked }

// NoBlankTokenError says that there is not exactly one token that Initialize could take.
type NoBlankTokenError struct {
	Slot    *uint       // the slot that was asked for
	Blank   []TokenInfo // those that are not initialised
	Tokens  []TokenInfo // all, or that in the slot
	All     []TokenInfo
	Skipped []string // slots that did not answer, with their errors
}

func (e *NoBlankTokenError) Error() string {
	var b strings.Builder
	switch {
	case e.Slot != nil && len(e.Tokens) == 0:
		fmt.Fprintf(&b, "there is no token in slot %d. The module shows", *e.Slot)
		if len(e.All) == 0 {
			b.WriteString(" no token")
		}
	case e.Slot != nil:
		fmt.Fprintf(&b, "the token in slot %d is initialised already", *e.Slot)
	case len(e.Blank) > 1:
		fmt.Fprintf(&b, "%d tokens are not initialised, and no slot is given", len(e.Blank))
	case len(e.Tokens) == 0:
		b.WriteString("the module shows no token")
	default:
		b.WriteString("every token is initialised already")
	}
	shown := e.Tokens
	switch {
	case len(e.Blank) > 1:
		shown = e.Blank
	case len(shown) == 0:
		shown = e.All
	}
	if len(shown) > 0 {
		b.WriteByte(':')
		for _, t := range shown {
			fmt.Fprintf(&b, "\n  - %s", t)
		}
	}
	for _, s := range e.Skipped {
		fmt.Fprintf(&b, "\n  - %s", s)
	}
	return b.String()
}

// initializing lets one initialization of this process after the other have a module: the next one looks for a token
// that is not initialised when the one before has taken its own.
var initializing = struct {
	sync.Mutex
	of map[string]*semaphore.Weighted // by library
}{of: map[string]*semaphore.Weighted{}}

func initializingAlone(ctx context.Context, library string) (leave func(), err error) {
	if real, err := filepath.EvalSymlinks(library); err == nil {
		library = real
	}
	initializing.Lock()
	turn, ok := initializing.of[library]
	if !ok {
		turn = semaphore.NewWeighted(1)
		initializing.of[library] = turn
	}
	initializing.Unlock()
	if err := turn.Acquire(ctx, 1); err != nil {
		return nil, fmt.Errorf("another token is still being initialised: %w", context.Cause(ctx))
	}
	return func() { turn.Release(1) }, nil
}

// SiteOf says which token Initialize would take. It logs in nowhere. Errors: *LabelTakenError, *InterruptedError,
// *FixedLabelError, *NoBlankTokenError, *NotHereError, ErrReadOnly, or those of Slots.
func SiteOf(ctx context.Context, c Config, setup Setup) (Site, error) {
	// A look while another operation of this process takes the token that is not initialised would see no such token.
	leave, err := initializingAlone(ctx, c.Library)
	if err != nil {
		return Site{}, err
	}
	defer leave()
	module, err := openModule(ctx, c)
	if err != nil {
		return Site{}, err
	}
	defer func() { _ = module.Close() }()
	site, d, err := siteOf(ctx, module, setup)
	if !site.Token.Has(cryptoki.CKF_PROTECTED_AUTHENTICATION_PATH) {
		site.AsksUser, site.AsksOfficer = true, !d.NoOfficer
	}
	return site, err
}

func siteOf(ctx context.Context, module *cryptoki.Module, setup Setup) (Site, quirk.Differences, error) {
	failed := func(err error) (Site, quirk.Differences, error) { return Site{}, quirk.Differences{}, err }
	about, err := twice(ctx, func() (cryptoki.Info, error) { return module.GetInfo(ctx) })
	if err != nil {
		return failed(err)
	}
	slots, err := twice(ctx, func() ([]uint, error) { return module.GetSlotList(ctx, true) })
	if err != nil {
		return failed(err)
	}
	none := &NoBlankTokenError{Slot: setup.Slot}
	var named []TokenInfo
	for _, slot := range slots {
		info, err := tokenInfo(ctx, module, slot)
		switch {
		case ctx.Err() != nil, err != nil && setup.Slot != nil && *setup.Slot == slot:
			return failed(err)
		case err != nil:
			none.Skipped = append(none.Skipped, skipped(slot, err))
			continue
		case info.Initialised() && info.Label == setup.Label:
			named = append(named, info)
		}
		none.All = append(none.All, info)
		if setup.Slot == nil || *setup.Slot == slot {
			none.Tokens = append(none.Tokens, info)
			if !info.Initialised() {
				none.Blank = append(none.Blank, info)
			}
		}
	}
	if len(named) > 0 {
		d := quirk.Of(about, named[0])
		if err := refusal(d, quirk.MakeToken); err != nil {
			return failed(err)
		}
		site, err := begun(ctx, module, setup, named, d)
		return site, d, err
	}
	if len(none.Blank) == 0 {
		if len(none.Tokens) > 0 { // such a make has no token that is not initialised
			return failed(cmp.Or(refusal(quirk.Of(about, none.Tokens[0]), quirk.MakeToken), error(none)))
		}
		return failed(none)
	}
	blank := none.Blank[0]
	d := quirk.Of(about, blank)
	if err := refusal(d, quirk.MakeToken); err != nil {
		return failed(err)
	}
	switch {
	case len(none.Blank) > 1 && slices.ContainsFunc(none.Blank, func(t TokenInfo) bool {
		return !quirk.Of(about,
			t).SpareToken
	}):
		return failed(none)
	case blank.Has(cryptoki.CKF_WRITE_PROTECTED):
		return failed(ErrReadOnly)
	case d.NoOfficer && blank.Label != setup.Label:
		return failed(&FixedLabelError{Label: setup.Label, Token: blank})
	case setup.OfficerPIN.Equal(NewPIN(d.FactoryOfficerPIN)) && !setup.OfficerPIN.IsZero():
		return failed(fmt.Errorf("%w for its security officer: every token of this make comes with it", ErrPINUnfit))
	}
	return Site{Token: blank}, d, nil
}

// begun says how far the one token of the label is, if nothing shows on it.
func begun(ctx context.Context, module *cryptoki.Module, setup Setup, named []TokenInfo, d quirk.Differences) (Site,
	error) {
	taken := &LabelTakenError{Label: setup.Label, Tokens: named}
	if len(named) > 1 { // the slot of one may be another one by now
		return Site{}, taken
	}
	if named[0].Has(cryptoki.CKF_SO_PIN_LOCKED) && !named[0].PINInitialised() {
		return Site{}, &InterruptedError{Token: named[0]}
	}
	site := Site{Token: named[0], State: SiteBegun}
	if named[0].PINInitialised() {
		site.State = SiteFinished
	}
	taken.Holds, taken.Err = session.Shown(ctx, module, named[0], d)
	if taken.Err != nil || len(taken.Holds) > 0 {
		return Site{}, taken
	}
	return site, nil
}

// everythingOn names what the user of a token sees on it.
func everythingOn(ctx context.Context, c Config, pin PIN, info TokenInfo) ([]object.Name, error) {
	c.Selector, c.PIN, c.User = Selector{Label: &info.Label, Slot: &info.Slot}, pin, nil
	token, err := Open(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { _ = token.Close() }()
	handles, err := token.reader.List(ctx)
	if err != nil {
		return nil, err
	}
	objects, err := token.reader.ReadAll(ctx, handles)
	var names []object.Name
	for _, o := range objects {
		if o.Stored() {
			names = append(names, o.Name())
		}
	}
	return names, errors.Join(err, token.hidden(nil))
}

// Initialize makes a token of one that is not initialised: C_InitToken, then the user's PIN by the security officer,
// then a login as that user. It goes on with one of that label that was begun and holds nothing, if it accepts both
// PINs. It never initialises a token that is initialised: it looks right before. Errors are *StandingError.
func Initialize(ctx context.Context, c Config, setup Setup) (TokenInfo, error) {
	i := &initialization{setup: setup, config: c}
	if err := i.run(ctx); err != nil {
		return TokenInfo{}, &StandingError{Token: i.token, Stands: i.stands, Err: err}
	}
	// Slots may have other numbers once the module is initialised anew: what is told is what the next process sees.
	if again, err := FindToken(ctx, c, TokenRef{Label: i.token.Label, Serial: i.token.Serial}); err == nil {
		session.Renumbered(i.module, i.token, again)
		return again, nil
	}
	return i.token, nil
}

type initialization struct {
	setup  Setup
	config Config
	module *cryptoki.Module // closed by the time that run ends
	token  TokenInfo
	stands Standing
}

func (i *initialization) run(ctx context.Context) (err error) {
	leave, err := initializingAlone(ctx, i.config.Library)
	if err != nil {
		return err
	}
	defer leave()
	module, err := openModule(ctx, i.config)
	if err != nil {
		return err
	}
	defer func() {
		if module != nil {
			_ = module.Close()
		}
	}()
	site, d, err := siteOf(ctx, module, i.setup)
	if err != nil {
		return err
	}
	if d.OneWriter {
		// Whoever makes a token here meets at one lock, however far the token is.
		blank := TokenInfo{Manufacturer: site.Token.Manufacturer, Model: site.Token.Model}
		leave, _, err := softhsm.LockOf(blank, i.config.LibraryParameters, d.Files).Enter(ctx)
		if err != nil {
			return err
		}
		defer leave()
		// What another process has made while this one waited is shown where the module is initialised anew.
		_ = module.Close()
		if module, err = openModule(ctx, i.config); err != nil {
			return err
		}
		if site, d, err = siteOf(ctx, module, i.setup); err != nil {
			return err
		}
	}
	i.module, i.token = module, site.Token
	if !i.token.Has(cryptoki.CKF_PROTECTED_AUTHENTICATION_PATH) {
		switch {
		case i.setup.PIN.IsZero():
			return ErrNoPIN
		case i.setup.OfficerPIN.IsZero() && !d.NoOfficer:
			return ErrNoOfficerPIN
		}
	}
	finished := false
	switch site.State {
	case SiteBlank:
		if !d.NoOfficer {
			if err := i.initToken(ctx, module, d); err != nil {
				return err
			}
		}
	case SiteFinished:
		i.stands = StandsUntouched
		if finished, err = i.finished(ctx); err != nil {
			return err
		}
	}
	if !finished {
		i.stands = StandsInitialized
	}
	if err := i.setPIN(ctx, module, d, finished); err != nil {
		return err
	}
	i.stands = StandsPerhapsPIN
	_, err = everythingOn(ctx, i.config, i.setup.PIN, i.token)
	return err
}

// finished says whether the token took the user's PIN before. It is not ours where it refuses this one or holds
// anything.
func (i *initialization) finished(ctx context.Context) (bool, error) {
	taken := &LabelTakenError{Label: i.setup.Label, Tokens: []TokenInfo{i.token}}
	if i.token.Has(cryptoki.CKF_USER_PIN_COUNT_LOW) {
		taken.Err = errors.New("wrong PINs have been tried on it before, so none is sent")
		return false, taken
	}
	taken.Holds, taken.Err = everythingOn(ctx, i.config, i.setup.PIN, i.token)
	switch {
	case errors.Is(taken.Err, ErrPINNotSet): // some have the flag set from the beginning
		return false, nil
	case taken.Err != nil || len(taken.Holds) > 0:
		return false, taken
	}
	return true, nil
}

// initToken makes the token. What a call that failed has done, the token is asked.
func (i *initialization) initToken(ctx context.Context, module *cryptoki.Module, d quirk.Differences) error {
	officer := session.NewOfficer(module, i.token, i.setup.OfficerPIN, d)
	err := officer.Alone(ctx, func() error {
		now, err := tokenInfo(ctx, module, i.token.Slot)
		if err != nil {
			return err
		}
		if now.Initialised() {
			return &NoBlankTokenError{Slot: &i.token.Slot, Tokens: []TokenInfo{now}}
		}
		return officer.Send(ctx, func(pin []byte) error { // which makes sure that it is the same token still
			i.stands = StandsPerhapsInitialized
			return module.InitToken(ctx, i.token.Slot, pin, i.setup.Label)
		})
	})
	if i.stands != StandsPerhapsInitialized {
		return err
	}
	settle, cancel := session.Settling(ctx)
	defer cancel()
	now, lookErr := tokenInfo(settle, module, i.token.Slot)
	switch {
	case lookErr == nil && now.Initialised() && now.Label == i.setup.Label:
		i.token, i.stands = now, StandsInitialized
		return err
	case lookErr == nil && !now.Initialised():
		i.stands = StandsUntouched
	}
	return cmp.Or(err, lookErr, errors.New("the token says that it was initialised (C_InitToken), and does not show "+
		"it"))
}

// setPIN logs in as the security officer and gives the token's user the PIN, unless that is done already: then the
// login is the proof that the token is ours.
func (i *initialization) setPIN(ctx context.Context, module *cryptoki.Module, d quirk.Differences,
	finished bool) error {
	if finished && d.NoOfficer { // who set the user's PIN was no security officer, and cannot log in again
		i.stands = StandsWhole
		return nil
	}
	officer := session.NewOfficer(module, i.token, i.setup.OfficerPIN, d)
	return officer.Alone(ctx, func() error {
		return officer.LoggedIn(ctx, func(s *cryptoki.Session) error {
			if finished {
				i.stands = StandsWhole
				return nil
			}
			i.stands = StandsPerhapsPIN
			err := officer.SetPIN(ctx, s, i.setup.PIN)
			if err == nil {
				i.stands = StandsWhole
				return nil
			}
			settle, cancel := session.Settling(ctx)
			defer cancel()
			if now, lookErr := tokenInfo(settle, module, i.token.Slot); lookErr == nil && !now.PINInitialised() {
				i.stands = StandsInitialized
			}
			return err
		})
	})
}

// skipped is a line for a slot that does not answer.
func skipped(slot uint, err error) string { return fmt.Sprintf("slot %d (0x%x): %v", slot, slot, err) }
