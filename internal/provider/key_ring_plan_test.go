package provider_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// tomorrow is a time in the future, such as a clock that was wrong has left.
func tomorrow() string { return time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339) }

// What a plan says of the time of a rotation follows what the next pair is published since and min_publish_time.
func TestKeyRingRotatesInItsTime(t *testing.T) {
	t.Parallel()
	w := newRingWire(t)
	r := newRing(words{"min_publish_time": "1d12h"})
	w.goes(r)
	since, err := time.Parse(time.RFC3339, of(r.state, "2", "published_since"))
	if err != nil {
		t.Fatal(err)
	}
	at := func(d time.Duration) string { return since.Add(d).Format(time.RFC3339) }
	possible := func(v tftypes.Value, want string) {
		t.Helper()
		if have := fields(v)["rotation_possible_at"]; have != want {
			t.Errorf("a rotation is possible at %v, and not at %s", have, want)
		}
	}
	possible(r.state, at(36*time.Hour))
	for length, moves := range map[string]time.Duration{"2h": 2 * time.Hour, "90d": 90 * 24 * time.Hour} {
		_, planned := w.plans(r.says("min_publish_time", length))
		possible(planned[0], at(moves))
		w.goes(r)
		possible(r.state, at(moves))
	}
	r.says("generation", 2).says("min_publish_time", "2h")
	w.fails(r, fails("Rotation Too Early", "write generation = 1 until "+at(2*time.Hour),
		`min_publish_time = "0s"`).pointing("generation"))

	// In another time zone, and by a clock that went wrong. Force does not ask the clock.
	w.publishedSince(r, "2", time.Now().Add(-3*time.Hour).In(time.FixedZone("", 9*60*60)).Format(time.RFC3339))
	if said, _ := w.plans(r); len(said) > 0 {
		t.Errorf("three hours after its publication it says:\n%s", said)
	}
	w.publishedSince(r, "2", tomorrow())
	w.fails(r, fails("Rotation Too Early", "published since "+tomorrow()[:10]).pointing("generation"))
	_, planned := w.plans(r.says("min_publish_time", "0s"))
	if have := pairs(planned[0]); have != turned || of(planned[0], "3", "uri") != "unknown" ||
		of(planned[0], "3", "kid") != "web-3" || of(planned[0], "2", "uri") != of(r.state, "2", "uri") {
		t.Errorf("it plans %s: %v", have, fields(planned[0]))
	}
	w.goes(r)
	w.holds(r, turned)
}

// A pair that was out of sight, and another one in its place, are published from when they come back.
func TestKeyRingCountsFromThePublication(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.OtherEyes)
	w := newRingWire(t)
	r := newRing(words{"min_publish_time": "1h"})
	w.goes(r)
	long := func() {
		w.publishedSince(r, "2", time.Now().Add(-3*time.Hour).UTC().Format(time.RFC3339))
	}
	long()
	w.bench.relabel("web-2", "aside")
	aside := warns("Pair Of The Ring Has Another Label", "Generation 2")
	said, planned := w.plans(r)
	w.heard(said, aside)
	if since := of(planned[0], "2", "published_since"); since != "unknown" {
		t.Errorf("it plans that generation 2 is published since %q", since)
	}
	w.goes(r, aside)
	early := fails("Rotation Too Early").pointing("generation")
	w.fails(r.says("generation", 2), early)

	long()
	w.bench.destroy(id("2"), "privkey", "pubkey")
	w.bench.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", "web.standby", "--id",
		id("2"))
	w.fails(r, warns("Another Key Behind The Same ID", "counts its time of publication from now"), early)
}

