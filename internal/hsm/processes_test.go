package hsm_test

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
)

// order is what a child process is told to do to a token, in the environment variable HSMTEST_ORDER.
type order struct {
	Token           hsmtest.Token
	Kind            string // the name of one of kinds
	Operation       string // the name of one of operations, "race", "look", "move", "turn", "turns" or "watch"
	Ring            *hsm.Ring
	Bits            int  // of an RSA pair, 0: as the kind has it
	Meet            bool // in a race, to go on only at the other's side: see meeting
	ID, Fingerprint []byte
	Crash           hsmtest.Crash
	Duty            string // the name of one of duties, in place of an operation
	Next            pins   // for a Duty

	Certificate *certificateOrder // in place of an operation
}

// obey runs in a child process.
func obey(text string) int {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		fmt.Println(err)
		return 2
	}
	if o.Duty != "" {
		return obeyDuty(o)
	}
	if o.Operation == "watch" {
		return watch(&o.Token, *o.Ring)
	}
	kill, calls := o.Crash.Hook()
	counted, lines := &hsmtest.Faults{}, bufio.NewScanner(os.Stdin)
	var hooks []cryptoki.Hook
	m := meeting{lines: lines, generates: generates(kindNamed(o.Kind))}
	if o.Operation == "move" {
		m.generates = "C_SetAttributeValue"
	}
	if o.Meet {
		hooks = append(hooks, m.hook)
	}
	hooks = append(hooks, counted.Hook,
		func(ctx context.Context, c *cryptoki.Call, next func() error) error {
			if c.Function == "C_GetTokenInfo" && calls() == 2 { // of the looks at all the slots, the first counts
				return next()
			}
			return kill(ctx, c, next)
		},
	)
	c := o.Token.Config(hooks...)
	token, err := hsm.Open(context.Background(), c)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	if o.Operation == "race" {
		kind := kindNamed(o.Kind)
		kind.tmpl.ModulusBits = cmp.Or(o.Bits, kind.tmpl.ModulusBits)
		return race(kind, token, &m)
	}
	if o.Certificate != nil {
		if err := o.Certificate.run(context.Background(), token); err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println(calls())
		return 0
	}
	ref := object.Ref{Type: kindNamed(o.Kind).tmpl.Type, ID: o.ID, Fingerprint: string(o.Fingerprint)}
	switch o.Operation {
	case "look":
		return lookForKey(token, ref)
	case "turns":
		return turnsRing(token, *o.Ring, &m)
	case "move":
		fmt.Println("ready")
		lines.Scan()
		_, err := token.Change(context.Background(), ref, object.Change{ID: newID})
		fmt.Printf("moved: %t, unreadable: %t\n", err == nil, isUnreadable(err))
		return 0
	}
	w := &world{id: o.ID, kind: kindNamed(o.Kind)}
	if o.Operation == "turn" {
		_, _, err = token.Turn(context.Background(), *o.Ring)
	}
	for _, op := range operations {
		if op.name == o.Operation {
			if len(o.Fingerprint) > 0 {
				w.key, err = token.Key(context.Background(), object.Ref{Type: w.kind.tmpl.Type, ID: o.ID})
			}
			if err == nil {
				err = op.run(context.Background(), w, token)
			}
		}
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	made := map[string]int{"": calls()}
	for _, function := range vital {
		made[function] = counted.Count(function)
	}
	_ = json.NewEncoder(os.Stdout).Encode(made)
	return 0
}

// command is the child process for an order.
func command(o order) *exec.Cmd {
	text, _ := json.Marshal(o) // of strings and numbers
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "HSMTEST_ORDER="+string(text))
	return cmd
}

// vital are the calls that matter to each kind of key. For kinds of key other than the first, a process is killed, or
// hangs, only at these.
var vital = []string{
	"C_GenerateKeyPair", "C_GenerateKey", "C_SignInit", "C_Sign", "C_Verify", "C_Encrypt", "C_Decrypt", "C_DeriveKey", "C_SetAttributeValue", "C_DestroyObject",
}

