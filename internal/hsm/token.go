package hsm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// DefaultMaxSessions is how many sessions are opened at most where a Config does not say.
const DefaultMaxSessions = 8

// Config says which token to open and how.
type Config struct {
	Library     string          // path of the PKCS#11 module
	Selector    Selector        // which token
	PIN         PIN             // of the normal user
	MaxSessions int             // 0: DefaultMaxSessions; never more than the token reports
	Hooks       []cryptoki.Hook // stand around each call into the module
}

// Selector says which token is meant: all that is set must match one token. Slots come and go by number, so
// a label or serial number is the better choice.
type Selector struct {
	Label  *string
	Serial *string
	Slot   *uint // a slot ID, not an index
}

// String is such as `label "a" and slot 0x1`.
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
	if len(words) == 0 {
		return "any label (no label, serial number or slot is given)"
	}
	return strings.Join(words, " and ")
}

func (s Selector) matches(i TokenInfo) bool {
	if s == (Selector{}) {
		return i.Has(cryptoki.CKF_TOKEN_INITIALIZED) // a blank token is nobody's choice
	}
	return (s.Label == nil || *s.Label == i.Label && i.Has(cryptoki.CKF_TOKEN_INITIALIZED)) &&
		(s.Serial == nil || *s.Serial == i.Serial) && (s.Slot == nil || *s.Slot == i.Slot)
}

// ParseSlot reads a slot ID, decimal or with 0x, as Ory Hydra's HSM_SLOT has it.
func ParseSlot(s string) (uint, error) {
	digits, base := s, 10
	if rest, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
		digits, base = rest, 16
	}
	slot, err := strconv.ParseUint(digits, base, 64)
	if err != nil {
		return 0, fmt.Errorf("a slot ID is a number, decimal or hex with 0x; %q is not", s)
	}
	return uint(slot), nil
}

// TokenInfo describes a token.
type TokenInfo struct{ cryptoki.TokenInfo }

// String is such as `slot 0x1: label "a", serial number 12, model SoftHSM v2, manufacturer SoftHSM project`.
func (i TokenInfo) String() string {
	if !i.Has(cryptoki.CKF_TOKEN_INITIALIZED) {
		return fmt.Sprintf("slot %d (0x%x): not initialised", i.Slot, i.Slot)
	}
	return fmt.Sprintf("slot %d (0x%x): label %q, serial number %q, model %q, manufacturer %q", i.Slot, i.Slot, i.Label, i.Serial, i.Model, i.Manufacturer)
}

// identity is what a token has of its own, whatever module and slot it is reached by.
func (i TokenInfo) identity() string {
	return fmt.Sprintf("%q %q %q %q", i.Manufacturer, i.Model, i.Serial, i.Label)
}

// Token is an open token. It is safe for concurrent use.
type Token struct {
	library  string
	module   *cryptoki.Module
	info     TokenInfo
	quirks   quirks
	pool     *pool
	snapshot *snapshot
	known    whereabouts
	// mechanisms keeps what the token said: cryptoki.MechanismType -> mechanismAnswer.
	mechanisms sync.Map
	untold     sync.Map // kind -> flags: what the token does not tell of its objects
	locks      idLocks
	writers    *writers
	// othersWrote is the entry.others of the last write.
	othersWrote atomic.Int64
	// changes of objects: this Token's own, and others' that the snapshot has caught up with; guarded by writers.
	changes, othersChanges int
	generating             *semaphore.Weighted // one for each generation, all of it for one that wants to be alone
}

// Open loads the module (once a process) and finds the one token that the selector names. It does not log in:
// that happens with the first operation, once a token a process. Errors: *LibraryError, *TokenError,
// ErrTokenNotInitialized, or the module's failure.
func Open(ctx context.Context, c Config) (*Token, error) {
	var gate atomic.Pointer[gate] // nil until it is known whether the token needs one
	c.Hooks = append([]cryptoki.Hook{func(ctx context.Context, call *cryptoki.Call, next func() error) error {
		if g := gate.Load(); g != nil {
			return g.pass(ctx, call, next)
		}
		return next()
	}}, c.Hooks...)
	module, err := openModule(ctx, c)
	if err != nil {
		return nil, err
	}
	info, err := selectToken(ctx, module, c.Selector)
	if err != nil {
		return nil, errors.Join(err, module.Close())
	}
	about, err := module.GetInfo(ctx)
	if err != nil {
		about, err = module.GetInfo(ctx) // it is a read
	}
	if err != nil {
		return nil, errors.Join(err, module.Close())
	}
	t := &Token{quirks: quirksOf(about, info), library: c.Library, module: module, info: info, snapshot: &snapshot{}, generating: semaphore.NewWeighted(everyone), writers: writersOf(info)}
	if t.quirks.torn {
		gate.Store(gateOf(info))
	}
	size := cmp.Or(c.MaxSessions, DefaultMaxSessions)
	for _, limit := range []uint{info.MaxSessions, info.MaxRWSessions} {
		if limit != 0 && limit != cryptoki.Unknown && limit < uint(size) {
			size = int(limit)
		}
	}
	if t.quirks.oneSession {
		size = 1
	}
	t.pool = newPool(size, loginOf(module, info, c.PIN))
	return t, nil
}

