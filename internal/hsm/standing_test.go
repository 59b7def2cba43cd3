package hsm_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// duty is an operation of the security officer, on a token with a label, and PINs of its own.
type duty struct {
	name string
	// prepare brings the token into the state that the operation starts from.
	prepare func(*testing.T, *bench)
	run     func(context.Context, *hsmtest.Token, pins, hsm.Config) error
	// stands says whether what an error says of the token is true.
	stands func(*testing.T, *bench, hsm.Standing) bool
	// again is the next run, after which the token is as done says; nil: the operation itself.
	again  func(context.Context, *hsmtest.Token, pins, hsm.Config) error
	done   func(*testing.T, *bench) bool
	erases bool // the token holds nothing in the end
}

// pins are those that a token gets.
type pins struct{ PIN, SOPIN string }

// bench is a folder with a token that an operation is about, and another one that it is not about, which holds keys.
type bench struct {
	*hsmtest.Blank
	token  *hsmtest.Token
	next   pins
	other  []string          // the folder of the other token
	theirs map[string]string // its objects
	had    map[string]string // the objects of both before the operation
	cases  int
}

func (b *bench) seen(t *testing.T) (one hsmtest.Seen, n int) {
	for _, one = range b.Seen(t, b.token.Label) {
		n++
	}
	return one, n
}

var duties = []duty{
	{
		name: "initialise", prepare: func(*testing.T, *bench) {},
		run: func(ctx context.Context, k *hsmtest.Token, _ pins, c hsm.Config) error {
			_, err := hsm.Initialize(ctx, c, hsm.Setup{Label: k.Label, OfficerPIN: hsm.NewPIN(k.SOPIN), PIN: hsm.NewPIN(k.PIN)})
			return err
		},
		stands: func(t *testing.T, b *bench, said hsm.Standing) bool {
			is, n := b.seen(t)
			switch said {
			case hsm.StandsUnknown, hsm.StandsUntouched:
				return n == 0
			case hsm.StandsInitialized:
				return n == 1 && !is.PINSet && b.token.Takes(t, cryptoki.CKU_SO, b.token.SOPIN)
			case hsm.StandsWhole:
				return n == 1 && b.token.Takes(t, cryptoki.CKU_USER, b.token.PIN)
			case hsm.StandsPerhapsPIN:
				return n == 1
			}
			return false
		},
		done: func(t *testing.T, b *bench) bool {
			_, n := b.seen(t)
			return n == 1 && b.token.Takes(t, cryptoki.CKU_USER, b.token.PIN) && b.token.Takes(t, cryptoki.CKU_SO, b.token.SOPIN)
		},
	},
	{
		name: "set the user's PIN", prepare: withOurs,
		run: func(ctx context.Context, k *hsmtest.Token, next pins, c hsm.Config) error {
			return hsm.SetUserPIN(ctx, c, hsm.TokenRef{Label: k.Label}, hsm.NewPIN(k.SOPIN), hsm.NewPIN(next.PIN))
		},
		stands: func(t *testing.T, b *bench, said hsm.Standing) bool {
			old := b.token.Takes(t, cryptoki.CKU_USER, b.token.PIN)
			return said == hsm.StandsOldPIN && old || said == hsm.StandsPerhapsNewPIN
		},
		done: func(t *testing.T, b *bench) bool {
			return b.token.Takes(t, cryptoki.CKU_USER, b.next.PIN) && b.token.Takes(t, cryptoki.CKU_SO, b.token.SOPIN)
		},
	},
	{
		name: "set the security officer's PIN", prepare: withOurs,
		run: func(ctx context.Context, k *hsmtest.Token, next pins, c hsm.Config) error {
			return hsm.SetOfficerPIN(ctx, c, hsm.TokenRef{Label: k.Label}, hsm.NewPIN(k.SOPIN), hsm.NewPIN(next.SOPIN))
		},
		stands: func(t *testing.T, b *bench, said hsm.Standing) bool {
			old := b.token.Takes(t, cryptoki.CKU_SO, b.token.SOPIN)
			return said == hsm.StandsOldOfficerPIN && old || said == hsm.StandsPerhapsNewOfficerPIN
		},
		// Whoever is told that it may be the new one, and sees the old one refused, gives the new one as the present one.
		again: func(ctx context.Context, k *hsmtest.Token, next pins, c hsm.Config) error {
			err := hsm.SetOfficerPIN(ctx, c, hsm.TokenRef{Label: k.Label}, hsm.NewPIN(k.SOPIN), hsm.NewPIN(next.SOPIN))
			if errors.Is(err, hsm.ErrOfficerPINIncorrect) {
				err = hsm.SetOfficerPIN(ctx, c, hsm.TokenRef{Label: k.Label}, hsm.NewPIN(next.SOPIN), hsm.NewPIN(next.SOPIN))
			}
			return err
		},
		done: func(t *testing.T, b *bench) bool {
			return b.token.Takes(t, cryptoki.CKU_USER, b.token.PIN) && b.token.Takes(t, cryptoki.CKU_SO, b.next.SOPIN)
		},
	},
	{
		name: "erase", prepare: empty, run: erase(false), stands: erased, done: isErased, erases: true,
	},
	{
		name: "erase with keys", prepare: withOurs, run: erase(true), stands: erased, done: isErased, erases: true,
	},
}

