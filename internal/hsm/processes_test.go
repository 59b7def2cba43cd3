package hsm_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// order is what a child process is told to do to a token, in the environment variable HSMTEST_ORDER.
type order struct {
	Library, Label, PIN string
	Kind                string // the name of one of kinds
	Operation           string // the name of one of operations, or "race"
	ID, Fingerprint     []byte
	Nth                 int  // the call at which the process kills itself; 0: none
	After               bool // once the call has taken effect
}

// obey runs in a child process.
func obey(text string) int {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		fmt.Println(err)
		return 2
	}
	kill, calls := hsmtest.Crash{Nth: o.Nth, After: o.After}.Hook()
	c := hsm.Config{Library: o.Library, Selector: hsm.Selector{Label: &o.Label}, PIN: hsm.NewPIN(o.PIN), Hooks: []cryptoki.Hook{
		func(ctx context.Context, c *cryptoki.Call, next func() error) error {
			if c.Function == "C_GetTokenInfo" && calls() == 2 { // of the looks at all the slots, the first counts
				return next()
			}
			return kill(ctx, c, next)
		},
	}}
	token, err := hsm.Open(context.Background(), c)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	if o.Operation == "race" {
		return race(token)
	}
	w := &world{id: o.ID, kind: kindNamed(o.Kind)}
	for _, op := range operations {
		if op.name == o.Operation {
			if len(o.Fingerprint) > 0 {
				w.key, err = token.KeyPair(context.Background(), hsm.Ref{Type: w.kind.tmpl.Type, ID: o.ID})
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
	fmt.Println("calls", calls())
	return 0
}

// command is the child process for an order.
func command(o order) *exec.Cmd {
	text, _ := json.Marshal(o) // of strings and numbers
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "HSMTEST_ORDER="+string(text))
	return cmd
}

// TestAProcessIsKilledAtEveryCall kills a process before and after each PKCS#11 call of create, update and delete of
// the first kind of key, and at a sample of them of the others.
func TestAProcessIsKilledAtEveryCall(t *testing.T) {
	k := hsmtest.New(t)
	for _, kind := range kinds {
		crashes, clean, advised := 0, 0, 0
		for _, op := range operations {
			if op.name == "refresh" || op.name == "import" || op.name == "JWKS" || op.name == "create with a random ID" ||
				op.name == "change the usage" && kind.other == 0 {
				continue // nothing is made; the last but one is the provider's test, since it takes a plan to tell of the orphan
			}
			step := 1
			if kind.name != kinds[0].name && os.Getenv("HSMTEST_FAULTS") != "all" {
				step = 19
			}
			killAt(&world{t: t, kind: kind, token: k, witness: open(t, k)}, op, step, &crashes, &clean, &advised)
		}
		t.Logf("%s: %d crashes: the next run went well by itself after %d, and as its error advises after %d", kind.name, crashes, clean, advised)
	}
}

// killAt kills a process that makes an operation, at each call of the operation, or at each so many.
func killAt(w *world, op operation, step int, crashes, clean, advised *int) {
	t, k := w.t, w.token
	for nth := 1; ; nth += step {
		ended := false
		for _, after := range []bool{false, true} {
			op.prepare(w)
			w.made = hsm.KeyPair{}
			out, err := command(order{
				Library: k.Library, Label: k.Label, PIN: k.PIN, Kind: w.kind.name, Operation: op.name, ID: w.id,
				Fingerprint: []byte(w.key.Fingerprint()), Nth: nth, After: after,
			}).CombinedOutput()
			if err == nil {
				ended = true
				continue
			}
			exit, ok := errors.AsType[*exec.ExitError](err)
			if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("%s, call %d: %v: %s", op.name, nth, err, out)
			}
			*crashes++
			token := w.fresh()
			if op.run(context.Background(), w, token) == nil {
				*clean++
			} else {
				*advised++
			}
			op.converge(w, token)
			_ = token.Close()
			if t.Failed() {
				t.Fatalf("%s, killed at call %d, after it took effect: %t", op.name, nth, after)
			}
		}
		if ended {
			break
		}
	}
}

// race makes each ID that it reads, at the moment that it reads it, and says what came of it.
func race(token *hsm.Token) int {
	lines := bufio.NewScanner(os.Stdin)
	_, _ = token.KeyPair(context.Background(), hsm.Ref{ID: []byte("warm")})
	fmt.Println("ready")
	for lines.Scan() {
		_, err := token.GenerateKeyPair(context.Background(), small(lines.Text(), "race"))
		switch {
		case err == nil:
			fmt.Println("made")
		case errors.Is(err, hsm.ErrExists):
			fmt.Println("exists")
		default:
			fmt.Println(strings.ReplaceAll(err.Error(), "\n", " "))
		}
	}
	return 0
}

// TestTwoProcessesMakeTheSameID races two processes for an ID, a hundred times.
func TestTwoProcessesMakeTheSameID(t *testing.T) {
	k := hsmtest.New(t)
	w := &world{t: t, kind: kinds[0], token: k, witness: open(t, k)}
	type racer struct {
		start func(string)
		next  func() string
	}
	var racers []racer
	for range 2 {
		cmd := command(order{Library: k.Library, Label: k.Label, PIN: k.PIN, Operation: "race"})
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
		lines := bufio.NewScanner(out)
		racers = append(racers, racer{
			func(id string) { _, _ = fmt.Fprintln(in, id) },
			func() string { lines.Scan(); return lines.Text() },
		})
	}
	for _, r := range racers {
		if ready := r.next(); ready != "ready" {
			t.Fatal(ready)
		}
	}
	outcomes := map[string]int{}
	for i := range 100 {
		id := "race " + strconv.Itoa(i)
		for _, r := range racers {
			r.start(id)
		}
		a, b := racers[0].next(), racers[1].next()
		outcomes[a+", "+b]++
		made := strings.Count(a+" "+b, "made")
		pairs := w.pairs()
		if len(pairs) != 1 || made != 1 {
			t.Fatalf("race %d: %q and %q, and %d pairs", i, a, b, len(pairs))
		}
		w.clear()
	}
	t.Logf("outcomes: %v", outcomes)
}
