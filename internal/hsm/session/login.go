package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// login is the process's login to one token. A login belongs to the process and the token, not to a session. So all
// who opened the token share it, and use it one at a time. A token locks after a few wrong PINs: a PIN that it refused
// is never sent again, and every later caller gets the same refusal.
type login struct {
	turn chan struct{} // holds one value; who takes it may open and close sessions, and log in

	users  *semaphore.Weighted // who uses a session takes one of everyone; the security officer takes all
	rounds atomic.Int64        // how often the security officer has worked: older sessions are closed
	// set are the PINs that this process has set, in place of every other one, by user; nil for none
	set struct{ user, officer atomic.Pointer[PIN] }

	sessions map[*cryptoki.Session]bool // open, and not lost
	parked   *cryptoki.Session          // the last session, kept open because the login ends with it

	accepted *acceptance // the last login
	takesPIN bool        // the token takes a PIN, although its flags say that it asks on a keypad
	failures map[cryptoki.User]failures
}

// acceptance is a PIN that the token took, with whose it is.
type acceptance struct {
	user   cryptoki.User
	digest [sha256.Size]byte
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
	user   cryptoki.User // who logs in
	alone  bool          // it is the security officer at work, beside whoever else logs in
	make   quirk.Differences
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

func loginOf(m *cryptoki.Module, info cryptoki.TokenInfo, user cryptoki.User, pin PIN, d quirk.Differences) credential {
	key := loginKey(m, info)
	logins.Lock()
	defer logins.Unlock()
	l, ok := logins.of[key]
	if !ok {
		l = &login{
			turn: make(chan struct{}, 1), users: semaphore.NewWeighted(everyone),
			sessions: map[*cryptoki.Session]bool{},
			failures: map[cryptoki.User]failures{},
		}
		l.turn <- struct{}{}
		logins.of[key] = l
	}
	return credential{login: l, module: m, token: info, pin: pin, user: user, make: d}
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
	return c.loggedIn(ctx, s) == nil && !s.Lost()
}

// loggedIn is an error where the session has lost its login: then what it did not find may still be there.
func (c credential) loggedIn(ctx context.Context, s *cryptoki.Session) error {
	in, err := c.isLoggedIn(ctx, s)
	if err == nil && !in && c.needed(c.token) {
		return s.Abandon(&cryptoki.Error{Function: "C_GetSessionInfo", Code: cryptoki.CKR_USER_NOT_LOGGED_IN})
	}
	return err
}

// ensure logs the session in, or says why it cannot. The caller has the turn.
func (c credential) ensure(ctx context.Context, s *cryptoki.Session) error {
	c = c.current()
	digest := c.pin.digest()
	if err := c.final(c.user, digest); err != nil {
		return err
	}
	in, err := c.isLoggedIn(ctx, s)
	if err != nil {
		return err
	}
	if in {
		if c.accepted != nil && *c.accepted != (acceptance{c.user, digest}) {
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
	if err != nil || !c.needed(info) {
		return err
	}
	start := time.Now()
	err = s.Login(ctx, c.user, pin)
	if pin == nil && !c.pin.IsZero() && isAny(err, noKeypad) && time.Since(start) < time.Second {
		// Nobody can have typed anything: the token has no keypad, whatever its flags say. It gets the PIN once.
		c.takesPIN = true
		if info, err = c.same(ctx); err != nil {
			return err
		}
		if pin, err = c.admissible(info); err != nil {
			return err
		}
		err = s.Login(ctx, c.user, pin)
		if err == nil {
			s.Unharmed()
		}
	}
	if err == nil || errors.Is(err, cryptoki.CKR_USER_ALREADY_LOGGED_IN) {
		c.accepted = &acceptance{c.user, digest}
		c.sessions = map[*cryptoki.Session]bool{s: true} // older sessions are gone: while one is open, the login lasts
		delete(c.failures[c.user], digest)
		return nil
	}
	return c.remember(c.user, digest, err, info)
}

// noKeypad are the answers to a login without a PIN by which a token says that it wants one.
var noKeypad = []error{cryptoki.CKR_ARGUMENTS_BAD, cryptoki.CKR_PIN_INCORRECT, cryptoki.CKR_PIN_INVALID}

func isAny(err error, codes []error) bool {
	return slices.ContainsFunc(codes, func(code error) bool { return errors.Is(err, code) })
}

// wrongUser are the answers to a login as a user that the token does not have, or who only confirms what an operation of
// another one has begun (CKU_CONTEXT_SPECIFIC).
var wrongUser = []error{cryptoki.CKR_USER_TYPE_INVALID, cryptoki.CKR_OPERATION_NOT_INITIALIZED}

// setOf is where the PIN is that this process has set for a user. Nobody sets one for users of a vendor's.
func (l *login) setOf(user cryptoki.User) *atomic.Pointer[PIN] {
	switch user {
	case cryptoki.CKU_USER:
		return &l.set.user
	case cryptoki.CKU_SO:
		return &l.set.officer
	}
	return new(atomic.Pointer[PIN])
}

// current has the PIN that this process has set for the user, if it has: every other one is wrong by now.
func (c credential) current() credential {
	if set := c.setOf(c.user).Load(); set != nil {
		c.pin = *set
	}
	return c
}

// needed says that a token wants a login.
func (c credential) needed(info cryptoki.TokenInfo) bool {
	return info.Has(cryptoki.CKF_LOGIN_REQUIRED) && !c.make.NoLogin
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
	if c.make.NoLogin {
		return nil, nil
	}
	for _, row := range pinFlags[c.user] {
		if info.Has(row.flag) {
			return nil, row.err
		}
	}
	switch {
	case !c.needed(info):
		return nil, nil
	case c.user == cryptoki.CKU_USER && !info.Has(cryptoki.CKF_USER_PIN_INITIALIZED):
		return nil, ErrPINNotSet
	case info.Has(cryptoki.CKF_PROTECTED_AUTHENTICATION_PATH) && !c.takesPIN:
		return nil, nil // the token asks on a keypad of its own
	case c.pin.IsZero():
		return nil, ErrNoPIN
	}
	return c.pin.reveal(), nil
}

// pinFlags are the flags by which a token says that a user's PIN is not to be sent. It has none for a vendor's users.
var pinFlags = map[cryptoki.User][]struct {
	flag uint
	err  error
}{
	cryptoki.CKU_USER: {
		{cryptoki.CKF_USER_PIN_LOCKED, ErrPINLocked},
		{cryptoki.CKF_USER_PIN_FINAL_TRY, ErrPINFinalTry},
		{cryptoki.CKF_USER_PIN_TO_BE_CHANGED, ErrPINExpired},
	},
	cryptoki.CKU_SO: {
		{cryptoki.CKF_SO_PIN_LOCKED, ErrPINLocked},
		{cryptoki.CKF_SO_PIN_FINAL_TRY, ErrPINFinalTry},
		{cryptoki.CKF_SO_PIN_TO_BE_CHANGED, ErrPINExpired},
	},
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
	if !called(err) {
		return err
	}
	f := &failure{err: err}
	if past := c.failures[user][digest]; past != nil {
		f.count = past.count
	}
	f.count++
	var hang *cryptoki.HangError
	f.final = f.count >= maxLoginFailures || errors.As(err, &hang)
	if c.accepted != nil && *c.accepted == (acceptance{user, digest}) {
		f.count, f.final = 0, false
	}
	about, known := pinErrors[user]
	if !known || !c.alone { // whoever it is, the PIN is the one that is given for all but the officer's work
		low := about.low
		about = pinErrors[cryptoki.CKU_USER]
		about.low = low
	}
	for code, sentinel := range about.of {
		if errors.Is(err, code) {
			f.final, f.err = true, fmt.Errorf("%w: %w", sentinel, err)
			if errors.Is(sentinel, about.incorrect) && about.low != 0 && info.Has(about.low) {
				const few = "wrong PINs have been tried before: few tries are left before the token locks"
				f.err = fmt.Errorf("%w ("+few+")", f.err)
			}
			if errors.Is(sentinel, about.incorrect) && c.make.SharedLogin {
				f.err = fmt.Errorf("%w. All programs of this machine share one login to this token. While one of them is "+
					"logged in, the token takes any PIN: so this PIN was never checked before, even if it seemed to work", f.err)
			}
		}
	}
	if user != cryptoki.CKU_USER && isAny(err, wrongUser) {
		f.final, f.err = true, fmt.Errorf("%w: %w", ErrUserType, err)
	}
	if c.failures[user] == nil {
		c.failures[user] = failures{}
	}
	c.failures[user][digest] = f
	return f.err
}

// called says that a failed call was made: the module has answered, or may still do so. Else the context has ended
// before, and no PIN was sent.
func called(err error) bool {
	var failed *cryptoki.Error
	var lies *cryptoki.AnswerError
	var hangs *cryptoki.HangError
	return errors.As(err, &failed) || errors.As(err, &lies) || errors.As(err, &hangs)
}

// isLoggedIn asks for the session's state. A vendor's users may have states of their own.
func (c credential) isLoggedIn(ctx context.Context, s *cryptoki.Session) (bool, error) {
	state, err := s.GetSessionInfo(ctx)
	switch c.user {
	case cryptoki.CKU_USER:
		return state == cryptoki.CKS_RW_USER_FUNCTIONS || state == cryptoki.CKS_RO_USER_FUNCTIONS, err
	case cryptoki.CKU_SO:
		return state == cryptoki.CKS_RW_SO_FUNCTIONS, err
	}
	return state != cryptoki.CKS_RW_PUBLIC_SESSION && state != cryptoki.CKS_RO_PUBLIC_SESSION, err
}
