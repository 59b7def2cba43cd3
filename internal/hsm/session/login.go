package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// login is the process's login to one token. A login belongs to the process and the token, not to a session. So all
// who opened the token share it, and use it one at a time. A token locks after a few wrong PINs: a PIN that it refused
// is never sent again, and every later caller gets the same refusal.
type login struct {
	turn chan struct{} // holds one value; who takes it may open and close sessions, and log in

	users  *semaphore.Weighted // who uses a session takes one of everyone; the security officer takes all
	rounds atomic.Int64        // how often the security officer has worked: older sessions are closed
	set    atomic.Pointer[PIN] // the user PIN that this process has set, in place of every other one; nil for none

	sessions map[*cryptoki.Session]bool // open, and not lost
	parked   *cryptoki.Session          // the last session, kept open because the login ends with it

	accepted *[sha256.Size]byte // the PIN that the token took
	failures map[cryptoki.User]failures
}

// failures are the failed logins of one user, by PIN.
type failures map[[sha256.Size]byte]*failure

// everyone is all who may use sessions at a time.
const everyone = 1 << 30

// failure is the failed login with one PIN.
type failure struct {
	count int
	err   error
	final bool // the PIN is never sent again
}

// maxLoginFailures is how often a PIN is sent that the token never accepted. It holds even where the token's answers
// are not about the PIN: some tokens answer a wrong PIN with a general error.
const maxLoginFailures = 2

// logins are the process's logins, by token.
var logins = struct {
	sync.Mutex
	of map[string]*login
}{of: map[string]*login{}}

// credential is the PIN of one opener, with the login that all openers share.
type credential struct {
	*login
	module *cryptoki.Module
	token  cryptoki.TokenInfo // as it was when it was opened
	pin    PIN
}

func loginKey(m *cryptoki.Module, info cryptoki.TokenInfo) string {
	return fmt.Sprintf("%s\x00%d\x00%s\x00%s", m.Path(), info.Slot, info.Serial, info.Label)
}

// Renumbered keeps what this process knows of a token's PINs where its slot has another number from now on.
func Renumbered(m *cryptoki.Module, was, is cryptoki.TokenInfo) {
	logins.Lock()
	defer logins.Unlock()
	if l, ok := logins.of[loginKey(m, was)]; ok && was.Serial == is.Serial && was.Label == is.Label {
		logins.of[loginKey(m, is)] = l
	}
}

func loginOf(m *cryptoki.Module, info cryptoki.TokenInfo, pin PIN) credential {
	key := loginKey(m, info)
	logins.Lock()
	defer logins.Unlock()
	l, ok := logins.of[key]
	if !ok {
		l = &login{
			turn: make(chan struct{}, 1), users: semaphore.NewWeighted(everyone),
			sessions: map[*cryptoki.Session]bool{},
			failures: map[cryptoki.User]failures{cryptoki.CKU_USER: {}, cryptoki.CKU_SO: {}},
		}
		l.turn <- struct{}{}
		logins.of[key] = l
	}
	return credential{login: l, module: m, token: info, pin: pin}
}

// open opens a session and logs it in. The process opens and closes one session of a token at a time: the login ends
// when the last session is closed, and some modules then also end it for a session that is just being
// opened.
func (c credential) open(ctx context.Context) (*cryptoki.Session, error) {
	if err := c.takeTurn(ctx); err != nil {
		return nil, err
	}
	defer c.giveTurn()
	open := func() (*cryptoki.Session, error) {
		return c.module.OpenSession(ctx, c.token.Slot, c.token.Has(cryptoki.CKF_WRITE_PROTECTED))
	}
	s, err := open()
	if errors.Is(err, cryptoki.CKR_SESSION_COUNT) && c.parked != nil {
		c.unpark(ctx)
		s, err = open()
	}
	if err != nil {
		return nil, err
	}
	c.sessions[s] = true
	if err := c.ensure(ctx, s); err != nil {
		c.closeInTurn(ctx, s)
		return nil, err
	}
	c.unpark(ctx)
	return s, nil
}

// closeTime is how long closing a session may take, since nobody needs the session any more.
const closeTime = 200 * time.Millisecond

// close closes a session that is not used any more. The last session stays open until there is another one: the
// process's login ends with its last session, and the PIN would have to be sent again.
func (c credential) close(ctx context.Context, s *cryptoki.Session) {
	c.inTurn(ctx, func() {
		if c.sessions[s] && len(c.sessions) == 1 {
			c.parked = s
			return
		}
		c.closeInTurn(ctx, s)
	})
}

// end closes a session for good, which was opened in that round. The security officer has closed those of older rounds,
// and handles come again: another session may have its handle by now.
func (c credential) end(s *cryptoki.Session, round int64) {
	ctx := context.Background()
	c.inTurn(ctx, func() {
		if round != c.rounds.Load() {
			return
		}
		c.closeInTurn(ctx, s)
		c.unpark(ctx)
	})
}

func (c credential) unpark(ctx context.Context) {
	if c.parked != nil {
		c.closeInTurn(ctx, c.parked)
		c.parked = nil
	}
}

