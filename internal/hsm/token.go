package hsm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/session"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/softhsm"
)

// PIN is a user PIN.
type PIN = session.PIN

// NewPIN keeps a PIN as it is, leading zeros and all. "" is no PIN.
func NewPIN(s string) PIN { return session.NewPIN(s) }

// User is who logs in to a token.
type User = cryptoki.User

// ParseUser reads who logs in: user, so or context, or a vendor's number, decimal or with 0x.
func ParseUser(s string) (User, error) { return cryptoki.ParseUser(s) }

// normalUser says that the Config logs in as the token's normal user.
func (c Config) normalUser() bool { return c.User == nil || c.User.Normal() }

// TokenInfo describes a token.
type TokenInfo = cryptoki.TokenInfo

// SlotInfo describes a slot.
type SlotInfo = cryptoki.SlotInfo

// ParseSlot reads a slot ID, decimal or with 0x, as Ory Hydra's HSM_SLOT has it.
func ParseSlot(s string) (uint, error) { return cryptoki.ParseSlot(s) }

// DefaultMaxSessions is how many sessions are opened at most where a Config does not say.
const DefaultMaxSessions = 8

// MaxTokenLabel is how many bytes the label of a token has at most (PKCS#11, CK_TOKEN_INFO).
const MaxTokenLabel = cryptoki.MaxLabel

// Config says which token to open and how.
type Config struct {
	Library           string          // path of the PKCS#11 module
	LibraryParameters string          // for modules that want a text in C_Initialize, "" for none
	Selector          Selector        // which token
	PIN               PIN             // of that user
	User              *User           // who logs in; nil: the normal user
	MaxSessions       int             // 0: DefaultMaxSessions; never more than the token reports
	Record            *Record         // keeps the last calls into the module; nil: nothing does
	Hooks             []cryptoki.Hook // stand around each call into the module
}

// Selector says which token is meant: all that is set must match exactly one token. Slot numbers may change, so a
// label or a serial number is the better choice.
type Selector struct {
	Label  *string
	Serial *string
	Slot   *uint // a slot ID, not an index
}

// String is such as `label "a" and slot ID 1`, and "" where nothing is set.
func (s Selector) String() string {
	var words []string
	if s.Label != nil {
		words = append(words, fmt.Sprintf("label %q", *s.Label))
	}
	if s.Serial != nil {
		words = append(words, fmt.Sprintf("serial number %q", *s.Serial))
	}
	if s.Slot != nil {
		words = append(words, fmt.Sprintf("slot ID %d", *s.Slot))
	}
	return strings.Join(words, " and ")
}

func (s Selector) matches(i cryptoki.TokenInfo) bool {
	if s == (Selector{}) {
		return i.Initialised() // nobody means a token that is not initialised
	}
	return (s.Label == nil || *s.Label == i.Label && i.Initialised()) &&
		(s.Serial == nil || *s.Serial == i.Serial) && (s.Slot == nil || *s.Slot == i.Slot)
}

// Token is an open token. It is safe for concurrent use.
type Token struct {
	library     string
	module      *cryptoki.Module
	info        cryptoki.TokenInfo
	choice      []string // how pkcs11-tool finds the token
	officer     bool     // the security officer logs in
	differences quirk.Differences
	unknown     bool    // no table knows the token
	read        string  // the token's make, where it is known from what others write of it; else ""
	record      *Record // nil where none is kept
	pool        *session.Pool
	reader      *session.Reader
	snapshot    *snapshot
	locks       session.IDLocks
	processLock *softhsm.ProcessLock // nil where the token needs none
	care        *softhsm.Care        // nil where the token needs none
	// mechanisms keeps what the token said of its mechanisms: cryptoki.MechanismType -> mechanismAnswer.
	mechanisms sync.Map
	generating *semaphore.Weighted // each generation takes one; one that must be alone takes all
	proofs     proofs
}