// TestAProcessIsKilledAtEveryCall kills a process before and after PKCS#11 calls of create, update and delete: with
// HSMTEST_FAULTS=matrix, at each call for the first kind of key, and at the vital calls for the others; with
// HSMTEST_FAULTS=all at each; without either, at one call of ten of the matrix.
func TestAProcessIsKilledAtEveryCall(t *testing.T) {
	extent := hsmtest.ThisExtent(t)
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			kind.needs(t)
			k := hsmtest.New(t)
			kills := killing{world: &world{t: t, kind: kind, token: k, witness: open(t, k)}}
			functions := vital
			if kind.name == kinds[0].name || extent == hsmtest.All {
				functions = []string{""} // any
			}
			every := 1
			if extent == hsmtest.Sample {
				every = 10
			}
			picker := hsmtest.Pick(t, every)
			for _, op := range operations {
				if op.reads || op.name == "create with a random ID" || !kind.allows(op) {
					continue // it takes a plan to tell of the orphan of a random ID: that is the provider's test
				}
				made := kills.calls(op)
				for _, function := range functions {
					for nth := 1; nth <= made[function]; nth++ {
						for _, after := range []bool{false, true} {
							if picker.Takes() {
								kills.at(op, hsmtest.Crash{Function: function, Nth: nth, After: after})
							}
						}
					}
				}
			}
			t.Logf("%d crashes: the next run went well by itself after %d, and as its error advises after %d",
				kills.crashes, kills.clean, kills.advised)
			if kills.crashes == 0 {
				t.Error("no process was killed")
			}
		})
	}
}

// killing counts what became of processes that were killed.
type killing struct {
	*world
	crashes, clean, advised int
}

// run has another process do an operation, from where that starts.
func (k *killing) run(op operation, crash hsmtest.Crash) (printed []byte, err error) {
	op.prepare(k.world)
	k.made = object.Key{}
	return command(order{
		Token: *k.token, Kind: k.kind.name, Operation: op.name, ID: k.id, Fingerprint: []byte(k.key.Fingerprint()), Crash: crash,
	}).CombinedOutput()
}

// calls are the numbers of calls that an operation makes which nothing kills: of each vital function, and in all.
func (k *killing) calls(op operation) (made map[string]int) {
	out, err := k.run(op, hsmtest.Crash{})
	if err == nil {
		err = json.Unmarshal(out, &made)
	}
	if err != nil {
		k.t.Fatalf("%s of %s: %v: %s", op.name, k.kind.name, err, out)
	}
	return made
}

// wasKilled says of a process's error that it was killed.
func wasKilled(err error) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	return ok && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
}

// endedBefore says that a process that has made so many calls never came to the one at which it was to be killed. One
// that sees the token at its first look makes fewer calls than one that has to look again.
func endedBefore(made int, crash hsmtest.Crash) bool { return made < crash.Nth }

// at kills a process at a call of an operation.
func (k *killing) at(op operation, crash hsmtest.Crash) {
	out, err := k.run(op, crash)
	var made map[string]int
	switch {
	case wasKilled(err):
		k.crashes++
	case err != nil || json.Unmarshal(out, &made) != nil || !endedBefore(made[crash.Function], crash):
		k.t.Fatalf("%s of %s, %s: %v: %s", op.name, k.kind.name, crash, err, out)
	}
	k.afresh(func(token *hsm.Token) {
		if op.run(context.Background(), k.world, token) == nil {
			k.clean++
		} else {
			k.advised++
		}
		op.converge(k.world, token)
	})
	if k.t.Failed() {
		k.t.Fatalf("%s of %s, %s", op.name, k.kind.name, crash)
	}
}

// generates is the function that makes a key of the kind.
func generates(kind kind) string {
	if kind.objects() == 1 {
		return "C_GenerateKey"
	}
	return "C_GenerateKeyPair"
}

// meeting has a creation wait for a line on its standard input where the ID was found free, where the key is made, and
// where the token has been looked at since.
type meeting struct {
	lines     *bufio.Scanner
	generates string // the function that makes a key
	met       bool   // for this ID; a creation that repeats itself waits no more
	made      bool
	looks     int // begun since
}

