package provider_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// A ring is half made when its apply fails. It is never made beside what is there: an import takes that, and the next
// apply does the rest.
func TestKeyRingThatIsHalfMade(t *testing.T) {
	t.Parallel()
	w := newRingWire(t)
	failing := func(function string, nth int, code cryptoki.RV) func() {
		return func() {
			w.bench.faults.Clear()
			w.bench.faults.Inject(hsmtest.Fault{Function: function, Nth: nth, Code: code, Onwards: true})
		}
	}
	r := newRing(nil)
	failing("C_SetAttributeValue", 1, cryptoki.CKR_FUNCTION_NOT_SUPPORTED)()
	w.fails(r, fails("No Ring On This Token", "C_SetAttributeValue"))
	w.bench.faults.Clear()
	w.heard(w.applies(failing("C_GenerateKeyPair", 2, cryptoki.CKR_DEVICE_MEMORY), r),
		fails("Unable to Create Key Ring: Token Full", "web.standby"),
		warns(`Ring Half Made: "web"`, `make generation 1 under "web"`, "terraform import hsm_key_ring.NAME web"))
	w.bench.faults.Clear()
	there := warns(`Ring Already On The Token: "web"`, "generation 1", "terraform import hsm_key_ring.NAME web",
		"if all of them are retired, a generation above theirs").pointing("label")
	w.goes(r, there, fails("Unable to Create Key Ring: Ring Already On The Token", "generation 1",
		"if all of them are retired, a generation above theirs").pointing("label"))
	r, said := w.imports("web", nil)
	w.heard(said)
	w.goes(r)
	w.holds(r, "1 current web, 2 next web.standby")
	w.fails(r.says("generation", 2).says("min_publish_time", "1h"), fails("Rotation Too Early").pointing("generation"))
}

// A turn ends before the old pair has lost the label, since its time is over. What it has done is told, and is in the
// state. The next turn does not take the old pair straight from that label, where programs find it until then.
func TestKeyRingThatIsHalfTurned(t *testing.T) {
	t.Parallel()
	w := newRingWire(t)
	times := map[string]tftypes.Value{"update": tftypes.NewValue(tftypes.String, "8s")}
	for _, name := range []string{"create", "read", "delete"} {
		times[name] = tftypes.NewValue(tftypes.String, nil)
	}
	r := newRing(words{"timeouts": times, "retired": "destroy"})
	w.goes(r)
	r.says("generation", 2)
	w.heard(w.applies(func() {
		w.bench.faults.Inject(hsmtest.Fault{Function: "C_SetAttributeValue", Nth: 3, Do: func(ctx context.Context,
			c *cryptoki.Call, next func() error) error {
			<-ctx.Done()
			return failing(false)(ctx, c, next)
		}})
	}, r), fails("Unable to Update Key Ring").maybe(),
		fails("Unable to Update Key Ring: Token Does Not Answer").maybe(),
		warns(`Ring Half Turned: "web"`, `make generation 3 under "web.standby"`, "relabel generation 2"))
	w.bench.faults.Clear()
	const half = "1 current web, 2 next web, 3 next web.standby"
	if have := pairs(r.state); have != half {
		t.Errorf("the state has %s", have)
	}
	still := fails("Ring Turns By One", "generation 1 still has the label", "generation = 2",
		"previous = 2").pointing("generation")
	w.fails(r.says("generation", 3), still)
	w.holds(r, half)
	w.fails(r.says("min_publish_time", "1h"), still,
		fails("Rotation Too Early", "write generation = 2 until").pointing("generation"))
	r.says("min_publish_time", "0s")
	for previous, want := range map[int]string{
		0: "3 current web, 4 next web.standby",
		2: "1 previous web.standby, 2 previous web.standby, 3 current web, 4 next web.standby",
	} {
		if said, planned := w.plans(r.says("previous", previous)); len(said) > 0 || pairs(planned[0]) != want {
			t.Errorf("with previous = %d it plans %s, and says:\n%s", previous, pairs(planned[0]), said)
		}
	}
	w.goes(r.says("previous", 1).says("generation", 2))
	w.holds(r, turned)
	w.goes(r.says("generation", 3))
	w.holds(r, turnedOn)
}