// Open loads the module (once a process) and finds the one token that the selector names. It does not log in: the
// first operation does that, once a token and process. Errors: *LibraryError, ErrParameters, *TokenError,
// *BlankTokenError, or the module's failure.
func Open(ctx context.Context, c Config) (*Token, error) {
	var gate atomic.Pointer[softhsm.Gate] // nil until it is known whether the token needs one
	c.Hooks = append([]cryptoki.Hook{func(ctx context.Context, call *cryptoki.Call, next func() error) error {
		if g := gate.Load(); g != nil {
			return g.Pass(ctx, call, next)
		}
		return next()
	}}, c.Hooks...)
	module, info, all, err := reach(ctx, c)
	if err != nil {
		return nil, err
	}
	about, err := twice(ctx, func() (cryptoki.Info, error) { return module.GetInfo(ctx) })
	if err != nil {
		return nil, errors.Join(err, module.Close())
	}
	t := &Token{
		library: c.Library, module: module, info: info, choice: toolChoice(info, all), differences: quirk.Of(about, info),
		generating: semaphore.NewWeighted(everyone),
	}
	make, _ := quirk.Known(about, info)
	t.unknown, t.record = make == "", c.Record
	if m := quirk.MakeOf(about, info); m != nil {
		t.read = m.Name
	}
	if err := session.FormOf(c.PIN, t.differences); err != nil {
		return nil, errors.Join(err, module.Close())
	}
	module.Pace(t.differences.Busy)
	user := cryptoki.CKU_USER
	if c.User != nil {
		user = *c.User
	}
	t.officer = user == cryptoki.CKU_SO
	t.pool = session.New(module, info, user, c.PIN, cmp.Or(c.MaxSessions, DefaultMaxSessions), t.differences)
	t.reader = &session.Reader{Pool: t.pool, Differences: t.differences}
	if t.differences.Torn {
		gate.Store(softhsm.GateOf(info))
		t.care = softhsm.NewCare(t.reader)
	}
	if t.differences.OneWriter {
		t.processLock = softhsm.LockOf(info, c.LibraryParameters, t.differences.Files)
	}
	t.snapshot = newSnapshot(t.reader, t.find)
	return t, nil
}

// maxLooks is how often a token is looked for that a make may not have shown.
const maxLooks = 4

// reach loads the module and finds the one token that the selector names, with all tokens. Where none matches, it looks
// again on a module that is initialised anew, if the make needs that: two provider blocks for two tokens are two
// processes, each of which logs in while the other one starts. So it does where one matches, and another one that may
// match too is not shown.
func reach(ctx context.Context, c Config) (m *cryptoki.Module, one TokenInfo, all []TokenInfo, err error) {
	for looks := 1; ; looks++ {
		m, one, all, err = look(ctx, c)
		again := err == nil && hides(m, c.Selector, all) || maybeUnshown(err)
		if !again || looks == maxLooks || !rest(ctx, looks) {
			return m, one, all, err
		}
		if err == nil {
			_ = m.Close() // nothing depends on it: the next look finds the module as it is
		}
	}
}

// rest waits before another look at the tokens, longer each time. It is false where the context ends first.
func rest(ctx context.Context, looks int) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Duration(looks) * 50 * time.Millisecond):
		return true
	}
}

func look(ctx context.Context, c Config) (*cryptoki.Module, TokenInfo, []TokenInfo, error) {
	m, err := openModule(ctx, c)
	if err != nil {
		return nil, TokenInfo{}, nil, err
	}
	one, all, err := selectToken(ctx, m, c.Selector)
	if err != nil {
		return nil, TokenInfo{}, nil, errors.Join(err, m.Close())
	}
	return m, one, all, nil
}

// hides says that the module does not show a token whose files this user can read, and that it might match too.
func hides(m *cryptoki.Module, s Selector, all []TokenInfo) bool {
	if s.Serial != nil || s.Slot != nil || !quirk.Of(m.About(), TokenInfo{}).Hides {
		return false
	}
	return slices.ContainsFunc(softhsm.Serials(), func(serial string) bool {
		return !slices.ContainsFunc(all, func(shown TokenInfo) bool { return strings.EqualFold(shown.Serial, serial) })
	})
}

// maybeUnshown says that no token matched, and that the module's make does not always show them all.
func maybeUnshown(err error) bool {
	missing, ok := errors.AsType[*TokenError](err)
	return ok && missing.Matches == 0 && slices.ContainsFunc(missing.Tokens, func(shown TokenInfo) bool {
		return quirk.Of(cryptoki.Info{}, shown).Unshown
	})
}

// openModule loads the module, once a process. Errors: *LibraryError, ErrParameters, or C_Initialize's.
func openModule(ctx context.Context, c Config) (*cryptoki.Module, error) {
	if c.Library == "" {
		return nil, &LibraryError{}
	}
	hooks := c.Hooks
	if c.Record != nil {
		hooks = append(slices.Clone(hooks), c.Record.hook)
	}
	module, err := cryptoki.OpenWith(ctx, c.Library, c.LibraryParameters, hooks...)
	if errors.Is(err, cryptoki.ErrLoad) {
		return nil, &LibraryError{Path: c.Library, Err: err}
	}
	if err == nil && quirk.Of(module.About(), TokenInfo{}).Kept {
		module.Keep()
	}
	return module, explained(c.Library, err)
}