func erase(force bool) func(context.Context, *hsmtest.Token, pins, hsm.Config) error {
	return func(ctx context.Context, k *hsmtest.Token, _ pins, c hsm.Config) error {
		return hsm.Erase(ctx, c, hsm.TokenRef{Label: k.Label}, hsm.NewPIN(k.SOPIN), force)
	}
}

func erased(t *testing.T, b *bench, said hsm.Standing) bool {
	is, _ := b.seen(t)
	return said == hsm.StandsUntouched && is.PINSet && maps.Equal(b.Objects(t), b.had) || said == hsm.StandsPerhapsErased
}

func isErased(t *testing.T, b *bench) bool {
	is, n := b.seen(t)
	return n == 1 && is.Initialised && !is.PINSet && len(b.Objects(t)) == len(b.theirs) && b.token.Takes(t, cryptoki.CKU_SO, b.token.SOPIN)
}

// newBench makes a folder with another token.
func newBench(t *testing.T, blank *hsmtest.Blank) *bench {
	t.Helper()
	b := &bench{Blank: blank}
	withPair(t, blank.Add(t, "theirs"))
	b.theirs, b.other = blank.Objects(t), blank.Folders(t)
	if len(b.theirs) != 2 || len(b.other) != 1 {
		t.Fatalf("the other token has %d objects", len(b.theirs))
	}
	return b
}

func empty(t *testing.T, b *bench) { b.Add(t, b.token.Label) }

func withOurs(t *testing.T, b *bench) {
	empty(t, b)
	withPair(t, b.token)
}