// inTurn does something with sessions in its turn. Nobody waits for it, so it gives up after closeTime.
func (c credential) inTurn(ctx context.Context, do func()) {
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	if c.takeTurn(wait) != nil {
		return
	}
	defer c.giveTurn()
	do()
}

// closeInTurn closes a session. If that fails, the token has to clear the session away.
func (c credential) closeInTurn(ctx context.Context, s *cryptoki.Session) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	_ = s.CloseSession(ctx)
	delete(c.sessions, s)
}

func (c credential) takeTurn(ctx context.Context) error {
	select {
	case <-c.turn:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("another operation of this process is still opening a session or logging in: %w", context.Cause(ctx))
	}
}

func (c credential) giveTurn() { c.turn <- struct{}{} }

// valid says that a session which was opened earlier is still open and logged in.
func (c credential) valid(ctx context.Context, s *cryptoki.Session) bool {
	return LoggedIn(ctx, s, c.token) == nil && !s.Lost()
}

// LoggedIn is an error where the session has lost its login: then what it did not find may still be there.
func LoggedIn(ctx context.Context, s *cryptoki.Session, token cryptoki.TokenInfo) error {
	in, err := isLoggedIn(ctx, s)
	if err == nil && !in && token.Has(cryptoki.CKF_LOGIN_REQUIRED) {
		return s.Abandon(&cryptoki.Error{Function: "C_GetSessionInfo", Code: cryptoki.CKR_USER_NOT_LOGGED_IN})
	}
	return err
}

// ensure logs the session in, or says why it cannot. The caller has the turn.
func (c credential) ensure(ctx context.Context, s *cryptoki.Session) error {
	if set := c.set.Load(); set != nil {
		c.pin = *set // every other one is wrong by now
	}
	digest := c.pin.digest()
	if err := c.final(cryptoki.CKU_USER, digest); err != nil {
		return err
	}
	in, err := isLoggedIn(ctx, s)
	if err != nil {
		return err
	}
	if in {
		if c.accepted != nil && *c.accepted != digest {
			return fmt.Errorf("%w: this process is already logged in to the token with another PIN, so this PIN "+
				"cannot be checked", ErrPINIncorrect)
		}
		return nil
	}
	info, err := c.same(ctx)
	if err != nil {
		return err
	}
	pin, err := c.admissible(info)
	if err != nil || !info.Has(cryptoki.CKF_LOGIN_REQUIRED) {
		return err
	}
	err = s.Login(ctx, cryptoki.CKU_USER, pin)
	if err == nil || errors.Is(err, cryptoki.CKR_USER_ALREADY_LOGGED_IN) {
		c.accepted = &digest
		c.sessions = map[*cryptoki.Session]bool{s: true} // older sessions are gone: while one is open, the login lasts
		delete(c.failures[cryptoki.CKU_USER], digest)
		return nil
	}
	return c.remember(cryptoki.CKU_USER, digest, err, info)
}

// same asks for the state of the token, which is to be the one that was opened.
func (c credential) same(ctx context.Context) (cryptoki.TokenInfo, error) {
	info, err := c.module.GetTokenInfo(ctx, c.token.Slot)
	if err != nil && ctx.Err() == nil {
		info, err = c.module.GetTokenInfo(ctx, c.token.Slot) // it is a read
	}
	if err == nil && (info.Serial != c.token.Serial || info.Label != c.token.Label) {
		err = &exchangedError{was: c.token, is: info}
	}
	return info, err
}

// admissible checks the token's flags before a PIN is sent, and gives the PIN to send.
func (c credential) admissible(info cryptoki.TokenInfo) ([]byte, error) {
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

// final is the error of a PIN that is not sent again, nil for any other.
func (c credential) final(user cryptoki.User, digest [sha256.Size]byte) error {
	if past := c.failures[user][digest]; past != nil && past.final {
		return past.err
	}
	return nil
}

// remember notes a failed login, and gives the error for every caller. If the token accepted the PIN before, a failure
// that is not about the PIN does not count.
func (c credential) remember(user cryptoki.User, digest [sha256.Size]byte, err error, info cryptoki.TokenInfo) error {
	f := &failure{err: err}
	if past := c.failures[user][digest]; past != nil {
		f.count = past.count
	}
	f.count++
	var hang *cryptoki.HangError
	f.final = f.count >= maxLoginFailures || errors.As(err, &hang)
	if user == cryptoki.CKU_USER && c.accepted != nil && *c.accepted == digest {
		f.count, f.final = 0, false
	}
	about := pinErrors[user]
	for code, sentinel := range about.of {
		if errors.Is(err, code) {
			f.final, f.err = true, fmt.Errorf("%w: %w", sentinel, err)
			if errors.Is(sentinel, about.incorrect) && info.Has(about.low) {
				const few = "wrong PINs have been tried before: few tries are left before the token locks"
				f.err = fmt.Errorf("%w ("+few+")", f.err)
			}
		}
	}
	c.failures[user][digest] = f
	return f.err
}

// isLoggedIn asks for the session's state.
func isLoggedIn(ctx context.Context, s *cryptoki.Session) (bool, error) {
	state, err := s.GetSessionInfo(ctx)
	return state == cryptoki.CKS_RW_USER_FUNCTIONS || state == cryptoki.CKS_RO_USER_FUNCTIONS, err
}
