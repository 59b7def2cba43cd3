package hsm_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// order is what a child process is told to do to a token, in the environment variable HSMTEST_ORDER.
type order struct {
	Token           hsmtest.Token
	Kind            string // the name of one of kinds
	Operation       string // the name of one of operations, or "race"
	ID, Fingerprint []byte
	Crash           hsmtest.Crash
}

// obey runs in a child process.
func obey(text string) int {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		fmt.Println(err)
		return 2
	}
	kill, calls := o.Crash.Hook()
	c := o.Token.Config(func(ctx context.Context, c *cryptoki.Call, next func() error) error {
		if c.Function == "C_GetTokenInfo" && calls() == 2 { // of the looks at all the slots, the first counts
			return next()
		}
		return kill(ctx, c, next)
	})
	token, err := hsm.Open(context.Background(), c)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	if o.Operation == "race" {
		return race(kindNamed(o.Kind), token)
	}
	w := &world{id: o.ID, kind: kindNamed(o.Kind)}
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

// vital are the calls that matter to each kind of key: at those alone a process is killed, or hangs, that handles another
// kind than the first.
var vital = []string{
	"C_GenerateKeyPair", "C_GenerateKey", "C_SignInit", "C_Sign", "C_Verify", "C_Encrypt", "C_Decrypt", "C_DeriveKey", "C_SetAttributeValue", "C_DestroyObject",
}

// TestAProcessIsKilledAtEveryCall kills a process before and after each PKCS#11 call of create, update and delete of
// the first kind of key, and at the vital calls of the others; with HSMTEST_FAULTS=all, at each.
func TestAProcessIsKilledAtEveryCall(t *testing.T) {
	k := hsmtest.New(t)
	for _, kind := range kinds {
		kills := killing{world: &world{t: t, kind: kind, token: k, witness: open(t, k)}}
		functions := vital
		if kind.name == kinds[0].name || os.Getenv("HSMTEST_FAULTS") == "all" {
			functions = []string{""} // any
		}
		for _, op := range operations {
			if op.reads || op.name == "create with a random ID" || !kind.allows(op) {
				continue // it takes a plan to tell of the orphan of a random ID: that is the provider's test
			}
			for _, function := range functions {
				for nth, more := 1, true; more; nth++ {
					more = kills.at(op, function, nth)
				}
			}
		}
		t.Logf("%s: %d crashes: the next run went well by itself after %d, and as its error advises after %d", kind.name, kills.crashes, kills.clean, kills.advised)
	}
}

// killing is what came of the crashes of processes.
type killing struct {
	*world
	crashes, clean, advised int
}

// at kills a process before a call of an operation, and another one after it. It is false where the operation makes no
// such call.
func (k *killing) at(op operation, function string, nth int) (more bool) {
	more = true
	for _, after := range []bool{false, true} {
		op.prepare(k.world)
		k.made = object.Key{}
		crash := hsmtest.Crash{Function: function, Nth: nth, After: after}
		out, err := command(order{
			Token: *k.token, Kind: k.kind.name, Operation: op.name, ID: k.id,
			Fingerprint: []byte(k.key.Fingerprint()), Crash: crash,
		}).CombinedOutput()
		if err == nil {
			more = false
			continue
		}
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			k.t.Fatalf("%s of %s, %s: %v: %s", op.name, k.kind.name, crash, err, out)
		}
		k.crashes++
		token := k.fresh()
		if op.run(context.Background(), k.world, token) == nil {
			k.clean++
		} else {
			k.advised++
		}
		op.converge(k.world, token)
		_ = token.Close()
		if k.t.Failed() {
			k.t.Fatalf("%s of %s, %s", op.name, k.kind.name, crash)
		}
	}
	return more
}

// race makes a key of each ID that it reads, at the moment that it reads it, and says what came of it.
func race(kind kind, token *hsm.Token) int {
	lines := bufio.NewScanner(os.Stdin)
	_, _ = token.Key(context.Background(), object.Ref{ID: []byte("warm")})
	fmt.Println("ready")
	for lines.Scan() {
		_, err := token.Generate(context.Background(), kind.template(lines.Text(), "race"))
		switch {
		case err == nil:
			fmt.Println("made")
		case errors.Is(err, object.ErrExists):
			fmt.Println("exists")
		default:
			fmt.Println(strings.ReplaceAll(err.Error(), "\n", " "))
		}
	}
	return 0
}

// TestTwoProcessesMakeTheSameID races two processes for an ID, a hundred times for each kind of key.
func TestTwoProcessesMakeTheSameID(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			kind.needs(t)
			k := hsmtest.New(t)
			w := &world{t: t, kind: kind, token: k, witness: open(t, k)}
			o := order{Token: *k, Kind: kind.name, Operation: "race"}
			racers := []racer{startRacer(t, o), startRacer(t, o)}
			outcomes := map[string]int{}
			for i := range 100 {
				id := "race " + strconv.Itoa(i)
				for _, r := range racers {
					_, _ = fmt.Fprintln(r.in, id)
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

// racer is a process that makes a key of each ID that it is told.
type racer struct {
	in    io.Writer
	lines *bufio.Scanner
}

func (r racer) next() string { r.lines.Scan(); return r.lines.Text() }

func startRacer(t *testing.T, o order) racer {
	t.Helper()
	cmd := command(o)
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