// A pair is lost: the one that signs by the next one's turn, and the next one only where deletion_policy lets the ring
// make it once more.
func TestKeyRingWithALostPair(t *testing.T) {
	t.Parallel()
	w := newRingWire(t)
	r := newRing(words{"deletion_policy": "prevent"})
	w.goes(r)
	gone := func(generation string) remark {
		return warns(`Pair Of The Ring Not On The Token: "web"`, "Generation "+generation)
	}
	w.bench.destroy(id("1"), "privkey", "pubkey")
	w.fails(r, gone("1"), fails("Pair Of The Ring Is Lost", "Generation 1",
		`generation = 2 and, for this one apply, min_publish_time = "0s"`))
	w.fails(r.says("generation", 2).says("min_publish_time", "1h"), gone("1"), // nobody is to wait for it
		fails("Rotation Too Early", "generation 1, which is to sign until then, is not on the token").pointing("generation"))
	w.goes(r.says("min_publish_time", "0s"), gone("1"))
	w.holds(r, "2 current web, 3 next web.standby")
	w.bench.destroy(id("3"), "privkey", "pubkey")
	w.fails(r, gone("3"), fails("Pair Of The Ring Is Lost", "Generation 3", `deletion_policy = "abandon"`))
	restore := kept([]*wired{r})
	w.begins()
	w.heard(w.refresh(r), gone("3")) // and the state has it no more
	w.fails(r, fails("Pair Of The Ring Is Lost", "Generation 3"))
	restore()
	w.heard(withoutRepeats(w.applies(nil, r.says("deletion_policy", "abandon"))), gone("3"),
		warns(`New Key Under An Old ID: "web"`, "Generation 3"))
	w.holds(r, "2 current web, 3 next web.standby")

	// All are lost.
	w.empty()
	w.begins()
	w.heard(w.refresh(r), warns(`Key Ring Not On The Token: "web"`, "leaves the state"))
	r = newRing(words{"deletion_policy": "prevent"})
	w.goes(r)
	w.empty()
	w.fails(r, fails("Unable to Read Key Ring: Pair Of The Ring Not Usable", id("1")))
}

// TestEachCallOfARingsLifeFails has each call into the module fail as a ring is made, read, turned, relabelled and
// destroyed, before the real call and after it, that call alone or all that follow, too: most faults of one call the
// provider overcomes. The next apply ends well, after the import that is advised where a
// creation has failed: with each pair once. What was published before has not lost since when.
func TestEachCallOfARingsLifeFails(t *testing.T) {
	t.Parallel()
	w := newRingWire(t)
	changes := hsmtest.Pick(t, map[hsmtest.Extent]int{hsmtest.Sample: 9, hsmtest.Matrix: 1,
		hsmtest.All: 1}[hsmtest.ThisExtent(t)])
	others := hsmtest.Pick(t, map[hsmtest.Extent]int{hsmtest.Sample: 257, hsmtest.Matrix: 7,
		hsmtest.All: 1}[hsmtest.ThisExtent(t)])
	runs, failed := 0, 0
	for _, life := range ringLives {
		calls := w.lives(life, "undisturbed", nil, nil)
		for i, function := range calls {
			picker := others
			if slices.Contains([]string{"C_GenerateKeyPair", "C_SetAttributeValue", "C_DestroyObject"}, function) {
				picker = changes
			}
			for way := range 4 {
				after, lasts := way&1 > 0, way&2 > 0
				if slices.Contains(ofTheModule, function) || !picker.Takes() {
					continue
				}
				at := fmt.Sprintf("%s, %s, call %d, after it: %t, lasting: %t", life.name, function, i+1, after, lasts)
				faults := []hsmtest.Fault{{Nth: i + 1, Do: failing(after)}}
				if lasts {
					faults = append(faults, hsmtest.Fault{Nth: i + 1, Onwards: true, Do: failingLater})
				}
				runs++
				w.lives(life, at, faults, &failed)
			}
		}
	}
	if failed == 0 {
		t.Error("nothing failed")
	}
	t.Logf("%d faults, of which %d made a command fail", runs, failed)
}

// failingLater has a call fail that no other test shares.
func failingLater(ctx context.Context, c *cryptoki.Call, next func() error) error {
	if slices.Contains(ofTheModule, c.Function) {
		return next()
	}
	return failing(false)(ctx, c, next)
}

// ofTheModule are the calls that other tests of this process share.
var ofTheModule = []string{"C_Initialize", "C_Finalize", "C_GetFunctionList", "C_CloseSession"}

// ringLife is what an apply does to a ring.
type ringLife struct {
	name   string
	change words // of the ring at generation 2; nil: it is made
	reads  bool  // the fault is in the plan
	ends   string
}

const turnedOn = "2 previous web.standby, 3 current web, 4 next web.standby"

var ringLives = []ringLife{
	{name: "made", ends: "1 current web, 2 next web.standby"},
	{name: "read", change: words{"generation": 3}, reads: true, ends: turnedOn},
	{name: "turned", change: words{"generation": 3}, ends: turnedOn},
	{name: "relabelled", change: words{"label": "app"},
		ends: "1 previous app.standby, 2 current app, 3 next app.standby"},
	{name: "destroyed", change: words{}},
}

