package hsmtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki/cryptokitest"
)

// Token is a token for one test.
type Token struct {
	Library string // path of the PKCS#11 module
	// Parameters are what the module wants in C_Initialize, "" for none.
	Parameters string
	Label      string
	PIN        string
	SOPIN      string

	toolLibrary string // the module for pkcs11-tool, which gives no parameters
	spoilt      bool
}

// Tokens is how many tokens a test process makes at its first need. SoftHSM shows a token only to those who
// initialise the module after it was made, and other tests of the process may hold the module open. HSMTEST_TOKENS says
// another number: whoever opens one of the tokens looks at all of them, which takes the most time of short tests.
var Tokens = 24

// softHSM is the process's token folder: SoftHSM has one configuration a process.
var softHSM struct {
	sync.Mutex
	folder  string
	library string
	pin     string
	next    int
	free    []int    // of tests that have ended well
	kept    []string // what is with the tokens that did not come back
	err     error
}

// Main runs the package's tests and clears their tokens away.
func Main(m *testing.M) int {
	if text := os.Getenv("HSMTEST_TOKENS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			fmt.Fprintln(os.Stderr, "HSMTEST_TOKENS is no number:", err)
			return 2
		}
		Tokens = n
	}
	defer func() {
		if softHSM.folder != "" {
			_ = os.RemoveAll(softHSM.folder)
		}
	}()
	return m.Run()
}

// Library is the path of SoftHSM's module.
func Library(t testing.TB) string {
	t.Helper()
	for _, path := range hsm.FindModules() {
		if strings.Contains(filepath.Base(path), "softhsm") {
			return path
		}
	}
	if runtime.GOOS == "windows" {
		t.Skip("SoftHSM is tested on Linux")
	}
	t.Fatal("SoftHSM is missing: make deps installs it")
	return ""
}

// New gives an empty token with a PIN: one of SoftHSM's for this test alone, or that of the make that HSMTEST_MAKE
// names.
func New(t testing.TB) *Token {
	t.Helper()
	if ThisMake(t).Name != "softhsm" {
		return sharedToken(t)
	}
	softHSM.Lock()
	defer softHSM.Unlock()
	if softHSM.folder == "" {
		softHSM.library = Library(t)
		softHSM.err = makeTokens()
	}
	if softHSM.err != nil {
		t.Fatal(softHSM.err)
	}
	n := softHSM.next + 1
	switch last := len(softHSM.free) - 1; {
	case last >= 0:
		n, softHSM.free = softHSM.free[last], softHSM.free[:last]
	case n > Tokens:
		t.Fatalf("the tests of this package need more than %d tokens at a time: raise hsmtest.Tokens or HSMTEST_TOKENS. "+
			"Not given back:\n%s", Tokens, strings.Join(softHSM.kept, "\n"))
	default:
		softHSM.next = n
	}
	k := &Token{Library: softHSM.library, Label: label(n), PIN: softHSM.pin, SOPIN: softHSM.pin}
	k.toolLibrary = k.Library
	t.Cleanup(func() { k.giveBack(t, n) })
	return k
}

// Spoil keeps the token from going to another test: the process remembers that its PIN was refused.
func (k *Token) Spoil() { k.spoilt = true }

// closeAllSessions closes what sessions the process has on the token. It holds the module open for that: the last test
// that runs beside would finalize it in the middle.
func (k *Token) closeAllSessions() error {
	m, err := cryptoki.OpenWith(context.Background(), k.Library, k.Parameters)
	if err != nil {
		return err
	}
	err = Apart(func() error { return cryptokitest.CloseAllSessions(k.Library, k.Label) })
	return errors.Join(err, m.Close())
}

// giveBack lets another test have the token, emptied and logged out, unless something may be wrong with it.
func (k *Token) giveBack(t testing.TB, n int) {
	err := errSpoilt
	if !t.Failed() && !k.spoilt {
		err = k.empty()
	}
	if errors.Is(err, errInUse) { // by sessions that a fault kept open, or that hang
		err = k.closeAllSessions()
	}
	softHSM.Lock()
	defer softHSM.Unlock()
	if err != nil {
		softHSM.kept = append(softHSM.kept, fmt.Sprintf("%s, of %s: %v", k.Label, t.Name(), err))
		return
	}
	softHSM.free = append(softHSM.free, n)
}

var errSpoilt = errors.New("the test has failed, or has spoilt the token")

func label(n int) string { return fmt.Sprintf("hsmtest-%02d", n) }

func makeTokens() error {
	folder, err := makeFolder()
	if err != nil {
		return err
	}
	softHSM.folder = folder
	if err := configure(folder); err != nil {
		return err
	}
	softHSM.pin = RandomPIN()
	for n := 1; n <= Tokens; n++ {
		out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", label(n), "--so-pin", softHSM.pin, "--pin", softHSM.pin).CombinedOutput()
		if err != nil {
			return fmt.Errorf("softhsm2-util: %w: %s", err, out)
		}
	}
	return nil
}

// makeFolder makes a folder for tokens.
func makeFolder() (folder string, err error) {
	memory := "/dev/shm" // SoftHSM syncs each write, which a disk makes slow
	if _, err := os.Stat(memory); err != nil {
		memory = ""
	}
	if folder, err = os.MkdirTemp(memory, "hsmtest-"); err != nil {
		return "", err
	}
	return folder, os.Mkdir(filepath.Join(folder, "tokens"), 0o700)
}

