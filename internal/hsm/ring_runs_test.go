package hsm_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// turnsRing turns the ring to each generation that it reads, at the moment that it reads it, and says what came of it.
func turnsRing(token *hsm.Token, r hsm.Ring, m *meeting) int {
	_, _ = token.Key(context.Background(), object.Ref{ID: []byte("warm")})
	fmt.Println("ready")
	for m.lines.Scan() {
		m.met = false
		var err error
		if r.Generation, err = strconv.Atoi(m.lines.Text()); err == nil {
			_, _, err = token.Turn(context.Background(), r)
		}
		if err != nil {
			fmt.Println(strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		fmt.Println("turned")
	}
	return 0
}

// TestTwoProcessesTurnOneRing has two processes turn a ring to the next generation at the same time, again and again,
// while a third one watches it: no pair is made twice, none is lost, and one signs all the time. Where a process sees
// half of what the other one is writing, it may say so and stop, and the next run goes on.
func TestTwoProcessesTurnOneRing(t *testing.T) {
	onSoftHSM(t)
	const turns = 10
	c := ringCase{keys: "P-256", generation: 2, previous: 1, destroy: true, from: "1 standby, 2 current, 3 standby"}
	onRing(t, c, func(w *ringWorld) {
		w.prepare()
		w.ring.Pause = 10 * time.Millisecond
		o := order{Token: *w.token, Kind: c.keys, Operation: "turns", Ring: &w.ring}
		racers := []racer{startRacer(t, o, apart(t)), startRacer(t, o, apart(t))}
		outcomes := map[string]int{}
		seen := watching(t, w.token, w.ring, func() {
			for range turns {
				w.ring.Generation++
				one := false
				for try := 0; !one && try < 3; try++ {
					for _, r := range racers {
						r.tell(strconv.Itoa(w.ring.Generation))
					}
					a, b := racers[0].next(), racers[1].next()
					outcomes[a+", "+b]++
					one = a == "turned" || b == "turned"
				}
				w.turned(one)
			}
		})
		t.Logf("outcomes: %v; another process saw %+v", outcomes, seen)
		if seen.WithoutCurrent+seen.WithoutStandby > 0 {
			t.Errorf("another process saw %+v", seen)
		}
	})
}

// TestTwoMachinesTurnOneRing has two processes find the ID of the next generation free before either makes the pair,
// as those of two machines that share no lock. One gives way, and goes on with the other one's pair. A new ring is one
// process's alone: a second one would be managed twice.
func TestTwoMachinesTurnOneRing(t *testing.T) {
	onSoftHSM(t)
	onRing(t, ringCase{keys: "P-256", generation: 1, previous: 1, destroy: true}, func(w *ringWorld) {
		w.prepare()
		w.token.NoLock(t)
		o := order{Token: *w.token, Kind: w.kind.name, Operation: "turns", Ring: &w.ring, Meet: true}
		racers := []racer{startRacer(t, o, apart(t)), startRacer(t, o, apart(t))}
		said := meet(w.world, racers, "1")
		made := placesSeen(w.see())
		if strings.Count(said, "turned") != 1 || !maps.Equal(made, placesOf(t, w.ring, "1 current, 2 standby")) {
			t.Fatalf("of two that make the ring: %s; and it is %v", said, made)
		}
		for range 3 {
			w.had = w.see()
			w.ring.Generation++
			said := meet(w.world, racers, strconv.Itoa(w.ring.Generation))
			if said != "turned, turned" {
				t.Errorf("of two that turn the ring to %d: %s", w.ring.Generation, said)
			}
			w.turned(strings.Contains(said, "turned"))
		}
	})
}

// TestWhatTurningARingCosts holds a rotation beside other pairs against one beside none: it reads them once.
func TestWhatTurningARingCosts(t *testing.T) {
	onSoftHSM(t)
	const others = 40
	i := slices.IndexFunc(ringCases, func(c ringCase) bool { return c.name == "rotation" })
	onRing(t, ringCases[i], func(w *ringWorld) {
		cost := map[int]int{}
		for _, beside := range []int{0, others} {
			w.prepare()
			token := open(t, w.token)
			for range beside {
				generate(t, token, w.kind.template("", "another"))
			}
			out, err := w.turnApart(hsmtest.Crash{})
			var made map[string]int
			if err = cmp.Or(err, json.Unmarshal(out, &made)); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			cost[beside] = made[""]
		}
		t.Logf("calls beside so many pairs: %v", cost)
		if cost[0] > 130 || cost[others]-cost[0] > 2*others+20 {
			t.Errorf("calls beside so many pairs: %v", cost)
		}
	})
}

// TestManyRingsReadTheirTokenOnce makes one ring after the other: each costs what the second one does, unless the
// snapshot has become too old meanwhile.
func TestManyRingsReadTheirTokenOnce(t *testing.T) {
	onSoftHSM(t)
	k, calls := hsmtest.New(t), &hsmtest.Faults{}
	token := openCounted(t, k, calls)
	var costs []int
	for i := range 12 {
		r := ringOf(1, 1)
		r.Prefix, r.Template = fmt.Sprintf("ring-%c-", 'a'+i), ringTemplate(t)
		r.RingLabels = hsm.RingLabels{Current: r.Prefix, Standby: r.Prefix + "standby", Retired: r.Prefix + "retired"}
		calls.Clear()
		turned(t, token, r, "1 current, 2 standby")
		costs = append(costs, calls.Count(""))
	}
	if least := slices.Min(costs[6:]); least > costs[1] {
		t.Errorf("calls of one ring after the other: %v", costs)
	}
}

// TestWhatAnotherProcessHasDoneIsNoMoreShownUndone changes and destroys what somebody else has changed and destroyed
// already: who has seen it before sees it as it is.
func TestWhatAnotherProcessHasDoneIsNoMoreShownUndone(t *testing.T) {
	k := hsmtest.New(t)
	ctx := context.Background()
	other := open(t, k)
	key := generate(t, other, small("1", oldLabel))
	ref := object.Ref{Type: key.Type, ID: key.ID, Fingerprint: key.Fingerprint()}
	ours := open(t, k)
	look := func() []object.Key {
		keys, err := wholeKeys(ctx, ours)
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	look()
	for _, token := range []*hsm.Token{other, ours} {
		if _, err := token.Change(ctx, ref, object.Change{Label: new(newLabel)}); err != nil {
			t.Fatal(err)
		}
	}
	if keys := look(); len(keys) != 1 || keys[0].Label != newLabel {
		t.Errorf("it is shown as %v", keys)
	}
	for _, token := range []*hsm.Token{other, ours} {
		if _, err := token.Destroy(ctx, ref); err != nil {
			t.Fatal(err)
		}
	}
	if keys := look(); len(keys) > 0 {
		t.Errorf("it is shown as %v", keys)
	}
}

// turned checks what the token holds after two have turned the ring at the same time, one of them to the end.
func (w *ringWorld) turned(one bool) {
	w.t.Helper()
	w.want = fmt.Sprintf("%d standby, %d current, %d standby", w.ring.Generation-1, w.ring.Generation,
		w.ring.Generation+1)
	now := w.see()
	if !one || !maps.Equal(placesSeen(now), placesOf(w.t, w.ring, w.want)) {
		w.t.Errorf("after the turn to %d, the token holds %v", w.ring.Generation, placesSeen(now))
	}
	for generation, pair := range now {
		if was, there := w.had[generation]; there && was.key != pair.key {
			w.t.Errorf("generation %d is another pair", generation)
		}
	}
	w.had = now
}

// TestRingTakesNoLabelWhereAnotherRunHasMovedTheSigner has somebody else go back in the moment before the old pair
// loses its label: it keeps it, or nothing would sign.
func TestRingTakesNoLabelWhereAnotherRunHasMovedTheSigner(t *testing.T) {
	onSoftHSM(t)
	c := ringCase{keys: "P-256", generation: 3, previous: 1, from: "1 retired, 2 current, 3 current, 4 standby"}
	onRing(t, c, func(w *ringWorld) {
		w.prepare()
		w.faults.Inject(hsmtest.Fault{Function: "C_FindObjectsInit", Nth: 2, Do: func(ctx context.Context,
			_ *cryptoki.Call, next func() error) error {
			found, err := w.eye.FindObjects(ctx, []cryptoki.Attribute{
				cryptoki.Bytes(cryptoki.CKA_ID, w.ring.ID(3)), cryptoki.ULong(cryptoki.CKA_CLASS, cryptoki.CKO_PRIVATE_KEY),
			})
			if err == nil {
				err = w.eye.SetAttributeValue(ctx, found[0], []cryptoki.Attribute{
					cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(w.ring.Standby)),
				})
			}
			return errors.Join(err, next())
		}})
		err := w.attempt()
		failed, ok := errors.AsType[*hsm.GenerationError](err)
		if now := placesSeen(w.see()); !ok || failed.Generation != 3 || now[2].Label != "web" {
			t.Errorf("the token holds %v, after %v", now, err)
		}
		w.faults.Clear()
		w.want = "1 retired, 2 standby, 3 current, 4 standby"
		w.converge(false)
	})
}
