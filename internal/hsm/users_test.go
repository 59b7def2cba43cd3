//go:build linux

package hsm_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// nobody is the other user of these tests.
const nobody = 65534

// another runs a process as another user, who may use the token's files by a capability: SoftHSM 2.6.1 makes every file
// for its own user alone.
func another(t *testing.T) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		apart(t)(cmd)
		cmd.Path, cmd.Dir = share(t, os.Args[0]), "/"
		const mayUseAllFiles = 1 // CAP_DAC_OVERRIDE
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, AmbientCaps: []uintptr{mayUseAllFiles},
		}
	}
}

// contest is a way in which two processes share a token.
type contest struct {
	name   string
	locked bool
	other  func(*testing.T) func(*exec.Cmd)
}

var contests = []contest{
	{"with the lock", true, apart}, {"without a lock", false, apart},
	{"two users, with the lock", true, another}, {"two users, without a lock", false, another},
}

// TestTwoWhoShareATokenMakeTheSameID races two processes for an ID, on one token of SoftHSM's, that share nothing else:
// no folder, and no user. At most one of them makes its key; where neither does, both say that the other has the ID. With
// HSMTEST_FAULTS=all it is a hundred races of each kind.
func TestTwoWhoShareATokenMakeTheSameID(t *testing.T) {
	onSoftHSM(t)
	for _, c := range []struct {
		kind                string
		bits                int
		sample, matrix, all int // races
	}{{"P-256", 0, 6, 25, 100}, {"RSA", 2048, 3, 8, 100}, {"RSA", 4096, 0, 0, 100}} {
		races := map[hsmtest.Extent]int{hsmtest.Sample: c.sample, hsmtest.Matrix: c.matrix, hsmtest.All: c.all}[hsmtest.ThisExtent(t)]
		for _, contest := range contests {
			if races == 0 {
				continue
			}
			t.Run(fmt.Sprintf("%s %d, %s", c.kind, c.bits, contest.name), func(t *testing.T) {
				if strings.HasPrefix(contest.name, "two users") && os.Geteuid() != 0 {
					t.Skip("only root starts a process of another user")
				}
				t.Parallel()
				k := hsmtest.New(t)
				if !contest.locked {
					k.NoLock(t)
				}
				w := &world{t: t, kind: kindNamed(c.kind), token: k, witness: open(t, k)}
				o := order{Token: *k, Kind: c.kind, Bits: c.bits, Operation: "race"}
				racers := []racer{startRacer(t, o, apart(t)), startRacer(t, o, contest.other(t))}
				doubled, bothFailed, one := 0, 0, 0
				for i := range races {
					id := fmt.Sprint("race ", i)
					for _, r := range racers {
						r.tell(id)
					}
					said := racers[0].next() + ", " + racers[1].next()
					made := strings.Count(said, "made")
					if pairs := w.keys(); len(pairs) != made || made+strings.Count(said, "exists") != len(racers) {
						t.Fatalf("race %d: %s, and %d pairs", i, said, len(pairs))
					}
					switch made {
					case 0:
						bothFailed++
					case 1:
						one++
					default:
						doubled++
					}
					w.clear()
				}
				t.Logf("%d races: %d doubled, in %d both failed, in %d one key was made", races, doubled, bothFailed, one)
				if doubled > 0 || bothFailed > max(1, races/10) {
					t.Error("two do not see each other")
				}
			})
		}
	}
}

// TestTwoUsersMakeTheSameID races root and another user, who may not read what root makes: there is one key, and where
// that is root's, the other is told that something is there which it cannot see.
func TestTwoUsersMakeTheSameID(t *testing.T) {
	onSoftHSM(t)
	if os.Geteuid() != 0 {
		t.Skip("only root starts a process of another user")
	}
	k := hsmtest.New(t)
	k.Spoil() // its files are another user's by now
	give(t, k)
	w := &world{t: t, kind: kindNamed("P-256"), token: k, witness: open(t, k)}
	o := order{Token: *k, Kind: "P-256", Operation: "race"}
	racers := []racer{startRacer(t, o, apart(t)), startRacer(t, o, plain(t, nobody))}
	outcomes := map[string]int{}
	for i := range 12 {
		id, said := fmt.Sprint("race ", i), ""
		switch i % 3 {
		case 0: // both at once
			racers[0].tell(id)
			racers[1].tell(id)
			said = "race: " + racers[0].next() + ", " + racers[1].next()
		case 1:
			said = "root first: " + racers[0].asked(id) + ", " + racers[1].asked(id)
		case 2:
			said = "root second: " + racers[1].asked(id) + ", " + racers[0].asked(id)
		}
		outcomes[said]++
		if pairs := w.keys(); len(pairs) != 1 || strings.Count(said, "made") != 1 {
			t.Fatalf("race %d: %s, and %d pairs", i, said, len(pairs))
		}
		w.clear()
	}
	if outcomes["root first: made, unreadable"] != 4 || outcomes["root second: made, exists"] != 4 {
		t.Errorf("outcomes: %v", outcomes)
	}
	t.Logf("outcomes: %v", outcomes)
}

