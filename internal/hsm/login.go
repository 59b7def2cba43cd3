package hsm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// login is the process's login to one token. A login belongs to the process and token, not to a session, so
// all who opened the token share it, one at a time. A token locks after few wrong PINs: a PIN that it
// refused is never sent again, and every later caller is told of that one refusal.
type login struct {
	turn chan struct{} // holds one value: whoever takes it may log in

	accepted *[sha256.Size]byte // the PIN that the token took
	failures map[[sha256.Size]byte]*failure
}

// failure is what became of a PIN.
type failure struct {
	count int
	err   error
	final bool // never to be sent again
}

// maxLoginFailures bounds how often a PIN is sent that the token never took, where its answers do not even
// speak of the PIN: some tokens answer a wrong one with a general error.
const maxLoginFailures = 2

// logins are the process's, by token.
var logins = struct {
	sync.Mutex
	of map[string]*login
}{of: map[string]*login{}}

// credential is one opener's PIN for the login that all share.
type credential struct {
	*login
	module *cryptoki.Module
	token  TokenInfo // as it was opened
	pin    PIN
}

func loginOf(m *cryptoki.Module, info TokenInfo, pin PIN) credential {
	logins.Lock()
	defer logins.Unlock()
	key := fmt.Sprintf("%s\x00%d\x00%s\x00%s", m.Path(), info.Slot, info.Serial, info.Label)
	l, ok := logins.of[key]
	if !ok {
		l = &login{turn: make(chan struct{}, 1), failures: map[[sha256.Size]byte]*failure{}}
		l.turn <- struct{}{}
		logins.of[key] = l
	}
	return credential{login: l, module: m, token: info, pin: pin}
}

// ensure leaves the session logged in, or says why it is not.
func (c credential) ensure(ctx context.Context, s *cryptoki.Session) error {
	select {
	case <-c.turn:
		defer func() { c.turn <- struct{}{} }()
	case <-ctx.Done():
		return fmt.Errorf("another operation of this process is still logging in: %w", context.Cause(ctx))
	}
	digest := c.pin.digest()
	past := c.failures[digest]
	if past != nil && past.final {
		return past.err
	}
	in, err := isLoggedIn(ctx, s)
	if err != nil {
		return err
	}
	if in {
		if c.accepted != nil && *c.accepted != digest {
			return fmt.Errorf("%w: this process is logged in to the token with another PIN, and a second one cannot be checked", ErrPINIncorrect)
		}
		return nil
	}
	info, err := tokenInfo(ctx, c.module, c.token.Slot)
	if err != nil {
		return err
	}
	if info.Serial != c.token.Serial || info.Label != c.token.Label {
		return fmt.Errorf("%w: the token was exchanged: where %s was, there is now %s", ErrNoToken, c.token, info)
	}
	pin, err := c.admissible(info)
	if err != nil || !info.Has(cryptoki.CKF_LOGIN_REQUIRED) {
		return err
	}
	err = s.Login(ctx, pin)
	if err == nil || errors.Is(err, cryptoki.CKR_USER_ALREADY_LOGGED_IN) {
		c.accepted = &digest
		delete(c.failures, digest)
		return nil
	}
	return c.remember(digest, err, info)
}

// admissible looks at the token's flags before a PIN is risked, and gives what to send.
func (c credential) admissible(info TokenInfo) ([]byte, error) {
	for _, row := range []struct {
		flag uint
		err  error
	}{
		{cryptoki.CKF_USER_PIN_LOCKED, ErrPINLocked},
		{cryptoki.CKF_USER_PIN_FINAL_TRY, ErrPINFinalTry},
		{cryptoki.CKF_USER_PIN_TO_BE_CHANGED, ErrPINExpired},
	} {
		if info.Has(row.flag) {
			return nil, row.err
		}
	}
	switch {
	case !info.Has(cryptoki.CKF_LOGIN_REQUIRED):
		return nil, nil
	case !info.Has(cryptoki.CKF_USER_PIN_INITIALIZED):
		return nil, ErrPINNotSet
	case info.Has(cryptoki.CKF_PROTECTED_AUTHENTICATION_PATH):
		return nil, nil // the token asks on a keypad of its own
	case c.pin.IsZero():
		return nil, ErrNoPIN
	}
	return c.pin.reveal(), nil
}

// remember notes a failed login, and gives what every caller is told.
func (c credential) remember(digest [sha256.Size]byte, err error, info TokenInfo) error {
	f := c.failures[digest]
	if f == nil {
		f = &failure{}
		c.failures[digest] = f
	}
	f.count++
	f.err = err
	var hang *cryptoki.HangError
	f.final = f.count >= maxLoginFailures || errors.As(err, &hang)
	for code, sentinel := range pinErrors {
		if errors.Is(err, code) {
			f.final, f.err = true, fmt.Errorf("%w: %w", sentinel, err)
			if errors.Is(sentinel, ErrPINIncorrect) && info.Has(cryptoki.CKF_USER_PIN_COUNT_LOW) {
				f.err = fmt.Errorf("%w (and wrong PINs have been tried before: few tries are left before the token locks)", f.err)
			}
		}
	}
	return f.err
}

// isLoggedIn asks for the session's state.
func isLoggedIn(ctx context.Context, s *cryptoki.Session) (bool, error) {
	state, err := s.GetSessionInfo(ctx)
	return state == cryptoki.CKS_RW_USER_FUNCTIONS || state == cryptoki.CKS_RO_USER_FUNCTIONS, err
}
