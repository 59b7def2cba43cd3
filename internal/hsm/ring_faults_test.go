package hsm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// ringCase is a way in which a ring turns: from what is on the token to what is to be there.
type ringCase struct {
	name                 string
	keys                 string // the pairs are of this one of kinds
	generation, previous int
	destroy              bool
	was                  hsm.RingLabels
	from, want           string // places: see placesOf
}

// ringCases has every step of the order, and what stands between them after a loss.
var ringCases = []ringCase{
	{name: "creation", keys: "P-256", generation: 1, previous: 1, want: "1 current, 2 standby"},
	{
		name: "rotation", keys: "P-256", generation: 3, previous: 1, from: "1 standby, 2 current, 3 standby",
		want: "1 retired, 2 standby, 3 current, 4 standby",
	},
	{
		name: "rotation of RSA, which destroys", keys: "RSA", generation: 3, previous: 1, destroy: true,
		from: "1 standby, 2 current, 3 standby", want: "2 standby, 3 current, 4 standby",
	},
	{
		name: "rotation in an emergency, which destroys", keys: "P-256", generation: 3, previous: 0, destroy: true,
		from: "1 standby, 2 current, 3 standby", want: "3 current, 4 standby",
	},
	{
		name: "going back", keys: "P-256", generation: 2, previous: 1,
		from: "1 retired, 2 standby, 3 current, 4 standby", want: "1 retired, 2 current, 3 standby, 4 standby",
	},
	{
		name: "from three past ones to none", keys: "P-256", generation: 4, previous: 0,
		from: "1 standby, 2 standby, 3 standby, 4 current, 5 standby",
		want: "1 retired, 2 retired, 3 retired, 4 current, 5 standby",
	},
	{
		name: "from three past ones to one, which destroys", keys: "P-256", generation: 4, previous: 1, destroy: true,
		from: "1 standby, 2 standby, 3 standby, 4 current, 5 standby", want: "3 standby, 4 current, 5 standby",
	},
	{
		name: "other labels", keys: "P-256", generation: 3, previous: 1,
		was: hsm.RingLabels{Current: "c", Standby: "s", Retired: "r"}, from: "1 r, 2 s, 3 c, 4 s",
		want: "1 retired, 2 standby, 3 current, 4 standby",
	},
	{
		name: "the current one is lost", keys: "P-256", generation: 2, previous: 1, from: "1 standby, 3 standby",
		want: "1 standby, 2 current, 3 standby",
	},
	{
		name: "exchanged labels", keys: "P-256", generation: 1, previous: 1, from: "1 standby, 2 current",
		want: "1 current, 2 standby, 3 standby",
	},
}

func (c ringCase) ring() hsm.Ring {
	r := ringOf(c.generation, c.previous)
	r.Destroy, r.Was, r.Template = c.destroy, c.was, kindNamed(c.keys).tmpl
	return r
}

// ringWorld is a token with one ring, seen through a session that no fault is injected in.
type ringWorld struct {
	*world
	ringCase
	ring   hsm.Ring
	eye    *cryptoki.Session
	faults hsmtest.Faults
	had    map[int]pairSeen // before the turn
	last   map[int]hsm.Place
	young  map[int]bool // those in last that were made since the last step, and may be found unfit
}

// pairSeen is a pair as a program sees it that reads the token.
type pairSeen struct {
	hsm.Place
	key string // what shows that it is the same pair
}

// everyRingCase runs a test of each way in which a ring turns.
func everyRingCase(t *testing.T, test func(*ringWorld)) {
	for _, c := range ringCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			onRing(t, c, test)
		})
	}
}