// selectToken looks at every slot with a token, and wants exactly one match, which it gives with all tokens. It ignores
// slots that do not answer.
func selectToken(
	ctx context.Context, m *cryptoki.Module, s Selector,
) (one cryptoki.TokenInfo, all []cryptoki.TokenInfo, err error) {
	slots, err := twice(ctx, func() ([]uint, error) { return m.GetSlotList(ctx, true) })
	if err != nil {
		return cryptoki.TokenInfo{}, nil, err
	}
	var matches []cryptoki.TokenInfo
	failure := &TokenError{Selector: s}
	for _, slot := range slots {
		info, err := tokenInfo(ctx, m, slot)
		if ctx.Err() != nil {
			return cryptoki.TokenInfo{}, nil, err
		}
		if err != nil {
			failure.Skipped = append(failure.Skipped, skipped(slot, err))
			continue
		}
		failure.Tokens = append(failure.Tokens, info)
		if s.matches(info) {
			matches = append(matches, info)
		}
	}
	if failure.Matches = len(matches); len(matches) != 1 {
		return cryptoki.TokenInfo{}, nil, failure
	}
	if !matches[0].Initialised() {
		return cryptoki.TokenInfo{}, nil, &BlankTokenError{Slot: matches[0].Slot}
	}
	return matches[0], failure.Tokens, nil
}

// tokenInfo asks once more if the first answer is a failure, since it only reads.
func tokenInfo(ctx context.Context, m *cryptoki.Module, slot uint) (cryptoki.TokenInfo, error) {
	return twice(ctx, func() (cryptoki.TokenInfo, error) { return m.GetTokenInfo(ctx, slot) })
}

// write waits until an operation may make, move or destroy objects. If another process has written meanwhile, it drops
// the snapshot.
func (t *Token) write(ctx context.Context) (leave func(), err error) {
	leave, othersWrote, err := t.processLock.Enter(ctx)
	if err != nil {
		return nil, err
	}
	if othersWrote {
		t.processLock.Stir(ctx)
		t.snapshot.drop()
	}
	return leave, nil
}

// Cautions are full sentences on what may go wrong with the token although nothing has yet: that no lock keeps other
// processes from writing to it at the same time. They are complete once an operation has written.
func (t *Token) Cautions() []string { return t.processLock.Cautions() }

// Close closes the token's sessions and gives the module back. All operations must have ended.
func (t *Token) Close() error {
	t.pool.Close()
	return t.module.Close()
}

// CloseAll ends the process's use of all modules, just before the process exits. Nothing depends on its success.
func CloseAll() { cryptoki.CloseAll() }

// Info describes the token as it was when it was opened.
func (t *Token) Info() cryptoki.TokenInfo { return t.info }

// Command is a pkcs11-tool command line for this token, as [Command] writes it. It has no PIN: the tool asks for it. It
// logs in who the provider logs in, unless the arguments say who does.
func (t *Token) Command(args ...string) string {
	if t.officer && !slices.Contains(args, "--login-type") {
		args = append([]string{"--login-type", "so", "--session-rw"}, args...) // the officer has no other sessions
	}
	return Command(slices.Concat([]string{"pkcs11-tool", "--module", t.library}, t.choice, []string{"--login"}, args)...)
}

// toolChoice is the option by which pkcs11-tool finds a token among all. The tool takes the first token whose label
// begins with the text that it is given. Where that may be another token, which would count a wrong PIN, the slot says
// it.
func toolChoice(token cryptoki.TokenInfo, all []cryptoki.TokenInfo) []string {
	for _, other := range all {
		if other.Slot != token.Slot && strings.HasPrefix(other.Label, token.Label) {
			return []string{"--slot", fmt.Sprint(token.Slot)}
		}
	}
	return []string{"--token-label", token.Label}
}

// FindModules lists the PKCS#11 modules that are in the usual places of this machine, for messages.
func FindModules() []string {
	var found []string
	seen := map[string]bool{}
	for _, pattern := range quirk.UsualModules {
		paths, _ := filepath.Glob(pattern) // the patterns are well-formed
		for _, path := range paths {
			real, err := filepath.EvalSymlinks(path)
			if info, statErr := os.Stat(path); err != nil || statErr != nil || info.IsDir() || seen[real] {
				continue
			}
			seen[real] = true
			found = append(found, path)
		}
	}
	return found
}