// openModule loads the module, once a process. Errors: *LibraryError, or C_Initialize's.
func openModule(ctx context.Context, c Config) (*cryptoki.Module, error) {
	if c.Library == "" {
		return nil, &LibraryError{}
	}
	module, err := cryptoki.Open(ctx, c.Library, c.Hooks...)
	if errors.Is(err, cryptoki.ErrLoad) {
		return nil, &LibraryError{Path: c.Library, Err: err}
	}
	return module, err
}

// selectToken looks at every slot with a token, steps over those that do not answer, and wants one match.
func selectToken(ctx context.Context, m *cryptoki.Module, s Selector) (TokenInfo, error) {
	slots, err := m.GetSlotList(ctx, true)
	if err != nil {
		slots, err = m.GetSlotList(ctx, true)
	}
	if err != nil {
		return TokenInfo{}, err
	}
	var matches []TokenInfo
	failure := &TokenError{Selector: s}
	for _, slot := range slots {
		info, err := tokenInfo(ctx, m, slot)
		if ctx.Err() != nil {
			return TokenInfo{}, err
		}
		if err != nil {
			failure.Skipped = append(failure.Skipped, fmt.Sprintf("slot %d (0x%x): %v", slot, slot, err))
			continue
		}
		failure.Tokens = append(failure.Tokens, info)
		if s.matches(info) {
			matches = append(matches, info)
		}
	}
	if failure.Matches = len(matches); len(matches) != 1 {
		return TokenInfo{}, failure
	}
	if !matches[0].Has(cryptoki.CKF_TOKEN_INITIALIZED) {
		return TokenInfo{}, fmt.Errorf("%s: %w", matches[0], ErrTokenNotInitialized)
	}
	return matches[0], nil
}

// tokenInfo asks twice where the first answer is a failure: it is a read.
func tokenInfo(ctx context.Context, m *cryptoki.Module, slot uint) (TokenInfo, error) {
	info, err := twice(ctx, func() (cryptoki.TokenInfo, error) { return m.GetTokenInfo(ctx, slot) })
	return TokenInfo{info}, err
}

// Close closes the token's sessions and gives the module back. Operations must have ended.
func (t *Token) Close() error {
	t.pool.close()
	return t.module.Close()
}

// CloseAll ends the process's use of all modules: the last thing before it exits. Nothing depends on it.
func CloseAll() { cryptoki.CloseAll() }

// Info describes the token as it was when it was opened.
func (t *Token) Info() TokenInfo { return t.info }

// Command is a pkcs11-tool command line for this token, quoted for a shell. It holds no PIN: the tool asks.
func (t *Token) Command(args ...string) string {
	words := append([]string{"pkcs11-tool", "--module", t.library, "--token-label", t.info.Label, "--login"}, args...)
	for i, w := range words {
		words[i] = quote(w)
	}
	return strings.Join(words, " ")
}

// quote makes one word for a POSIX shell.
func quote(w string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=,+@", r)
	}
	if w != "" && strings.IndexFunc(w, func(r rune) bool { return !safe(r) }) < 0 {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}

// usualModules are where distributions put PKCS#11 modules.
var usualModules = []string{
	"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so",
	"/usr/local/lib/softhsm/libsofthsm2.so", "/opt/homebrew/lib/softhsm/libsofthsm2.so",
	"/usr/lib/*/opencryptoki/libopencryptoki.so", "/usr/lib64/opencryptoki/libopencryptoki.so",
	"/usr/lib/*/libtpm2_pkcs11.so.1", "/usr/lib/*/pkcs11/libtpm2_pkcs11.so", "/usr/lib/*/pkcs11/p11-kit-client.so",
	"/usr/lib/*/pkcs11/yubihsm_pkcs11.so", "/usr/lib/*/libykcs11.so*", "/opt/nfast/toolkits/pkcs11/libcknfast.so",
	"/usr/safenet/lunaclient/lib/libCryptoki2_64.so", "/opt/cloudhsm/lib/libcloudhsm_pkcs11.so", "/opt/utimaco/lib/libcs_pkcs11_R3.so",
}

// FindModules lists the PKCS#11 modules that are in the usual places of this machine, for messages.
func FindModules() []string {
	var found []string
	seen := map[string]bool{}
	for _, pattern := range usualModules {
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