// start gives each case a token and PINs of its own: a process sends none again that was refused, or not answered.
func (b *bench) start(t *testing.T, d duty) {
	t.Helper()
	b.cases++
	for _, folder := range b.Folders(t) {
		if !slices.Contains(b.other, folder) {
			if err := os.RemoveAll(filepath.Join(b.Folder, folder)); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.PIN, b.SOPIN, b.next = hsmtest.RandomPIN(), hsmtest.RandomPIN(), pins{hsmtest.RandomPIN(), hsmtest.RandomPIN()}
	b.token = b.Token(fmt.Sprint("ours ", b.cases))
	d.prepare(t, b)
	b.had = b.Objects(t)
}

// judge holds an error against what another program sees of the token.
func (b *bench) judge(t *testing.T, d duty, err error) {
	t.Helper()
	if err == nil {
		if !d.done(t, b) {
			t.Error("nothing failed, and it is not done")
		}
		return
	}
	for _, pin := range []string{b.PIN, b.SOPIN, b.next.PIN, b.next.SOPIN} {
		if strings.Contains(err.Error(), pin) {
			t.Errorf("a PIN is in the error: %v", err)
		}
	}
	failed, ok := errors.AsType[*hsm.StandingError](err)
	if !ok || !d.stands(t, b, failed.Stands) {
		t.Errorf("it is not so: %v\nThere are %v, with %d objects", err, b.Seen(t, b.token.Label), len(b.Objects(t))-len(b.theirs))
	}
}

// converge does what the next run does, and looks what has become of every token.
func (b *bench) converge(t *testing.T, d duty, fresh bool) {
	t.Helper()
	var err error
	switch {
	case fresh:
		var out []byte
		if out, err = command(order{Token: *b.token, Duty: d.name, Next: b.next}).CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
	default:
		err = d.next(context.Background(), b.token, b.next, b.token.Config())
	}
	if err != nil || !d.done(t, b) {
		t.Errorf("the next run (fresh: %t) does not converge: %v. There are %v", fresh, err, b.Seen(t, b.token.Label))
	}
	now, keep := b.Objects(t), b.had
	if d.erases {
		keep = b.theirs
	}
	if !maps.Equal(now, keep) {
		t.Errorf("there were %d objects, and are %d", len(keep), len(now))
	}
	if n := len(b.Folders(t)); n != len(b.other)+1 {
		t.Errorf("there are %d tokens", n)
	}
}

func (d duty) next(ctx context.Context, k *hsmtest.Token, next pins, c hsm.Config) error {
	if d.again != nil {
		return d.again(ctx, k, next, c)
	}
	return d.run(ctx, k, next, c)
}

// everyDuty runs a test of each operation of the security officer, in a process of its own.
func everyDuty(t *testing.T, test func(*testing.T, *bench, duty)) {
	t.Helper()
	for _, d := range duties {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			hsmtest.Alone(t, func(t *testing.T, blank *hsmtest.Blank) { test(t, newBench(t, blank), d) })
		})
	}
}

// refusals are codes that say that a call did nothing.
var refusals = []cryptoki.RV{cryptoki.CKR_FUNCTION_NOT_SUPPORTED, cryptoki.CKR_SESSION_EXISTS, cryptoki.CKR_TOKEN_WRITE_PROTECTED}

// TestEveryCallOfTheSecurityOfficerFails has each call fail, before and after it took effect, or never return. What the
// error says of the token is true, the next run ends well, in this process or another one, no object of any token is
// gone, and no token is left beside. Without HSMTEST_FAULTS, it is one fault of a hundred, and those of the calls that
// write once they have.
func TestEveryCallOfTheSecurityOfficerFails(t *testing.T) {
	everyDuty(t, func(t *testing.T, b *bench, d duty) {
		faults := &hsmtest.Faults{}
		attempt := func(ctx context.Context) error { return d.run(ctx, b.token, b.next, b.token.Config(faults.Hook)) }
		b.start(t, d)
		b.judge(t, d, attempt(context.Background()))
		counts := map[string]int{}
		for _, function := range faults.Calls() {
			counts[function]++
		}
		every := map[hsmtest.Extent]int{hsmtest.Sample: 100, hsmtest.Matrix: 40, hsmtest.All: 1}[hsmtest.ThisExtent(t)]
		picker, injected, failed := hsmtest.Pick(t, every), 0, 0
		one := func(fault hsmtest.Fault, hangs bool) {
			name := fmt.Sprintf("%s number %d answers %s (after the call: %t)", fault.Function, fault.Nth, fault.Code, fault.After)
			if hangs {
				name = fmt.Sprintf("%s number %d hangs (after the call: %t)", fault.Function, fault.Nth, fault.After)
			}
			always := slices.Contains([]string{"C_InitToken", "C_InitPIN", "C_SetPIN"}, fault.Function) && fault.After &&
				(hangs || fault.Code == cryptoki.CKR_DEVICE_ERROR)
			if !picker.Takes() && !always {
				return
			}
			b.start(t, d)
			faults.Clear()
			faults.Inject(fault)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if hangs {
				fault.Do = never(cancel, fault.After)
			}
			err := attempt(ctx)
			if err != nil {
				failed++
			}
			injected++
			b.judge(t, d, err)
			// A PIN to which the token did not answer, no process sends again.
			b.converge(t, d, injected%2 == 0 || hangs && (fault.Function == "C_Login" || fault.Function == "C_InitToken"))
			if t.Failed() {
				t.Fatalf("in the case: %s\nwhich gave: %v\nafter the calls %v", name, err, faults.Calls())
			}
		}
		for _, function := range slices.Sorted(maps.Keys(counts)) {
			for _, nth := range positions(counts[function], hsmtest.ThisExtent(t) == hsmtest.All) {
				for _, after := range afterOf(function) {
					for _, code := range slices.Concat(codes, refusals) {
						refused := cryptoki.Refused(&cryptoki.Error{Code: code}) || slices.Contains(refusals, code)
						if !after || !refused { // that it did nothing would not be so
							one(hsmtest.Fault{Function: function, Nth: nth, Code: code, After: after}, false)
						}
					}
					one(hsmtest.Fault{Function: function, Nth: nth, After: after}, true)
				}
			}
		}
		t.Logf("%d faults injected: %d recovered by themselves, %d failed clearly", injected, injected-failed, failed)
	})
}