func (m *meeting) hook(_ context.Context, c *cryptoki.Call, next func() error) error {
	switch {
	case c.Function == m.generates && !m.met:
		m.met = true
		m.wait("free")
		err := next()
		m.wait("generated")
		m.made, m.looks = true, 0
		return err
	case c.Function == "C_FindObjectsInit" && m.looks == 0:
		m.looks++
	case m.made && m.looks > 0 && !slices.Contains(partsOfALook, c.Function):
		m.made = false
		m.wait("looked")
	}
	return next()
}

// partsOfALook are the functions that follow on C_FindObjectsInit in one look at the token.
var partsOfALook = []string{"C_FindObjects", "C_FindObjectsFinal", "C_GetAttributeValue"}

func (m *meeting) wait(where string) {
	fmt.Println(where)
	m.lines.Scan()
}

// race makes a key of each ID that it reads, at the moment that it reads it, and says what came of it.
func race(kind kind, token *hsm.Token, m *meeting) int {
	_, _ = token.Key(context.Background(), object.Ref{ID: []byte("warm")})
	fmt.Println("ready")
	for m.lines.Scan() {
		m.met = false
		_, err := token.Generate(context.Background(), kind.template(m.lines.Text(), "race"))
		switch {
		case err == nil:
			fmt.Println("made")
		case errors.Is(err, object.ErrExists):
			fmt.Println("exists")
		case isUnreadable(err):
			fmt.Println("unreadable")
		default:
			fmt.Println(strings.ReplaceAll(err.Error(), "\n", " "))
		}
	}
	return 0
}

func isUnreadable(err error) bool {
	_, is := errors.AsType[*hsm.UnreadableError](err)
	return is
}

// lookForKey looks for a key in every way, destroys it, and says what came of each.
func lookForKey(token *hsm.Token, ref object.Ref) int {
	ctx := context.Background()
	nobodys := object.Ref{Type: ref.Type, Fingerprint: "that of no key"}
	for _, way := range []struct {
		name string
		run  func() error
	}{
		{"refresh", func() error { _, err := token.Key(ctx, ref); return err }},
		{"change", func() error { _, err := token.Change(ctx, ref, object.Change{Label: new("changed")}); return err }},
		{"all keys", func() error { _, err := token.Inventory(ctx); return err }},
		{"keys of the ID", func() error { _, err := token.Part(ctx, ref.ID); return err }},
		{"public key by ID", func() error { _, err := token.PublicKey(ctx, pkcs11uri.URI{ID: ref.ID}); return err }},
		{"public key by label", func() error {
			_, err := token.PublicKey(ctx, pkcs11uri.URI{Object: new("changed")})
			return err
		}},
		{"by a fingerprint", func() error { _, _, err := token.KeyByFingerprint(ctx, nobodys, nil); return err }},
		{"delete", func() error { _, err := token.Destroy(ctx, ref); return err }},
	} {
		err := way.run()
		if isUnreadable(err) {
			err = errors.New("unreadable")
		}
		fmt.Printf("%s: %v\n", way.name, err)
	}
	return 0
}

// TestTwoProcessesMakeTheSameID races two processes for an ID, a hundred times for each kind of key. One waits for the
// other, wherever each has its folder for temporary files.
func TestTwoProcessesMakeTheSameID(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			kind.needs(t)
			k := hsmtest.New(t)
			w := &world{t: t, kind: kind, token: k, witness: open(t, k)}
			o := order{Token: *k, Kind: kind.name, Operation: "race"}
			racers := []racer{startRacer(t, o, apart(t)), startRacer(t, o, apart(t))}
			outcomes := map[string]int{}
			for i := range 100 {
				id := "race " + strconv.Itoa(i)
				for _, r := range racers {
					r.tell(id)
				}
				a, b := racers[0].next(), racers[1].next()
				outcomes[a+", "+b]++
				made := strings.Count(a+" "+b, "made")
				if pairs := w.keys(); len(pairs) != 1 || made != 1 {
					t.Fatalf("race %d: %q and %q, and %d pairs", i, a, b, len(pairs))
				}
				w.clear()
			}
			t.Logf("outcomes: %v", outcomes)
		})
	}
}