// onRing runs a test of one.
func onRing(t *testing.T, c ringCase, test func(*ringWorld)) {
	t.Helper()
	kind := kindNamed(c.keys)
	kind.needs(t)
	k := hsmtest.New(t)
	w := &ringWorld{world: &world{t: t, kind: kind, token: k}, ringCase: c, ring: c.ring()}
	err := k.Session(func(_ context.Context, s *cryptoki.Session) error {
		w.eye = s
		test(w)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// prepare brings the token into the state that the ring turns from. It takes the shortest way.
func (w *ringWorld) prepare() {
	w.t.Helper()
	ctx := context.Background()
	spec, err := w.ring.Template.Spec()
	if err != nil {
		w.t.Fatal(err)
	}
	all, err := w.eye.FindObjects(ctx, nil)
	for _, o := range all {
		err = errors.Join(err, w.eye.DestroyObject(ctx, o))
	}
	from := placesOf(w.t, w.ring, w.from)
	for generation, at := range from {
		tmpl := w.ring.Template
		tmpl.ID, tmpl.Label = w.ring.ID(generation), at.Label
		public, private := tmpl.Attributes(spec, quirk.Differences{})
		_, failure := w.eye.GenerateKeyPair(ctx, cryptoki.Mechanism{Type: spec.Mechanism}, public, private)
		err = errors.Join(err, failure)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.had = w.see()
	w.last, w.young = placesSeen(w.had), map[int]bool{}
	if !maps.Equal(w.last, from) {
		w.t.Fatalf("the token is to begin with %s, and has %v", w.from, w.last)
	}
}

// see reads all pairs of the ring, and fails the test where the token holds anything else, or two of a generation.
func (w *ringWorld) see() map[int]pairSeen {
	w.t.Helper()
	ctx := context.Background()
	handles, err := w.eye.FindObjects(ctx, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	private, public := map[int]string{}, map[int]pairSeen{}
	for _, handle := range handles {
		shows, err := w.eye.GetAttributeValue(ctx, handle, []cryptoki.AttributeType{
			cryptoki.CKA_CLASS, cryptoki.CKA_ID, cryptoki.CKA_LABEL,
		})
		if err != nil {
			w.t.Fatal(err)
		}
		generation, ours := w.ring.GenerationOf(shows[cryptoki.CKA_ID])
		label := string(shows[cryptoki.CKA_LABEL])
		_, twicePrivate := private[generation]
		_, twicePublic := public[generation]
		isPrivate := bytes.Equal(shows[cryptoki.CKA_CLASS],
			cryptoki.ULong(cryptoki.CKA_CLASS, cryptoki.CKO_PRIVATE_KEY).Value)
		switch {
		case !ours || isPrivate && twicePrivate || !isPrivate && twicePublic:
			w.t.Errorf("the token holds a stray, or something twice: %q of ID %q", label, shows[cryptoki.CKA_ID])
		case isPrivate:
			private[generation] = label
		default:
			part := []cryptoki.AttributeType{cryptoki.CKA_EC_POINT}
			if w.kind.name == "RSA" {
				part[0] = cryptoki.CKA_MODULUS
			}
			key, err := w.eye.GetAttributeValue(ctx, handle, part)
			if err != nil {
				w.t.Fatal(err)
			}
			public[generation] = pairSeen{hsm.Place{Label: label, Half: true}, string(key[part[0]])}
		}
	}
	for generation, label := range private {
		half, whole := public[generation]
		if !whole {
			w.t.Errorf("of generation %d the token holds a private half alone", generation)
		}
		public[generation] = pairSeen{hsm.Place{Label: label, Off: half.Label != label}, half.key}
	}
	return public
}

func placesSeen(pairs map[int]pairSeen) map[int]hsm.Place {
	places := map[int]hsm.Place{}
	for generation, pair := range pairs {
		places[generation] = pair.Place
	}
	return places
}

// instant looks at the token between two calls that change it, after a call of the function. A pair that is destroyed
// as soon as it is made has failed its proof, and has signed nothing.
func (w *ringWorld) instant(after string) {
	now := placesSeen(w.see())
	if after == "C_SetAttributeValue" {
		clear(w.young)
	}
	for generation := range now {
		if _, there := w.last[generation]; !there {
			w.young[generation] = true
		}
	}
	for generation := range w.young {
		if at, there := now[generation]; !there || at.Half {
			delete(w.last, generation)
		}
	}
	if broken := broken(w.ring, w.last, now); broken != "" {
		w.t.Errorf("after %s %v are %v: %s", after, w.last, now, broken)
	}
	w.last = now
}

// changingCalls are the functions that change what a token holds.
var changingCalls = []string{"C_GenerateKeyPair", "C_SetAttributeValue", "C_DestroyObject"}

// attempt turns the ring as a process of its own would, and looks at the token after each call that changes it.
func (w *ringWorld) attempt() error {
	watch := func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if slices.Contains(changingCalls, c.Function) {
			w.instant(c.Function)
		}
		return err
	}
	token, err := hsm.Open(context.Background(), w.token.Config(watch, w.faults.Hook))
	if err != nil {
		return err
	}
	defer token.Close()
	_, _, err = token.Turn(context.Background(), w.ring)
	return err
}

// converge is the next run, without a fault, and the check of what the token holds in the end. finished says that the
// run before it has said that all is done.
func (w *ringWorld) converge(finished bool) {
	w.t.Helper()
	if got := placesSeen(w.see()); finished && !maps.Equal(got, placesOf(w.t, w.ring, w.want)) {
		w.t.Errorf("the ring is said to be turned, and the token holds %v", got)
	}
	w.afresh(func(token *hsm.Token) {
		state, done, err := token.Turn(context.Background(), w.ring)
		want := placesOf(w.t, w.ring, w.want)
		if err != nil || finished && len(done) > 0 || !maps.Equal(state.PlacesIn(w.ring), want) || len(state.Others) > 0 {
			w.t.Errorf("the next run has done %s, and sees %v and beside it %v: %v", turnsText(done),
				state.PlacesIn(w.ring), state.Others, err)
		}
	})
	now := w.see()
	if !maps.Equal(placesSeen(now), placesOf(w.t, w.ring, w.want)) {
		w.t.Errorf("the token holds %v in the end", placesSeen(now))
	}
	for generation, pair := range now {
		if was, there := w.had[generation]; there && was.key != pair.key {
			w.t.Errorf("generation %d is another pair", generation)
		}
	}
}

// TestRingEveryCallFails has each call of each way in which a ring turns fail, with each code, before and after it took
// effect, once and for good. At no instant the label or the standby label is without a pair, or a pair that may have
// signed unpublished, and the next run ends what is left to do. With HSMTEST_FAULTS=all it is all of that, with
// HSMTEST_FAULTS=matrix one fault of 57, and without either one of 190.
func TestRingEveryCallFails(t *testing.T) {
	extent := hsmtest.ThisExtent(t)
	every := map[hsmtest.Extent]int{hsmtest.Sample: 190, hsmtest.Matrix: 57, hsmtest.All: 1}[extent]
	var injected, failed atomic.Int64
	t.Run("in", func(t *testing.T) {
		everyRingCase(t, func(w *ringWorld) {
			w.prepare()
			if err := w.attempt(); err != nil {
				w.t.Fatalf("without a fault: %v", err)
			}
			counts := map[string]int{}
			for _, function := range w.faults.Calls() {
				counts[function]++
			}
			w.converge(true)
			picker := hsmtest.Pick(w.t, every)
			for _, function := range slices.Sorted(maps.Keys(counts)) {
				for _, position := range positions(counts[function], extent == hsmtest.All) {
					for _, code := range codes {
						for kind := range 4 {
							if !picker.Takes() {
								continue
							}
							w.one(hsmtest.Fault{
								Function: function, Nth: position, Code: code, After: kind%2 > 0, Onwards: kind > 1,
							}, &injected, &failed)
						}
					}
				}
			}
		})
	})
	t.Logf("%d faults injected; %d turns failed clearly; no pair lost, none doubled, no instant without one that signs",
		injected.Load(), failed.Load())
}

func (w *ringWorld) one(fault hsmtest.Fault, injected, failed *atomic.Int64) {
	w.prepare()
	w.faults.Clear()
	w.faults.Inject(fault)
	err := w.attempt()
	injected.Add(int64(w.faults.Injected()))
	if err != nil {
		failed.Add(1)
		if text := err.Error(); !strings.Contains(text, fault.Function) || !strings.Contains(text, fault.Code.Error()) {
			w.t.Errorf("the error does not name the function and the code: %v", err)
		}
	}
	w.converge(err == nil)
	if w.t.Failed() {
		w.t.Fatalf("in the case: %s number %d answers %s (after the call: %t, and so from then on: %t)\nwhich gave: "+
			"%v\nafter the calls %v", fault.Function, fault.Nth, fault.Code, fault.After, fault.Onwards, err,
			w.faults.Calls())
	}
}

// TestRingIsKilledAtEveryCall kills a process before and after the calls of each way in which a ring turns: with
// HSMTEST_FAULTS=all at each call, with HSMTEST_FAULTS=matrix at the vital ones, and without either at one of ten of
// these.
func TestRingIsKilledAtEveryCall(t *testing.T) {
	extent := hsmtest.ThisExtent(t)
	functions, every := vital, 1
	switch extent {
	case hsmtest.Sample:
		every = 10
	case hsmtest.All:
		functions = []string{""} // any
	}
	var kills atomic.Int64
	t.Run("in", func(t *testing.T) {
		everyRingCase(t, func(w *ringWorld) {
			w.prepare()
			out, err := w.turnApart(hsmtest.Crash{})
			var made map[string]int
			if err == nil {
				err = json.Unmarshal(out, &made)
			}
			if err != nil {
				w.t.Fatalf("%v: %s", err, out)
			}
			w.converge(true)
			picker := hsmtest.Pick(w.t, every)
			for _, function := range functions {
				for nth := 1; nth <= made[function]; nth++ {
					for _, after := range []bool{false, true} {
						if picker.Takes() {
							w.killed(hsmtest.Crash{Function: function, Nth: nth, After: after})
							kills.Add(1)
						}
					}
				}
			}
		})
	})
	t.Logf("%d processes killed", kills.Load())
	if kills.Load() == 0 {
		t.Error("no process was killed")
	}
}

// turnApart has another process turn the ring.
func (w *ringWorld) turnApart(crash hsmtest.Crash) ([]byte, error) {
	return command(order{
		Token: *w.token, Kind: w.kind.name, Operation: "turn", Ring: &w.ring, Crash: crash,
	}).CombinedOutput()
}

func (w *ringWorld) killed(crash hsmtest.Crash) {
	w.prepare()
	out, err := w.turnApart(crash)
	var made map[string]int
	if err == nil && json.Unmarshal(out, &made) == nil && endedBefore(made[crash.Function], crash) {
		w.converge(true)
		return
	}
	if !wasKilled(err) {
		w.t.Fatalf("%s: %v: %s", crash, err, out)
	}
	w.instant(crash.Function)
	w.converge(false)
	if w.t.Failed() {
		w.t.Fatal(fmt.Sprint(crash))
	}
}