// lives applies a change of a ring with faults, and gives the calls that this made.
func (w ringWire) lives(life ringLife, at string, faults []hsmtest.Fault, failed *int) (calls []string) {
	w.t.Helper()
	const longAgo = "2020-02-02T02:02:02Z"
	w.empty()
	r := newRing(words{"retired": "destroy"})
	if life.change != nil {
		w.goes(r)
		w.goes(r.says("generation", 2))
		for generation := range fieldsOf(r, "keys") {
			w.publishedSince(r, generation, longAgo)
		}
		maps.Copy(r.config, life.change)
	}
	if life.ends == "" {
		r.config = nil
	}
	disturb := func() {
		w.bench.faults.Clear()
		for _, fault := range faults {
			w.bench.faults.Inject(fault)
		}
	}
	between := disturb
	if life.reads {
		disturb()
		between = nil
	}
	said := w.applies(between, r)
	calls = w.bench.faults.Calls()
	w.bench.faults.Clear()
	if said.failed() {
		*failed++
	}
	if strings.Contains(said.String(), w.bench.PIN) {
		w.t.Fatalf("%s: the PIN is in what is said:\n%s", at, said)
	}
	w.endsWell(r, at, life.ends, said)
	for generation, key := range fieldsOf(r, "keys") {
		old := life.change != nil && generation != "4"
		if since := key.(map[string]any)["published_since"]; old != (since == longAgo) {
			w.t.Errorf("%s: generation %s is published since %v", at, generation, since)
		}
	}
	if w.t.Failed() {
		w.t.Fatalf("%s:\n%s", at, said)
	}
	return calls
}

func fieldsOf(r *wired, name string) map[string]any {
	if r.config == nil {
		return nil
	}
	all, _ := fields(r.state)[name].(map[string]any)
	return all
}

// leftHalf is the command that destroys the half of a pair that is left.
var leftHalf = regexp.MustCompile(`--delete-object --type (pubkey|privkey) --id ([0-9a-f]+)`)

// endsWell runs the next apply, after an import or the destruction of half a pair where that is advised, and wants each
// pair of the ring once, and nothing else.
func (w ringWire) endsWell(r *wired, at, ends string, said diagnostics) {
	w.t.Helper()
	again := w.applies(nil, r)
	if strings.Contains(again.String(), "terraform import hsm_key_ring.NAME web") && w.stateOf(r).IsNull() {
		imported, ds := w.imports("web", nil)
		if ds.failed() {
			w.t.Fatalf("%s:\n%s\nThe import fails, too:\n%s", at, said, ds)
		}
		r.state, r.private, r.identity = imported.state, imported.private, imported.identity
		again = w.applies(nil, r)
	}
	if left := leftHalf.FindStringSubmatch(again.String()); left != nil && ends == "" {
		w.bench.destroy(left[2], left[1])
		again = w.applies(nil, r)
	}
	if again.failed() {
		w.t.Fatalf("%s:\n%s\nThe next apply fails, too:\n%s", at, said, again)
	}
	want := 0
	if ends != "" {
		w.settled(r)
		w.holds(r, ends)
		want = 2 * len(strings.Split(ends, ", "))
	}
	if halves := w.bench.halves(); len(halves) != want {
		w.t.Errorf("%s: in the end the token holds %v", at, halves)
	}
}