// A turn was interrupted, and the state knows nothing of it: the next plan goes on from where the token stands.
func TestKeyRingWhoseTurnWasInterrupted(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.OtherEyes)
	w := newRingWire(t)
	other := func(label string) remark {
		return warns("Pair Of The Ring Has Another Label", fmt.Sprintf("has the label %q", label))
	}
	r := newRing(words{"min_publish_time": "1h"})
	w.goes(r)
	w.bench.relabel("web-2", "web") // it signs, and the clock is no matter any more
	w.fails(r.says("generation", 2), other("web"))
	w.fails(r.says("generation", 3), other("web"), fails("Next Pair Is Not Published").pointing("generation"))

	// With other labels, it has not lost since when it is published.
	w.bench.relabel("web-2", "web.standby")
	w.publishedSince(r, "2", time.Now().Add(-3*time.Hour).UTC().Format(time.RFC3339))
	w.begins()
	w.heard(w.refresh(r)) // which notes it
	w.bench.relabel("web-2", "app.standby")
	w.goes(r.says("generation", 2).says("label", "app"), other("app.standby"))
	w.holds(r, "1 previous app.standby, 2 current app, 3 next app.standby")

	// Only what no attribute shows is left: half of a pair whose destruction was interrupted.
	w.goes(r.says("previous", 0).says("retired", "destroy"))
	half := func() {
		w.bench.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", "app.standby", "--id",
			id("1"))
		w.bench.destroy(id("1"), "privkey")
	}
	half()
	w.goes(r)
	if labels := w.labels(); len(labels) != 2 {
		t.Errorf("the token has %v", labels)
	}
	half()
	w.begins()
	r.config = nil
	w.heard(w.does(r, r.state))
	if labels := w.labels(); len(labels) > 0 {
		t.Errorf("the token has %v", labels)
	}
}

// Arguments that no ring can have are refused before anything is done.
func TestKeyRingRefusesInItsPlan(t *testing.T) {
	t.Parallel()
	w := newRingWire(t)
	r, other := newRing(nil), newRing(words{"label": "app"})
	w.heard(w.applies(nil, r, other))
	differ := func(parts ...string) remark { return fails("Labels Of A Ring Must Differ", parts...) }
	const shared = "a label of another key ring"
	for name, c := range map[string]struct {
		change words // of the ring; what is nil is left out
		says   []remark
	}{
		"its own labels": {words{"standby_label": "web"}, []remark{differ("are both").pointing("standby_label")}},
		"an empty label": {words{"retired_label": ""}, []remark{fails("Empty Label").pointing("retired_label")}},
		"labels that exchange": {words{"label": "web.standby", "standby_label": "web"},
			[]remark{differ("which was standby_label until now").pointing("label"),
				differ("which was label").pointing("standby_label")}},
		"the retired label for a published one": {words{"standby_label": "web.retired", "retired_label": "away"},
			[]remark{differ("which was retired_label until now").pointing("standby_label")}},
		"another ring's label": {words{"label": "app"}, []remark{differ(shared).pointing("label")}},
		"another ring's standby label": {words{"standby_label": "app.standby"},
			[]remark{differ(shared).pointing("standby_label")}},
		"another ring's label for what is retired": {words{"retired_label": "app"},
			[]remark{differ(shared).pointing("retired_label")}},
		"what another ring retires, for a published one": {words{"standby_label": "app.retired"},
			[]remark{differ(shared).pointing("standby_label")}},
		"another prefix": {words{"key_id_prefix": "app-"}, []remark{
			fails("Ring Keeps Its IDs", `key_id_prefix = "web-"`).pointing("key_id_prefix"),
		}},
		"another ring's retired label": {words{"retired_label": "app.retired"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			was := r.config
			defer func() { r.config = was }()
			r.config = maps.Clone(was)
			maps.Copy(r.config, c.change)
			w.t = t
			said, _ := w.plans(other, r)
			w.heard(said, c.says...)
		})
	}
	w.t = t
	// A second ring in the configuration, which is new.
	prefix := fails("Invalid Prefix", "Two key rings", "moved block").pointing("key_id_prefix")
	for _, c := range []struct {
		of   words
		says []remark
	}{
		{words{"label": "new", "key_id_prefix": "web-", "generation": 7}, []remark{prefix}},
		{words{"label": "web", "key_id_prefix": "new-"}, []remark{differ(shared).pointing("label")}},
		{words{"label": "new", "standby_label": "web", "key_id_prefix": "new-"},
			[]remark{differ(shared).pointing("standby_label")}},
	} {
		said, _ := w.plans(r, newRing(c.of))
		w.heard(said, c.says...)
	}
	// The label that a ring has until the apply is not free for another one.
	said, _ := w.plans(r.says("label", "fresh"), newRing(words{"key_id_prefix": "new-"}))
	w.heard(said, differ(shared).pointing("label"))
	r.says("label", "web")
	one, same := newRing(words{"label": "n1", "key_id_prefix": "n-"}), newRing(words{"label": "n2",
		"key_id_prefix": "n-"})
	said, _ = w.plans(one, same)
	w.heard(said, prefix)

	// The ID of the pair that is to come is another resource's.
	single := ecKey(nil)
	single.config["key_id"] = id("3")
	w.heard(w.applies(nil, single))
	said, _ = w.plans(single, newRing(words{"label": "new", "key_id_prefix": "web-", "generation": 3}))
	w.heard(said, fails("Key ID Of Another Resource", id("3")).pointing("key_id"))
	r.says("generation", 2)
	for _, order := range [][]*wired{{single, r}, {r, single}} {
		said, _ := w.plans(order...)
		w.heard(said, fails("One Key In Two Resources", id("3")).pointing("key_id"))
		w.begins() // without a look at the token
		_, first := w.plan(order[0])
		_, second := w.plan(order[1])
		w.heard(append(first, second...), fails("Key ID Of Another Resource", id("3")).pointing("key_id"))
	}
}