// plain runs a process as another user, who may use nothing but that user's own files.
func plain(t *testing.T, user uint32) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		cmd.Path, cmd.Dir = share(t, os.Args[0]), "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	}
}

// TestTwoPlainUsersMakeTheSameID has two users, neither of whom may read what the other makes, find an ID free and make
// a key of it at the same time, without a lock. Each sees that something is there. At most one keeps its key: the one
// that looks when the other's is gone again.
func TestTwoPlainUsersMakeTheSameID(t *testing.T) {
	onSoftHSM(t)
	if os.Geteuid() != 0 {
		t.Skip("only root starts a process of another user")
	}
	for _, kind := range []string{"P-256", "AES"} {
		k := hsmtest.New(t)
		k.Spoil()
		k.NoLock(t)
		give(t, k)
		folder := k.Folder(t)
		entries, err := os.ReadDir(folder)
		err = errors.Join(err, os.Chmod(folder, 0o777))
		for _, entry := range entries {
			if !entry.IsDir() {
				err = errors.Join(err, os.Chmod(filepath.Join(folder, entry.Name()), 0o666))
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t, kind: kindNamed(kind), token: k, witness: open(t, k)}
		o := order{Token: *k, Kind: kind, Operation: "race", Meet: true}
		racers := []racer{startRacer(t, o, plain(t, nobody)), startRacer(t, o, plain(t, nobody-1))}
		said := meet(w, racers, "race")
		made, gaveWay := strings.Count(said, "made"), strings.Count(said, "unreadable")
		if made > 1 || made+gaveWay != 2 || len(w.keys()) != made {
			t.Errorf("%s: %s, and %d keys", kind, said, len(w.keys()))
		}
	}
}

// TestAnotherUsersKeyIsNotGone has a user look for a key that is root's, or half of which is: it is not found, and that
// must not count as its absence.
func TestAnotherUsersKeyIsNotGone(t *testing.T) {
	onSoftHSM(t)
	if os.Geteuid() != 0 {
		t.Skip("only root starts a process of another user")
	}
	k := hsmtest.New(t)
	k.Spoil()
	give(t, k)
	folder := k.Folder(t)
	kind := kindNamed("P-256")
	w := &world{t: t, kind: kind, token: k, witness: open(t, k)}
	before, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := w.witness.Generate(context.Background(), kind.template("a key", "a key"))
	if err != nil {
		t.Fatal(err)
	}
	after, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	after = slices.DeleteFunc(after, func(path string) bool { return slices.Contains(before, path) })
	halves := slices.DeleteFunc(slices.Clone(after), func(path string) bool { return !strings.HasSuffix(path, ".object") })
	if len(halves) != 2 {
		t.Fatalf("a pair has the files %v", after)
	}
	o := order{Token: *k, Kind: kind.name, Operation: "look", ID: key.ID, Fingerprint: []byte(key.Fingerprint())}
	for _, c := range []struct {
		name   string
		hidden []string
		want   string
	}{
		{"the key is hidden", halves, "unreadable"}, {"one half is hidden", halves[:1], "unreadable"},
		{"the other half is hidden", halves[1:], "unreadable"}, {"all can be read", nil, "<nil>"},
	} {
		for _, path := range after {
			user := nobody
			if slices.Contains(c.hidden, path) {
				user = 0
			}
			if err := os.Chown(path, user, user); err != nil {
				t.Fatal(err)
			}
		}
		cmd := command(o)
		plain(t, nobody)(cmd)
		out, err := cmd.CombinedOutput()
		said := strings.TrimSuffix(string(out), "\n")
		wrong := func(line string) bool { return !strings.HasSuffix(line, ": "+c.want) }
		if lines := strings.Split(said, "\n"); err != nil || len(lines) != 8 || slices.ContainsFunc(lines, wrong) {
			t.Errorf("%s: %v\n%s", c.name, err, said)
		}
		if n := len(w.keys()); n != min(1, len(c.hidden)) {
			t.Errorf("%s: %d keys are left", c.name, n)
		}
	}
}

// TestAnErasureSparesWhatCannotBeRead has a user erase a token that looks empty: another one's keys, which only root may
// read, are on it.
func TestAnErasureSparesWhatCannotBeRead(t *testing.T) {
	onSoftHSM(t)
	if os.Geteuid() != 0 {
		t.Skip("only root starts a process of another user")
	}
	k := hsmtest.New(t)
	k.Spoil()
	give(t, k)
	kind := kindNamed("P-256")
	w := &world{t: t, kind: kind, token: k, witness: open(t, k)}
	if _, err := w.witness.Generate(context.Background(), kind.template("a key", "a key")); err != nil {
		t.Fatal(err)
	}
	cmd := command(order{Token: *k, Duty: "erase"})
	plain(t, nobody)(cmd)
	out, err := cmd.CombinedOutput()
	if said := string(out); err == nil || !strings.Contains(said, (&hsm.UnreadableError{Objects: 2}).Error()) ||
		!strings.Contains(said, hsm.StandsUntouched.String()) {
		t.Errorf("%v: it says %s", err, said)
	}
	if n := len(w.keys()); n != 1 {
		t.Errorf("%d keys are left", n)
	}
}

// TestAMoveGivesWayToWhatCannotBeRead has something appear on the token, while a key gets a new ID, that its user may
// not read.
func TestAMoveGivesWayToWhatCannotBeRead(t *testing.T) {
	onSoftHSM(t)
	if os.Geteuid() != 0 {
		t.Skip("only root starts a process of another user")
	}
	k := hsmtest.New(t)
	k.Spoil()
	kind := kindNamed("AES")
	w := &world{t: t, kind: kind, token: k, witness: open(t, k)}
	key, err := w.witness.Generate(context.Background(), kind.template("a key", "a key"))
	if err != nil {
		t.Fatal(err)
	}
	give(t, k)
	o := order{Token: *k, Kind: kind.name, Operation: "move", Meet: true, ID: key.ID}
	o.Fingerprint = []byte(key.Fingerprint())
	r := startRacer(t, o, plain(t, nobody))
	said := []string{r.asked("begin")}
	appeared := filepath.Join(k.Folder(t), "appeared.object")
	if err := os.WriteFile(appeared, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		said = append(said, r.asked("go on"))
	}
	if err := os.Remove(appeared); err != nil {
		t.Fatal(err)
	}
	want := []string{"free", "generated", "looked", "moved: false, unreadable: true"}
	if now := w.keys(); !slices.Equal(said, want) || len(now) != 1 || string(now[0].ID) != "a key" {
		t.Errorf("%v, and the token holds %v", said, now)
	}
}

// give makes another user the owner of a token's files, and lets it come to them.
func give(t *testing.T, k *hsmtest.Token) {
	t.Helper()
	folder := k.Folder(t)
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	err = os.Chown(folder, nobody, nobody)
	for _, entry := range entries {
		err = errors.Join(err, os.Chown(filepath.Join(folder, entry.Name()), nobody, nobody))
	}
	conf := os.Getenv("SOFTHSM2_CONF")
	err = errors.Join(err, os.Chmod(conf, 0o644))
	for _, above := range []string{filepath.Dir(folder), filepath.Dir(conf)} {
		err = errors.Join(err, os.Chmod(above, 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// share copies a program to where every user may run it.
func share(t *testing.T, program string) (path string) {
	t.Helper()
	folder, err := os.MkdirTemp("", "hsmtest-") //nolint:usetesting // which nobody else may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	path = filepath.Join(folder, "program")
	from, err := os.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	// A process that another test starts would hold the file open: nobody runs what is written to.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o755)
	if err == nil {
		_, err = io.Copy(to, from)
		err = errors.Join(err, to.Close(), os.Chmod(folder, 0o755), os.Chmod(path, 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTheLockLiesInTheTokensFolder and nowhere else, and a caution says where it cannot.
func TestTheLockLiesInTheTokensFolder(t *testing.T) {
	onSoftHSM(t)
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	k := hsmtest.New(t)
	token := open(t, k)
	already := len(token.Cautions()) // of an earlier test on the token
	generate(t, token, small("a", "a"))
	path := k.LockOf(t)
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 || len(token.Cautions()) > already {
		t.Errorf("%v, %v, cautions %v", info, err, token.Cautions())
	}
	if n := strings.Count(k.Tool(t, "--list-objects"), "Key Object"); n != 2 {
		t.Errorf("beside the lock, another tool sees %d objects", n)
	}
	renamed := func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if info, ok := c.Result.(*cryptoki.TokenInfo); ok && info.Label == k.Label {
			info.Serial = "0123456789abcdef"
		}
		return err
	}
	c := k.Config(renamed)
	elsewhere, err := hsm.Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = elsewhere.Close() })
	generate(t, elsewhere, small("b", "b"))
	said := strings.Join(elsewhere.Cautions(), "\n")
	if !strings.Contains(said, "this user on this machine alone") || !strings.Contains(said, cache) {
		t.Errorf("the caution is %q", said)
	}
}
