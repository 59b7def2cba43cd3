package hsmtest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// Blank is a SoftHSM of one test alone: no token, and so one slot whose token is not initialised.
type Blank struct {
	Library    string
	PIN, SOPIN string // for tokens to be
	Folder     string // of the tokens' folders
}

const blankFolder = "HSMTEST_BLANK"

// Alone runs a test with a Blank of its own. A process has one folder of tokens, and SoftHSM shows it what others add
// only once nobody in the process has the module open. So the test runs in another process: what the test does before
// Alone is done twice, and what it does after it, in this one. The test is skipped on other makes of token.
//
//	func TestX(t *testing.T) {
//		hsmtest.Alone(t, func(t *testing.T, blank *hsmtest.Blank) { ... })
//	}
func Alone(t *testing.T, test func(*testing.T, *Blank)) {
	t.Helper()
	if ThisMake(t).Name != "softhsm" {
		t.Skip("a slot without a token is tested on SoftHSM")
	}
	if folder := os.Getenv(blankFolder); folder != "" {
		if err := configure(folder); err != nil {
			t.Fatal(err)
		}
		softHSM.Lock()
		softHSM.folder, softHSM.err = folder, errors.New("hsmtest.New is not for the test of an hsmtest.Blank: its "+
			"Add makes tokens")
		softHSM.Unlock()
		test(t, &Blank{Library: Library(t), PIN: RandomPIN(), SOPIN: RandomPIN(), Folder: filepath.Join(folder,
			"tokens")})
		return
	}
	folder, err := makeFolder()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	names := strings.Split(t.Name(), "/")
	for i, name := range names {
		names[i] = "^" + regexp.QuoteMeta(name) + "$"
	}
	child := exec.Command(os.Args[0], "-test.v", "-test.run="+strings.Join(names, "/"))
	if end, ok := t.Deadline(); ok {
		child.Args = append(child.Args, "-test.timeout="+time.Until(end).String())
	}
	child.Env = append(os.Environ(), blankFolder+"="+folder, "XDG_CACHE_HOME="+filepath.Join(folder, "cache"))
	out, err := child.CombinedOutput()
	ended := func(how string) bool { return strings.Contains(string(out), "--- "+how+": "+t.Name()+" (") }
	switch {
	case err == nil && ended("SKIP"):
		t.Skipf("%s", out)
	case err != nil || !ended("PASS"):
		t.Fatalf("in a process of its own: %v\n%s", err, out)
	}
	t.Logf("in a process of its own:\n%s", out)
}

// Add makes a token by a program that shares no code with this project. A process sees it once it initialises the
// module anew.
func (b *Blank) Add(t testing.TB, label string) *Token {
	t.Helper()
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", b.SOPIN,
		"--pin", b.PIN).CombinedOutput()
	if err != nil {
		t.Fatalf("softhsm2-util: %v: %s", err, out)
	}
	return b.Token(label)
}

// Token is a token of that label, with the PINs for tokens to be. It need not be there.
func (b *Blank) Token(label string) *Token {
	return &Token{Library: b.Library, Label: label, PIN: b.PIN, SOPIN: b.SOPIN, toolLibrary: b.Library}
}

// Config means no token in particular.
func (b *Blank) Config(hooks ...hsm.Hook) hsm.Config {
	c := b.Token("").Config(hooks...)
	c.Selector = hsm.Selector{}
	return c
}

// Folders are the names of the tokens' folders, in order: one for each token.
func (b *Blank) Folders(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir(b.Folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		if entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	slices.Sort(names)
	return names
}

// Objects are the files of all objects on all tokens, by path, but for the tokens' own, with what they hold. Nothing
// but the owner of a key changes one.
func (b *Blank) Objects(t testing.TB) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(b.Folder, "*", "*.object"))
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string]string{}
	for _, path := range paths {
		if filepath.Base(path) == "token.object" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		objects[path] = string(text)
	}
	return objects
}

// Seen is what another program sees of a token.
type Seen struct{ Initialised, PINSet bool }

// Seen has the tokens of a label, by serial number, as another program sees them.
func (b *Blank) Seen(t testing.TB, label string) map[string]Seen {
	t.Helper()
	out, err := exec.Command("softhsm2-util", "--show-slots").CombinedOutput()
	if err != nil {
		t.Fatalf("softhsm2-util: %v: %s", err, out)
	}
	seen := map[string]Seen{}
	for _, slot := range strings.Split(string(out), "\nSlot ")[1:] {
		said := func(what string) string {
			_, rest, _ := strings.Cut(slot, what+":")
			line, _, _ := strings.Cut(rest, "\n")
			return strings.TrimSpace(line)
		}
		if said("Label") == label {
			seen[said("Serial number")] = Seen{said("Initialized") == "yes", said("User PIN init.") == "yes"}
		}
	}
	return seen
}

// Takes says whether a token accepts a PIN, in a process that has no session on it.
func (k *Token) Takes(t testing.TB, user cryptoki.User, pin string) bool {
	t.Helper()
	ctx := context.Background()
	m, err := cryptoki.OpenWith(ctx, k.Library, k.Parameters)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	slots, err := m.GetSlotList(ctx, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, slot := range slots {
		if info, err := m.GetTokenInfo(ctx, slot); err != nil || info.Label != k.Label {
			continue
		}
		s, err := m.OpenSession(ctx, slot, false)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.CloseSession(ctx) }()
		switch err := s.Login(ctx, user, []byte(pin)); {
		case err == nil:
			return s.Logout(ctx) == nil
		case errors.Is(err, cryptoki.CKR_PIN_INCORRECT), errors.Is(err, cryptoki.CKR_USER_PIN_NOT_INITIALIZED):
			return false
		default:
			t.Fatal(err)
		}
	}
	t.Fatalf("no token has the label %q", k.Label)
	return false
}