// TestTheProviderIsKilledAsItTurnsARing kills the provider's process as it makes a ring and as it turns one. The next
// apply goes on, after the import that it advises where the ring was being made: nothing is there twice, and nothing is
// lost. Each run has one crash of each kind; with HSMTEST_FAULTS=matrix it has them all.
func TestTheProviderIsKilledAsItTurnsARing(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.OwnToken)
	w := newRingWire(t)
	s := crashShell(t, w.bench)
	config := func(generation int) {
		s.blocks(keyPairBlock("hsm_key_ring", "k", nil, []string{`label = "web"`, `curve = "P-256"`,
			`min_publish_time = "0s"`, `retired = "destroy"`, fmt.Sprintf("generation = %d", generation)}))
	}
	apply := []string{"apply", "-auto-approve"}
	killed := 0
	kill := func(when hsmtest.Crash, halves int) {
		order, _ := json.Marshal(when) // of strings and numbers
		if out, ok := s.with("HSMTEST_CRASH=" + string(order)).try(apply...); ok {
			t.Fatalf("%s: nothing was killed:\n%s", when, out)
		}
		killed++
		out, ok := s.try(apply...)
		if !ok { // it was being made
			s.follow(out)
			out, ok = s.try(apply...)
		}
		if !ok {
			t.Fatalf("%s: the next apply does not end well:\n%s", when, out)
		}
		if out, ok := s.try("plan", "-detailed-exitcode"); !ok {
			t.Fatalf("%s: the plan after it is not empty:\n%s", when, out)
		}
		if have := w.bench.halves(); len(have) != halves {
			t.Fatalf("%s: the token holds %v", when, have)
		}
	}
	crashes := func(of map[string]int) (all []hsmtest.Crash) {
		for function, most := range hsmtest.InOrder(of) {
			for nth := 1; nth <= most; nth++ {
				all = append(all, hsmtest.Crash{Function: function, Nth: nth}, hsmtest.Crash{Function: function,
					Nth:   nth,
					After: true})
			}
		}
		if hsmtest.ThisExtent(t) != hsmtest.Sample {
			return all
		}
		picker := hsmtest.Pick(t, len(all))
		return slices.DeleteFunc(all, func(hsmtest.Crash) bool { return !picker.Takes() })
	}
	config(1)
	for _, when := range crashes(map[string]int{"C_GenerateKeyPair": 2, "C_Sign": 2}) {
		w.empty()
		for _, name := range []string{"terraform.tfstate", "terraform.tfstate.backup"} {
			_ = os.Remove(filepath.Join(s.dir, name))
		}
		kill(when, 4)
	}
	config(2)
	if out, ok := s.try(apply...); !ok {
		t.Fatal(out)
	}
	key := func(generation int) string { return w.bench.fingerprintOf(id(fmt.Sprint(generation))) }
	generation, next := 2, key(3)
	for _, when := range crashes(map[string]int{"C_GenerateKeyPair": 1, "C_SetAttributeValue": 4,
		"C_DestroyObject": 2}) {
		generation++
		config(generation)
		kill(when, 6)
		if now := key(generation); now != next {
			t.Fatalf("%s: generation %d is another pair", when, generation)
		}
		next = key(generation + 1)
	}
	t.Logf("%d crashes", killed)
}

// A ring on a token that the same apply makes, and one whose token gets the provider's own PIN: that is not read
// before, and has its identity all the same, which Terraform before 1.12 does not keep.
func TestKeyRingOnATokenThatIsToCome(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, blank *hsmtest.Blank) {
		plain := newWire(t, blank)
		plain.withSOPINs(blank.SOPIN, "")
		token := hydraToken()
		r := newRing(nil)
		r.needs = token
		w := ringWire{wire: plain}
		said, _ := w.applied(nil, token, r)
		if titles := said.titles(); !slices.Contains(titles, notChecked) || said.failed() {
			t.Fatal(said)
		}
		if have := pairs(w.stateOf(r)); have != "1 current web, 2 next web.standby" {
			t.Errorf("the ring is %s", have)
		}
		if again, changed := w.applied(nil, token, r); changed || len(again) > 0 {
			t.Errorf("the next apply does something, or says:\n%s", again)
		}
		token.config["pin_wo_version"] = 2
		w.block["pin"] = hsmtest.RandomPIN()
		w.start()
		if _, said := w.plan(token); len(said) > 0 {
			t.Error(said)
		}
		r.identity = nil
		w.heard(w.refresh(r), warns("Keys Not Read"))
		planned, said := w.plan(r)
		w.heard(said)
		w.consistent("a plan", w.static(r, planned.PlannedState), r.state)
		w.heard(w.does(token, w.static(token, first(w.plan(token)).PlannedState)))
		if said := w.planned(r); len(said) > 0 {
			t.Errorf("with the new PIN it says:\n%s", said)
		}
		w.stop()
	})
}

func first[A, B any](a A, _ B) A { return a }

var lateMake = hsmtest.Differ(quirk.Differences{Late: true})

// A pair that the token may only not show yet is not made a second time, whatever the deletion_policy.
func TestKeyRingWithAPairThatIsNotShownYet(t *testing.T) {
	t.Parallel()
	w := newRingWire(t)
	r := newRing(nil)
	w.goes(r)
	w.bench.destroy(id("2"), "privkey", "pubkey") // as if another machine had made it just now
	w.bench.hooks = append(w.bench.hooks, lateMake)
	w.begins()
	w.heard(w.refresh(r), warns("Not Shown By The Token", "generation 2 "))
	w.heard(withoutRepeats(w.applies(nil, r)),
		fails("Unable to Plan Key Ring: Not Shown By The Token", "does not prove that nothing is there"))
	if left := w.bench.halves(); len(left) != 2 {
		t.Errorf("the token holds %v", left)
	}
}