// What the configuration does not know before the apply makes the plan unknown, and nothing else. The apply refuses
// then what the plan would have.
func TestKeyRingOfWhatIsUnknown(t *testing.T) {
	t.Parallel()
	w := newRingWire(t)
	for _, argument := range []string{"label", "generation", "curve", "previous", "retired", "min_publish_time",
		"key_id_prefix"} {
		said, planned := w.plans(newRing(words{argument: tftypes.UnknownValue}))
		if len(said) > 0 || fields(planned[0])["keys"] != "unknown" {
			t.Errorf("of an unknown %s it plans %v and says:\n%s", argument, planned, said)
		}
	}
	r := newRing(nil)
	w.goes(r)
	r.says("generation", tftypes.UnknownValue)
	said, planned := w.plans(r)
	if len(said) > 0 || fields(planned[0])["current"] != "unknown" || fields(planned[0])["token_serial"] == "unknown" {
		t.Errorf("of an unknown generation it plans %v and says:\n%s", planned, said)
	}
	said = w.applies(func() { r.says("generation", 3) }, r)
	w.heard(said, fails("Ring Turns By One").pointing("generation"))
	w.heard(w.applies(func() { r.says("generation", 2) }, r.says("generation", tftypes.UnknownValue)))
	w.holds(r, turned)

	// A curve that comes to be null makes RSA pairs from then on.
	w.heard(w.applies(func() { r.says("curve", nil) }, r.says("curve", tftypes.UnknownValue)))
	if have := fields(r.state)["modulus_bits"]; have != "4096" {
		t.Errorf("modulus_bits is %v", have)
	}
}