// afterOf says whether a function is to fail before its call, and after it. A module whose use does not end, or begins
// unnoticed, shows this process no other token any more.
func afterOf(function string) []bool {
	switch function {
	case "C_Initialize":
		return []bool{false}
	case "C_Finalize":
		return []bool{true}
	}
	return []bool{false, true}
}

// never has a call not return before its context ends, which it sees to.
func never(cancel func(), after bool) func(context.Context, *cryptoki.Call, func() error) error {
	return func(ctx context.Context, c *cryptoki.Call, next func() error) error {
		if after {
			_ = next()
		}
		cancel()
		<-ctx.Done()
		return c.NotCalled(ctx)
	}
}

// TestTheSecurityOfficerIsKilledAtEveryCall kills a process before and after each call, as
// TestAProcessIsKilledAtEveryCall does. Without HSMTEST_FAULTS, it is one call of 25.
func TestTheSecurityOfficerIsKilledAtEveryCall(t *testing.T) {
	everyDuty(t, func(t *testing.T, b *bench, d duty) {
		run := func(crash hsmtest.Crash) ([]byte, error) {
			b.start(t, d)
			return command(order{Token: *b.token, Duty: d.name, Next: b.next, Crash: crash}).CombinedOutput()
		}
		var calls int
		if out, err := run(hsmtest.Crash{}); err != nil || json.Unmarshal(out, &calls) != nil || calls == 0 {
			t.Fatalf("%v: %s", err, out)
		}
		every := 1
		if hsmtest.ThisExtent(t) == hsmtest.Sample {
			every = 25
		}
		picker, kills := hsmtest.Pick(t, every), 0
		for nth := 1; nth <= calls; nth++ {
			for _, after := range []bool{false, true} {
				if !picker.Takes() {
					continue
				}
				crash := hsmtest.Crash{Nth: nth, After: after}
				out, err := run(crash)
				var made int
				switch {
				case wasKilled(err):
					kills++
				case err != nil || json.Unmarshal(out, &made) != nil || !endedBefore(made, crash):
					t.Fatalf("%s: %v: %s", crash, err, out)
				}
				b.converge(t, d, false)
				if t.Failed() {
					t.Fatal(crash)
				}
			}
		}
		t.Logf("%d kills at %d calls", kills, calls)
		if kills == 0 {
			t.Error("no process was killed")
		}
	})
}

// obeyDuty has a child process do an operation of the security officer, and tell how many calls it made.
func obeyDuty(o order) int {
	kill, calls := o.Crash.Hook()
	d := duties[slices.IndexFunc(duties, func(d duty) bool { return d.name == o.Duty })]
	run := d.next
	if o.Crash.Nth > 0 {
		run = d.run
	}
	if err := run(context.Background(), &o.Token, o.Next, o.Token.Config(kill)); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(calls())
	return 0
}