// TestTwoMachinesMakeTheSameID has two processes make a key of one ID that do not wait for each other, as those of two
// machines: each has found the ID free before the other makes its key, and sees the other's key beside its own. One of
// them gives way. Both may where one of them stood still for seconds: such a race is held again.
func TestTwoMachinesMakeTheSameID(t *testing.T) {
	hsmtest.Needs(t, hsmtest.OtherEyes, hsmtest.TwoSessions)
	const races, tries = 10, 3
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			kind.needs(t)
			k := hsmtest.New(t)
			w := &world{t: t, kind: kind, token: k, witness: open(t, k)}
			o := order{Token: *k, Kind: kind.name, Operation: "race", Meet: true}
			k.NoLock(t)
			racers := []racer{startRacer(t, o, apart(t)), startRacer(t, o, apart(t))}
			outcomes := map[string]int{}
			for i := range races {
				for try := 1; ; try++ {
					said := meet(w, racers, fmt.Sprintf("race %d.%d", i, try))
					outcomes[said]++
					made := strings.Count(said, "made")
					if pairs := w.keys(); len(pairs) != made || made+strings.Count(said, "exists") != len(racers) {
						t.Fatalf("race %d: %s, and %d pairs", i, said, len(pairs))
					}
					w.clear()
					if made == 1 {
						break
					}
					if made > 1 || try == tries {
						t.Fatalf("race %d: %s", i, said)
					}
				}
			}
			t.Logf("outcomes: %v", outcomes)
		})
	}
}

// meet is a race in which both go from meeting to meeting side by side. It says what came of it.
func meet(w *world, racers []racer, id string) string {
	together := func(word, answer string) {
		for _, r := range racers {
			r.tell(word)
		}
		for _, r := range racers {
			if said := r.next(); said != answer {
				w.t.Fatalf("a racer says %q, and not %q", said, answer)
			}
		}
	}
	together(id, "free")
	together("go on", "generated")
	together("go on", "looked")
	for _, r := range racers {
		r.tell("go on")
	}
	return racers[0].next() + ", " + racers[1].next()
}

// TestWhoComesLaterSeesTheOther has one process find an ID free, and another one make its key and be done before the
// first one goes on. SoftHSM takes the first one's own write for the last one, and would not look at the other's.
func TestWhoComesLaterSeesTheOther(t *testing.T) {
	onSoftHSM(t)
	for _, name := range []string{"RSA", "P-256", "AES"} {
		kind := kindNamed(name)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := hsmtest.New(t)
			k.NoLock(t)
			w := &world{t: t, kind: kind, token: k, witness: open(t, k)}
			o := order{Token: *k, Kind: name, Operation: "race"}
			first := startRacer(t, o, apart(t))
			o.Meet = true
			later := startRacer(t, o, apart(t))
			for i := range 3 {
				id := fmt.Sprint("race ", i)
				var said []string
				said = append(said, later.asked(id), first.asked(id), later.asked("go on"), later.asked("go on"), later.asked("go on"))
				if want := []string{"free", "made", "generated", "looked", "exists"}; !slices.Equal(said, want) || len(w.keys()) != 1 {
					t.Errorf("race %d: %v, and %d keys", i, said, len(w.keys()))
				}
				w.clear()
			}
		})
	}
}

// racer is a process that makes a key of each ID that it is told.
type racer struct {
	in    io.Writer
	lines *bufio.Scanner
}

func (r racer) next() string { r.lines.Scan(); return r.lines.Text() }

func (r racer) asked(line string) string { r.tell(line); return r.next() }

func (r racer) tell(line string) { _, _ = fmt.Fprintln(r.in, line) }

// apart has a process meet no other in a folder of the user's or for temporary files.
func apart(t *testing.T) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "TMPDIR="+t.TempDir(), "XDG_CACHE_HOME="+t.TempDir())
	}
}

func startRacer(t *testing.T, o order, as func(*exec.Cmd)) racer {
	t.Helper()
	cmd := command(o)
	as(cmd)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	r := racer{in, bufio.NewScanner(out)}
	if ready := r.next(); ready != "ready" {
		t.Fatal(ready)
	}
	return r
}