// Others change the token between the plan and the apply. No pair signs that was not published, and none that the plan
// has seen is made anew.
func TestKeyRingThatChangesAfterItsPlan(t *testing.T) {
	t.Parallel()
	w := newRingWire(t)
	r := newRing(nil)
	w.goes(r)
	r.says("generation", 2)
	lost := fails("Pair Of The Ring Is Lost", "when this was planned", "terraform plan")
	w.heard(w.applies(func() { w.bench.destroy(id("2"), "privkey", "pubkey") }, r), lost)
	if labels := w.labels(); len(labels) != 1 || labels[id("1")] != "web web" {
		t.Errorf("the token has %v", labels)
	}
	w.fails(r, fails("Next Pair Is Not Published", "generation = 1").pointing("generation"),
		warns("Pair Of The Ring Not On The Token", "Generation 2"))
	w.goes(r.says("generation", 1), warns("Pair Of The Ring Not On The Token"), warns("New Key Under An Old ID"))

	// Somebody has unpublished it.
	r.says("generation", 2)
	w.heard(w.applies(func() { w.bench.relabel("web-2", "aside") }, r),
		fails("Next Pair Is Not Published").pointing("generation"))
	w.bench.relabel("web-2", "web.standby")
	w.goes(r)
	w.holds(r, turned)

	// Two pairs have each other's label, so that the plan makes a third one, and get their own back before the apply:
	// it is not made, and the state does not take it for one that is lost.
	exchange := func(one, other string) {
		w.bench.relabel("web-2", "aside")
		w.bench.relabel("web-3", one)
		w.bench.relabel("web-2", other)
	}
	exchange("web", "web.standby")
	label := warns("Pair Of The Ring Has Another Label")
	w.heard(w.applies(func() { exchange("web.standby", "web") }, r.says("deletion_policy", "prevent")), label)
	if labels := w.labels(); len(labels) != 3 || of(r.state, "4", fingerprint) != "" {
		t.Errorf("the token has %v, and the state %v", labels, fields(r.state)["keys"])
	}
	w.goes(r.says("generation", 3))
	w.holds(r, "2 previous web.standby, 3 current web, 4 next web.standby")
}

// A state that has lost its private part, with a plan that does not refresh: what is planned and done is the same.
func TestKeyRingWithoutItsNote(t *testing.T) {
	t.Parallel()
	w := newRingWire(t)
	r := newRing(nil)
	w.goes(r)
	r.private = nil
	w.begins()
	for _, argument := range []words{nil, {"generation": 2}} {
		for name, value := range argument {
			r.says(name, value)
		}
		planned, said := w.plan(r)
		after := w.static(r, planned.PlannedState)
		if same := after.Equal(w.stateOf(r)); len(said) > 0 || same != (argument == nil) {
			t.Errorf("it plans %v and says:\n%s", after, said)
		}
		if of(after, "2", fingerprint) != of(r.state, "2", fingerprint) {
			t.Errorf("generation 2 is planned anew: %v", after)
		}
	}
	if said, _ := w.apply(r); len(said) > 0 {
		t.Error(said)
	}
	w.stop()
	w.holds(r, turned)

	// The highest pair is lost, and only the state knows that it was there.
	r.private = nil
	w.bench.destroy(id("3"), "privkey", "pubkey")
	r.says("deletion_policy", "prevent")
	w.fails(r, warns("Pair Of The Ring Not On The Token", "Generation 3"), fails("Pair Of The Ring Is Lost",
		"Generation 3"))
}

// Only what the token does not know changes: the apply needs no token.
func TestKeyRingChangesWithoutItsToken(t *testing.T) {
	t.Parallel()
	w := newRingWire(t)
	r := newRing(nil)
	w.goes(r)
	w.begins()
	calls := w.bench.faults.Count("")
	for argument, value := range map[string]string{"deletion_policy": "abandon", "min_publish_time": "3h",
		"retired": "destroy"} {
		if said, changed := w.apply(r.says(argument, value)); len(said) > 0 || !changed ||
			r.attribute(argument) != value {
			t.Errorf("%s is %q, and it says:\n%s", argument, r.attribute(argument), said)
		}
	}
	if now := w.bench.faults.Count(""); now > calls {
		t.Errorf("it made %d calls", now-calls)
	}
	r.config = nil
	if said, _ := w.apply(r); len(said) != 1 || !strings.HasPrefix(said[0].Summary, "Key Stays On The Token") {
		t.Error(said)
	}
	if labels := w.labels(); len(labels) != 2 {
		t.Errorf("the token has %v", labels)
	}
}