// configure has this process and its children use the tokens in a folder.
func configure(folder string) error {
	conf := filepath.Join(folder, "softhsm2.conf")
	text := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n",
		filepath.Join(folder, "tokens"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Setenv("SOFTHSM2_CONF", conf)
}

// RandomPIN is eight digits, the first not zero: the form that every make of token takes.
func RandomPIN() string {
	n, err := rand.Int(rand.Reader, big.NewInt(90_000_000))
	if err != nil {
		panic(err)
	}
	return fmt.Sprint(10_000_000 + n.Int64())
}

// toolCurves are curves by pkcs11-tool's names, with what a token must have for it to make keys on them.
var toolCurves = map[string]Ability{
	"EC:secp224r1": P224, "EC:prime256v1": P256, "EC:secp384r1": P384, "EC:secp521r1": P521,
	"EC:secp256k1": Secp256k1, "EC:edwards25519": Ed25519,
}

// Tool runs pkcs11-tool on the token, logged in: a witness that shares no code with this project. A test that has it
// make a key which this make of token cannot make is skipped.
func (k *Token) Tool(t testing.TB, args ...string) string {
	t.Helper()
	for _, arg := range args {
		if ability, ok := toolCurves[arg]; ok {
			Needs(t, ability)
		}
	}
	command := []string{
		"pkcs11-tool", "--module", k.ToolLibrary(), "--token-label", k.Label, "--login", "--pin", "env:HSMTEST_TOOL_PIN",
	}
	return k.Command(t, append(command, args...)...)
}

// ToolLibrary is the path of the module for programs that give it no parameters: a wrapper's, where it wants some.
func (k *Token) ToolLibrary() string { return k.toolLibrary }

// looks is held by a login and by a look at a token. SoftHSM writes a token's file at each login, and a look at that
// moment takes the token for broken until the module is initialised anew.
var looks sync.Mutex

// Apart runs what looks at tokens without the hook.
func Apart(look func() error) error {
	looks.Lock()
	defer looks.Unlock()
	return look()
}

// KeepApart is a hook that keeps this process's logins and looks at tokens apart, of which tests have many at a time.
func KeepApart(_ context.Context, call *cryptoki.Call, next func() error) error {
	if call.Function == "C_Login" || call.Function == "C_GetTokenInfo" {
		return Apart(next)
	}
	return next()
}

// Config opens the token, with hooks around its calls.
func (k *Token) Config(hooks ...hsm.Hook) hsm.Config {
	return hsm.Config{
		Library: k.Library, LibraryParameters: k.Parameters, Selector: hsm.Selector{Label: &k.Label},
		PIN: hsm.NewPIN(k.PIN), Hooks: append(slices.Clone(hooks), KeepApart),
	}
}

// Session runs f in a session of its own on the token, logged in.
func (k *Token) Session(f func(context.Context, *cryptoki.Session) error) error {
	return k.session(func(ctx context.Context, s *cryptoki.Session, _ bool) error { return f(ctx, s) })
}

// session tells f besides whether the process was logged in already.
func (k *Token) session(f func(ctx context.Context, s *cryptoki.Session, loggedIn bool) error) (err error) {
	ctx := context.Background()
	m, err := cryptoki.OpenWith(ctx, k.Library, k.Parameters, KeepApart)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	slots, err := m.GetSlotList(ctx, true)
	if err != nil {
		return err
	}
	for _, slot := range slots {
		info, err := m.GetTokenInfo(ctx, slot)
		if err != nil || info.Label != k.Label {
			continue
		}
		s, err := m.OpenSession(ctx, slot, false)
		if err != nil {
			return err
		}
		defer func() { _ = s.CloseSession(ctx) }()
		err = s.Login(ctx, cryptoki.CKU_USER, []byte(k.PIN))
		loggedIn := errors.Is(err, cryptoki.CKR_USER_ALREADY_LOGGED_IN)
		if err != nil && !loggedIn {
			return err
		}
		return f(ctx, s, loggedIn)
	}
	return fmt.Errorf("%w: %q", errNotShown, k.Label)
}

var errNotShown = errors.New("the module does not show this process the token")

// Command runs a program with the token's PIN in the environment variable HSMTEST_TOOL_PIN, and gives what it printed,
// without its warnings. No look at a token is beside one that has the module, since it may log in.
func (k *Token) Command(t testing.TB, command ...string) string {
	t.Helper()
	Needs(t, Tools)
	for try := 1; ; try++ {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Env = append(os.Environ(), "HSMTEST_TOOL_PIN="+k.PIN)
		var errs strings.Builder
		cmd.Stderr = &errs
		var out []byte
		run := func() (err error) {
			out, err = cmd.Output()
			return err
		}
		var err error
		if slices.Contains(command, k.ToolLibrary()) {
			err = Apart(run)
		} else {
			err = run()
		}
		if err == nil {
			return string(out)
		}
		if try == toolTries || !slices.ContainsFunc(notShown, func(says string) bool {
			return strings.Contains(errs.String(), says)
		}) {
			t.Fatalf("%s: %v\n%s\n%s", strings.Join(command, " "), err, &errs, out)
		}
		time.Sleep(toolPause)
	}
}

// A program that was not shown a token is started again: see looks.
const (
	toolTries = 20
	toolPause = 50 * time.Millisecond
)

// notShown is what pkcs11-tool says then, of one version or another. It has done nothing.
var notShown = []string{"CKR_SLOT_ID_INVALID", "No slot with token named"}

// OutOfSight says that the module shows the token to another process, and not to this one: SoftHSM, where another
// process logged in as this one looked. Only a module that is initialised anew mends that, and other tests of this
// process use it.
func (k *Token) OutOfSight(t testing.TB) bool {
	t.Helper()
	if err := k.Session(func(context.Context, *cryptoki.Session) error { return nil }); !errors.Is(err, errNotShown) {
		return false
	}
	for range toolTries {
		if strings.Contains(k.Command(t, "pkcs11-tool", "--module", k.ToolLibrary(), "--list-slots"), k.Label+"\n") {
			return true
		}
		time.Sleep(toolPause)
	}
	return false
}
