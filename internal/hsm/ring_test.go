package hsm_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// ringOf is a ring of the labels web, web.standby and web.retired.
func ringOf(generation, previous int) hsm.Ring {
	return hsm.Ring{
		RingLabels: hsm.RingLabels{Current: "web", Standby: "web.standby", Retired: "web.retired"}, Prefix: "web-",
		Generation: generation, Previous: previous,
		Template: object.Template{Type: object.EC, Curve: publickey.P256, Usage: object.Sign},
	}
}

// placesOf reads places: "1 retired, 2 standby, 3 current!": ! is one whose rest is off.
func placesOf(t testing.TB, r hsm.Ring, text string) map[int]hsm.Place {
	t.Helper()
	places := map[int]hsm.Place{}
	for part := range strings.SplitSeq(text, ", ") {
		var generation int
		var word string
		if _, err := fmt.Sscanf(part, "%d %s", &generation, &word); err != nil {
			if text == "" {
				continue
			}
			t.Fatal(part, err)
		}
		bare, off := strings.CutSuffix(word, "!")
		at := hsm.Place{Label: bare, Off: off}
		switch bare {
		case "current":
			at.Label = r.Current
		case "standby":
			at.Label = r.Standby
		case "retired":
			at.Label = r.Retired
		case "half":
			at.Label, at.Half = r.Standby, true
		case "half-current":
			at.Label, at.Half = r.Current, true
		}
		places[generation] = at
	}
	return places
}

func turnsText(turns []hsm.Turn) string {
	lines := make([]string, len(turns))
	for i, turn := range turns {
		lines[i] = turn.String()
	}
	short := strings.NewReplacer(`"web"`, "current", `"web.standby"`, "standby", `"web.retired"`, "retired",
		"generation ", "", "relabel", "move", " which is ", " ", ",", "", " under ", " as ")
	return short.Replace(strings.Join(lines, "; "))
}

func TestRingTurns(t *testing.T) {
	for name, c := range hsmtest.InOrder(map[string]struct {
		generation, previous int
		destroy              bool
		was                  hsm.RingLabels
		places, want         string
	}{
		"a new ring":                  {1, 1, false, hsm.RingLabels{}, "", "make 1 as current; make 2 as standby"},
		"a new ring that begins at 7": {7, 1, false, hsm.RingLabels{}, "", "make 7 as current; make 8 as standby"},
		"nothing is left to do":       {2, 1, false, hsm.RingLabels{}, "1 standby, 2 current, 3 standby", ""},
		"the first rotation": {2, 1, false, hsm.RingLabels{}, "1 current, 2 standby",
			"make 3 as standby; move 2 from standby to current; move 1 from current to standby"},
		"a rotation": {3, 1, false, hsm.RingLabels{}, "1 standby, 2 current, 3 standby",
			"make 4 as standby; move 3 from standby to current; move 2 from current to standby; " +
				"move 1 from standby to retired"},
		"a rotation that destroys": {3, 1, true, hsm.RingLabels{}, "1 standby, 2 current, 3 standby",
			"make 4 as standby; move 3 from standby to current; move 2 from current to standby; destroy 1 standby"},
		"a rotation in an emergency": {3, 0, false, hsm.RingLabels{}, "1 standby, 2 current, 3 standby",
			"make 4 as standby; move 3 from standby to current; move 1 from standby to retired; " +
				"move 2 from current to retired"},
		"a rotation that keeps three": {4, 3, false, hsm.RingLabels{}, "1 standby, 2 standby, 3 current, 4 standby",
			"make 5 as standby; move 4 from standby to current; move 3 from current to standby"},
		"made, and interrupted": {3, 1, false, hsm.RingLabels{}, "1 standby, 2 current, 3 standby, 4 standby",
			"move 3 from standby to current; move 2 from current to standby; move 1 from standby to retired"},
		"promoted, and interrupted": {3, 1, false, hsm.RingLabels{}, "1 standby, 2 current, 3 current, 4 standby",
			"move 2 from current to standby; move 1 from standby to retired"},
		"half promoted": {3, 1, false, hsm.RingLabels{}, "1 standby, 2 current, 3 current!, 4 standby",
			"move 3 from current to current; move 2 from current to standby; move 1 from standby to retired"},
		"demoted, and interrupted": {3, 1, false, hsm.RingLabels{}, "1 standby, 2 standby, 3 current, 4 standby",
			"move 1 from standby to retired"},
		"half demoted": {3, 1, false, hsm.RingLabels{}, "1 retired, 2 standby!, 3 current, 4 standby",
			"move 2 from standby to standby"},
		"half destroyed": {3, 1, true, hsm.RingLabels{}, "1 half, 2 standby, 3 current, 4 standby",
			"destroy 1 standby"},
		"half destroyed, and still to be published": {2, 1, true, hsm.RingLabels{}, "1 half, 2 current, 3 standby", ""},
		"half destroyed with the label, and still to be published": {2, 1, true, hsm.RingLabels{},
			"1 half-current, 2 current, 3 standby", ""},
		"half destroyed, and nothing else on standby": {2, 1, true, hsm.RingLabels{}, "1 half, 2 standby, 3 current",
			"make 4 as standby; move 2 from standby to current; move 3 from current to standby"},
		"half retired": {3, 1, false, hsm.RingLabels{}, "1 retired!, 2 standby, 3 current, 4 standby",
			"move 1 from retired to retired"},
		"half retired, and the next ones are destroyed": {3, 1, true, hsm.RingLabels{},
			"1 retired!, 2 standby, 3 current, 4 standby", "move 1 from retired to retired"},
		"going back": {2, 1, false, hsm.RingLabels{}, "1 retired, 2 standby, 3 current, 4 standby",
			"move 2 from standby to current; move 3 from current to standby"},
		"rotating after going back": {3, 1, false, hsm.RingLabels{}, "1 retired, 2 current, 3 standby, 4 standby",
			"move 3 from standby to current; move 2 from current to standby"},
		"more past ones, none comes": {4, 3, false, hsm.RingLabels{}, "2 retired, 3 standby, 4 current, 5 standby", ""},
		"fewer past ones": {4, 1, false, hsm.RingLabels{},
			"1 standby, 2 standby, 3 standby, 4 current, 5 standby",
			"move 1 from standby to retired; move 2 from standby to retired"},
		"what was kept is not destroyed": {4, 1, true, hsm.RingLabels{},
			"1 retired, 2 retired, 3 standby, 4 current, 5 standby", ""},
		"the next is missing":    {2, 1, false, hsm.RingLabels{}, "1 standby, 2 current", "make 3 as standby"},
		"the current is missing": {2, 1, false, hsm.RingLabels{}, "1 standby, 3 standby", "make 2 as current"},
		"the next has a strange label": {2, 1, false, hsm.RingLabels{}, "1 standby, 2 current, 3 odd",
			"move 3 from \"odd\" to standby"},
		"the current has one": {2, 1, false, hsm.RingLabels{}, "1 standby, 2 odd, 3 standby",
			"move 2 from \"odd\" to current"},
		"an old one has one": {4, 1, false, hsm.RingLabels{}, "1 odd, 3 standby, 4 current, 5 standby", ""},
		"two have exchanged labels": {1, 1, false, hsm.RingLabels{}, "1 standby, 2 current",
			"make 3 as standby; move 1 from standby to current; move 2 from current to standby"},
		"all have the label": {2, 1, false, hsm.RingLabels{}, "1 current, 2 current, 3 current",
			"move 1 from current to standby; move 3 from current to standby"},
		"the ring gets other labels": {2, 1, false, hsm.RingLabels{Current: "c", Standby: "s", Retired: "r"},
			"1 s, 2 c, 3 s", "move 1 from \"s\" to standby; move 3 from \"s\" to standby; " +
				"move 2 from \"c\" to current"},
		"other labels, and a retired one": {3, 2, true, hsm.RingLabels{Current: "c", Standby: "s", Retired: "r"},
			"1 r, 2 s, 3 c, 4 s", "move 2 from \"s\" to standby; move 4 from \"s\" to standby; " +
				"move 3 from \"c\" to current; move 1 from \"r\" to retired"},
		"other labels, and a past one that goes": {3, 1, true, hsm.RingLabels{Current: "c", Standby: "s", Retired: "r"},
			"1 s, 2 s, 3 c, 4 s", "move 2 from \"s\" to standby; move 4 from \"s\" to standby; " +
				"move 3 from \"c\" to current; destroy 1 \"s\""},
	}) {
		t.Run(name, func(t *testing.T) {
			r := ringOf(c.generation, c.previous)
			r.Destroy, r.Was = c.destroy, c.was
			if got := turnsText(r.Turns(placesOf(t, r, c.places))); got != c.want {
				t.Errorf("the steps are\n%s\nand should be\n%s", got, c.want)
			}
		})
	}
}

// TestRingTurnsKeepTheirPromises takes every ring of four generations, in any places, through every step, and looks at
// each instant between.
func TestRingTurnsKeepTheirPromises(t *testing.T) {
	onSoftHSM(t) // once: it asks no token
	const generations = 4
	words := []string{"", "current", "current!", "standby", "retired", "odd"}
	rings := 0
	var each func(places map[int]hsm.Place, generation int)
	each = func(places map[int]hsm.Place, generation int) {
		if generation <= generations {
			for _, word := range words {
				more := maps.Clone(places)
				if word != "" {
					maps.Copy(more, placesOf(t, ringOf(1, 1), fmt.Sprintf("%d %s", generation, word)))
				}
				each(more, generation+1)
			}
			return
		}
		for current := 1; current < generations; current++ {
			for previous := range 4 {
				for _, destroy := range []bool{false, true} {
					r := ringOf(current, previous)
					r.Destroy = destroy
					rings++
					if broken := promises(r, places); broken != "" {
						t.Fatalf("ring %d with %d previous, destroy %t, places %v: %s\nthe steps are %s", current,
							previous, destroy, places, broken, turnsText(r.Turns(places)))
					}
				}
			}
		}
	}
	each(map[int]hsm.Place{}, 1)
	t.Logf("%d rings", rings)
}

// promises says which promise of Turns does not hold, "" where all do.
func promises(r hsm.Ring, places map[int]hsm.Place) string {
	turns := r.Turns(places)
	now := maps.Clone(places)
	for i, turn := range turns {
		before := maps.Clone(now)
		turn.Apply(now)
		if broken := broken(r, before, now); broken != "" {
			return fmt.Sprintf("after %s %s", turn, broken)
		}
		if rest := r.Turns(now); !slices.Equal(rest, turns[i+1:]) {
			return fmt.Sprintf("after %s the steps that are left are others: %v", turn, rest)
		}
	}
	signs := 0
	for generation, at := range now {
		if at.Label == r.Current {
			signs++
		}
		if (at.Label == r.Current) != (generation == r.Generation) || r.Publishes(at.Label) && at.Off {
			return fmt.Sprintf("in the end generation %d is %+v", generation, at)
		}
	}
	if signs != 1 || !hasLabel(now, r.Standby) {
		return "in the end no pair is next"
	}
	return ""
}

// broken says which promise that held before does not hold now, "" where all do.
func broken(r hsm.Ring, before, now map[int]hsm.Place) string {
	for _, labels := range [][]string{{r.Current, r.Was.Current}, {r.Standby, r.Was.Standby}} {
		if hasLabel(before, labels...) && !hasLabel(now, labels...) {
			return "no pair has the label " + labels[0]
		}
	}
	published := func(at hsm.Place) bool {
		return at.Label != "" && (r.Publishes(at.Label) || at.Label == r.Was.Current || at.Label == r.Was.Standby)
	}
	signs := hasLabel(map[int]hsm.Place{r.Generation: now[r.Generation]}, r.Current, r.Was.Current)
	for generation, at := range before {
		if !published(at) || published(now[generation]) && !now[generation].Half {
			continue
		}
		if role := r.RoleOf(generation, at.Label); role != hsm.RoleRetired {
			return fmt.Sprintf("generation %d is not published", generation)
		}
		if !signs {
			return fmt.Sprintf("generation %d is not published before the new current pair has its label", generation)
		}
	}
	return ""
}

// hasLabel says that a whole pair has one of the labels. "" is none.
func hasLabel(places map[int]hsm.Place, labels ...string) bool {
	for _, at := range places {
		if at.Label != "" && !at.Half && slices.Contains(labels, at.Label) {
			return true
		}
	}
	return false
}

// turned turns a ring, and checks what the token holds then: "1 retired, 2 current, 3 standby".
func turned(t *testing.T, token *hsm.Token, r hsm.Ring, want string) hsm.RingState {
	t.Helper()
	state, _, err := token.Turn(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	if have := state.PlacesIn(r); !maps.Equal(have, placesOf(t, r, want)) {
		t.Fatalf("the token holds %v, and not %s", have, want)
	}
	return state
}

// ringTemplate has pairs that are quickly made.
func ringTemplate(t *testing.T) object.Template {
	t.Helper()
	if hsmtest.Has(t, hsmtest.P256) {
		return kindNamed("P-256").tmpl
	}
	return kinds[0].tmpl
}

func TestRingTurnsOnAToken(t *testing.T) {
	token := open(t, hsmtest.New(t))
	ring := func(generation, previous int) hsm.Ring {
		r := ringOf(generation, previous)
		r.Template = ringTemplate(t)
		return r
	}
	first := turned(t, token, ring(1, 1), "1 current, 2 standby")
	turned(t, token, ring(2, 1), "1 standby, 2 current, 3 standby")
	turned(t, token, ring(3, 1), "1 retired, 2 standby, 3 current, 4 standby")
	turned(t, token, ring(2, 1), "1 retired, 2 current, 3 standby, 4 standby")
	turned(t, token, ring(3, 2), "1 retired, 2 standby, 3 current, 4 standby")
	r := ring(4, 0)
	r.Destroy = true
	last := turned(t, token, r, "1 retired, 4 current, 5 standby")
	if first.Pairs[1].Fingerprint() != last.Pairs[1].Fingerprint() {
		t.Error("generation 1 is another pair")
	}
	if len(last.Others) > 0 {
		t.Errorf("the ring has %v beside it", last.Others)
	}
}

// A pair that somebody has changed is off, whichever half and whatever it is. What is retired may be used for anything,
// and its public half may have any label but one of the ring's.
func TestPlacesOfARing(t *testing.T) {
	onSoftHSM(t) // once: it asks no token
	const sign, other = object.Sign, object.Sign | object.Derive
	for name, c := range map[string]struct {
		label, publicLabel string
		usage, publicUsage object.Usage
		off                bool
	}{
		"as it is made":                     {"web", "web", sign, sign, false},
		"as other tools make it":            {"web", "web", sign | object.SignRecover, sign | object.SignRecover, false},
		"a public half of another label":    {"web", "web.standby", sign, sign, true},
		"a private half of another usage":   {"web", "web", other, sign, true},
		"a public half of another usage":    {"web.standby", "web.standby", sign, other, true},
		"what may not sign":                 {"web.standby", "web.standby", 0, sign, true},
		"retired":                           {"web.retired", "web.retired", other, other, false},
		"half retired":                      {"web.retired", "web.standby", sign, sign, true},
		"retired, and labelled by somebody": {"web.retired", "mine", sign, sign, false},
	} {
		key := object.Key{Label: c.label, PublicLabel: c.publicLabel, Usage: c.usage, PublicUsage: c.publicUsage}
		state := hsm.RingState{Pairs: map[int]object.Key{2: key}}
		want := map[int]hsm.Place{2: {Label: c.label, Off: c.off}}
		if have := state.PlacesIn(ringOf(2, 1)); !maps.Equal(have, want) {
			t.Errorf("%s: it is %v, and not %v", name, have, want)
		}
	}
}

func TestWhetherATokenRelabels(t *testing.T) {
	k := hsmtest.New(t)
	faults := &hsmtest.Faults{}
	token := openWith(t, k, k.PIN, faults)
	ctx := context.Background()
	generate(t, token, small("1", ""))
	if !token.Relabels(ctx) {
		t.Error("a token that relabels is said not to")
	}
	faults.Inject(hsmtest.Fault{Function: "C_SetAttributeValue", Nth: 1, Code: cryptoki.CKR_FUNCTION_NOT_SUPPORTED})
	if token.Relabels(ctx) {
		t.Error("a token that does not relabel is said to")
	}
	if _, err := token.Change(ctx, object.Ref{ID: []byte("1")}, object.Change{Label: new("2")}); err != nil {
		t.Errorf("the token is of no use after that: %v", err)
	}
}

func TestRingLeavesWhatIsNotItsOwn(t *testing.T) {
	k := hsmtest.New(t)
	token := open(t, k)
	ctx := context.Background()
	r := ringOf(2, 1)
	r.Template = ringTemplate(t)
	retired := r.Template
	retired.ID, retired.Label, retired.Usage = r.ID(1), r.Retired, object.Sign|object.Derive
	if retired.Type == object.RSA {
		retired.Usage = object.Sign | object.Decrypt
	}
	generate(t, token, retired) // whatever it is used for
	turned(t, token, r, "1 retired, 2 current, 3 standby")
	for _, id := range []string{"web-", "web-07", "web-0", "web-x1", "other", "we-1"} {
		tmpl := r.Template
		tmpl.ID, tmpl.Label = []byte(id), "web"
		generate(t, token, tmpl)
	}
	state, done, err := token.Turn(ctx, r)
	if err != nil || len(done) > 0 || len(state.Pairs) != 3 || len(state.Others) != 6 {
		t.Errorf("the ring has done %v, and sees %d of its own and %d others: %v", done, len(state.Pairs),
			len(state.Others), err)
	}
	r.Generation, r.Fingerprints = 3, map[int]string{3: strings.Repeat("0", 64)}
	_, done, err = token.Turn(ctx, r)
	different, ok := errors.AsType[*object.DifferentKeyError](err)
	failed, _ := errors.AsType[*hsm.GenerationError](err)
	if !ok || different.Found != state.Pairs[3].Fingerprint() || failed.Generation != 3 {
		t.Errorf("after %v: %v", done, err)
	}
}

// TestRingTakesNoPairThatItDoesNotKnow has others make pairs with IDs of a ring whose pairs are known: it takes none
// for its own that has no label of the ring's.
func TestRingTakesNoPairThatItDoesNotKnow(t *testing.T) {
	token := open(t, hsmtest.New(t))
	ctx := context.Background()
	r := ringOf(2, 1)
	r.Template = ringTemplate(t)
	state := turned(t, token, r, "2 current, 3 standby")
	r.Fingerprints = map[int]string{}
	for generation, pair := range state.Pairs {
		r.Fingerprints[generation] = pair.Fingerprint()
	}
	for generation, label := range map[int]string{1: "archive", 4: "archive", 9: "archive", 5: r.Standby} {
		tmpl := r.Template
		tmpl.ID, tmpl.Label = r.ID(generation), label
		generate(t, token, tmpl)
	}
	state, done, err := token.Turn(ctx, r)
	if err != nil || len(done) > 0 || len(state.Pairs) != 3 || len(state.Others) != 3 {
		t.Errorf("the ring has done %v, and sees %d of its own and %d others: %v", done, len(state.Pairs),
			len(state.Others), err)
	}
	r.Generation = 3
	if _, done, err = token.Turn(ctx, r); !errors.Is(err, object.ErrExists) || len(done) > 0 {
		t.Errorf("with another pair in the place of the next one, it has done %v: %v", done, err)
	}
}

// TestRingPausesBeforeALabelIsTaken ends in the first pause: what is made by then stays, and the next run goes on. That
// pauses too, before its first step: another run may have given the new pair its label just before.
func TestRingPausesBeforeALabelIsTaken(t *testing.T) {
	token := open(t, hsmtest.New(t))
	r := ringOf(1, 1)
	r.Template = ringTemplate(t)
	turned(t, token, r, "1 current, 2 standby")
	r.Generation, r.Pause = 2, time.Hour
	for _, want := range []string{"make 3 as standby", ""} {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, done, err := token.Turn(ctx, r)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || turnsText(done) != want {
			t.Errorf("after %q: %v", turnsText(done), err)
		}
		ref := object.Ref{ID: r.ID(2)}
		if _, err := token.Change(context.Background(), ref, object.Change{Label: &r.Current}); err != nil {
			t.Fatal(err)
		}
	}
	r.Pause = 0
	turned(t, token, r, "1 standby, 2 current, 3 standby")
}

// TestRingDestroysWhatIsLeftOfAPair finds the public half of a pair whose destruction was interrupted.
func TestRingDestroysWhatIsLeftOfAPair(t *testing.T) {
	k := hsmtest.New(t)
	r := ringOf(1, 1)
	r.Template, r.Destroy = ringTemplate(t), true
	turned(t, open(t, k), r, "1 current, 2 standby")
	r.Generation = 2
	turned(t, open(t, k), r, "1 standby, 2 current, 3 standby")
	k.Tool(t, "--delete-object", "--type", "privkey", "--id", fmt.Sprintf("%x", "web-1"))
	r.Generation = 3
	state, err := open(t, k).Ring(context.Background(), r)
	if err != nil || len(state.Halves) != 1 {
		t.Errorf("of generation 1 there is %v, %v", state.Halves, err)
	}
	turned(t, open(t, k), r, "2 standby, 3 current, 4 standby")
	if left := k.Tool(t, "--list-objects"); strings.Contains(left, fmt.Sprintf("%x", "web-1")) {
		t.Errorf("the token holds\n%s", left)
	}
}

// TestRingStopsAtHalfAPair finds half of a pair that is not what a destruction leaves: it says so, and does nothing.
func TestRingStopsAtHalfAPair(t *testing.T) {
	k := hsmtest.New(t)
	for name, c := range hsmtest.InOrder(map[string]struct {
		destroy    bool
		generation int
		label, is  string // of the pair, "" for that of the ring; and which half of it is gone
	}{
		"of a ring that destroys nothing": {false, 1, "", "privkey"},
		"of the pair that signs":          {true, 2, "", "privkey"},
		"of the next pair":                {true, 3, "", "privkey"},
		"without the public half":         {true, 1, "", "pubkey"},
		"that was not published":          {true, 1, "odd", "privkey"},
	}) {
		t.Run(name, func(t *testing.T) {
			r := ringOf(1, 1)
			r.Prefix, r.Template, r.Destroy = name+"-", ringTemplate(t), c.destroy
			token := open(t, k)
			turned(t, token, r, "1 current, 2 standby")
			r.Generation = 2
			turned(t, token, r, "1 standby, 2 current, 3 standby")
			if c.label != "" {
				ref := object.Ref{ID: r.ID(c.generation)}
				if _, err := token.Change(t.Context(), ref, object.Change{Label: &c.label}); err != nil {
					t.Fatal(err)
				}
			}
			k.Tool(t, "--delete-object", "--type", c.is, "--id", fmt.Sprintf("%x", r.ID(c.generation)))
			_, done, err := open(t, k).Turn(t.Context(), r)
			failed, ok := errors.AsType[*hsm.GenerationError](err)
			if !ok || failed.Generation != c.generation || len(done) > 0 || !errors.Is(err, object.ErrHalfPair) {
				t.Errorf("after %s: %v", turnsText(done), err)
			}
		})
	}
}

// TestRingTakesNothingOfAStranger has someone without a PIN make what looks like the ring's, or spoil a public half,
// before a rotation to generation 3, which makes generation 4. The ring may be blocked, and goes on once that is away.
// It never lets a pair sign that is not its own.
func TestRingTakesNothingOfAStranger(t *testing.T) {
	k := hsmtest.New(t)
	stranger := hsmtest.NewStranger(t, k)
	for name, c := range hsmtest.InOrder(map[string]struct {
		act     func(s *hsmtest.Stranger, t *testing.T, id func(int) string)
		blocked int // the generation at which the ring stops; 0: none
	}{
		"a pair in the place of the one to come": {func(s *hsmtest.Stranger, t *testing.T, id func(int) string) {
			s.MakesPair(t, hsmtest.StrangerP256, "web.standby", id(4))
		}, 4},
		"a pair of a generation that is far": {func(s *hsmtest.Stranger, t *testing.T, id func(int) string) {
			s.MakesPair(t, hsmtest.StrangerP256, "web.standby", id(99))
		}, 0},
		"a pair with the label": {func(s *hsmtest.Stranger, t *testing.T, id func(int) string) {
			s.MakesPair(t, hsmtest.StrangerP256, "web", id(0))
		}, 0},
		"a pair of another type beside the next one": {func(s *hsmtest.Stranger, t *testing.T, id func(int) string) {
			s.MakesPair(t, hsmtest.StrangerRSA, "web", id(3))
		}, 0},
		"a pair of its type beside the next one": {func(s *hsmtest.Stranger, t *testing.T, id func(int) string) {
			s.MakesPair(t, hsmtest.StrangerP256, "web", id(3))
		}, 3},
		"a secret key in the place of the one to come": {func(s *hsmtest.Stranger, t *testing.T, id func(int) string) {
			s.MakesSecret(t, "web.standby", id(4))
		}, 4},
		"a public half in the place of the one to come": {func(s *hsmtest.Stranger, t *testing.T, id func(int) string) {
			s.MakesPublicHalf(t, hsmtest.StrangerP256, "web.standby", id(4))
		}, 4},
		"a public half beside the next one": {func(s *hsmtest.Stranger, t *testing.T, id func(int) string) {
			s.MakesPublicHalf(t, hsmtest.StrangerP256, "web.standby", id(3))
		}, 0},
		"a public half in the place of the next one's": {func(s *hsmtest.Stranger, t *testing.T, id func(int) string) {
			s.SwapsPublicHalf(t, hsmtest.StrangerP256, "web.standby", id(3))
		}, 3},
		"a public half in the place of the current one's": {func(s *hsmtest.Stranger, t *testing.T, id func(int) string) {
			s.SwapsPublicHalf(t, hsmtest.StrangerP256, "web", id(2))
		}, 2},
		"a public half in the place of a past one's": {func(s *hsmtest.Stranger, t *testing.T, id func(int) string) {
			s.SwapsPublicHalf(t, hsmtest.StrangerP256, "web.standby", id(1))
		}, 1},
		"the next one's public half is gone": {func(s *hsmtest.Stranger, t *testing.T, id func(int) string) {
			s.TakesPublicHalf(t, "", id(3))
		}, 3},
		"what makes no sense in the place of the one to come": {func(s *hsmtest.Stranger, t *testing.T, id func(int) string) {
			s.PlantsMalformed(t, "web.standby", id(4))
		}, 4},
	}) {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			r := ringOf(1, 1)
			r.Prefix = name + "-" // the labels are those of the other cases too
			turned(t, open(t, k), r, "1 current, 2 standby")
			r.Generation, r.Fingerprints = 2, map[int]string{} // which the state knows
			for generation, pair := range turned(t, open(t, k), r, "1 standby, 2 current, 3 standby").Pairs {
				r.Fingerprints[generation] = pair.Fingerprint()
			}
			c.act(stranger, t, func(generation int) string { return fmt.Sprintf("%x", r.ID(generation)) })
			r.Generation = 3
			token := open(t, k)
			_, done, err := token.Turn(ctx, r)
			failed, _ := errors.AsType[*hsm.GenerationError](err)
			if blocked := failed != nil; blocked != (c.blocked > 0) || blocked && failed.Generation != c.blocked {
				t.Errorf("after %s: %v", turnsText(done), err)
			}
			now := open(t, k)
			signs := 0
			for generation, fingerprint := range r.Fingerprints {
				key, err := now.Key(ctx, object.Ref{Type: object.EC, ID: r.ID(generation), Fingerprint: fingerprint})
				if err == nil && key.Fingerprint() == fingerprint && key.Label == r.Current {
					signs++
				}
			}
			if signs != 1 && c.blocked != 2 {
				t.Errorf("%d pairs of the ring sign", signs)
			}
			inventory, err := now.Inventory(ctx)
			if err != nil {
				t.Fatal(err)
			}
			keys, _ := inventory.Keys()
			for _, key := range keys {
				generation, ours := r.GenerationOf(key.ID)
				strange := ours && generation != 4 && key.Fingerprint() != r.Fingerprints[generation]
				if strange && !key.Unprotected() && now.Published(ctx, []object.Key{key}) == nil {
					t.Errorf("the stranger's would be published: %s", describe(key))
				}
			}
		})
	}
}

// watched is what a process has seen that looked at a ring all the time, as Hydra does: private halves by label, and a
// public half for each by its ID.
type watched struct {
	Looks          int
	WithoutCurrent int // looks that found no pair with the label
	WithoutStandby int // looks that found none on standby
}

// watch runs in a child process, until its standard input ends.
func watch(k *hsmtest.Token, r hsm.Ring) int {
	var seen watched
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	err := k.Session(func(ctx context.Context, s *cryptoki.Session) error {
		fmt.Println("watching")
		for {
			select {
			case <-ended:
				return nil
			default:
			}
			current, err := wholeUnder(ctx, s, r.Current)
			if err != nil {
				return err
			}
			standby, err := wholeUnder(ctx, s, r.Standby)
			if err != nil {
				return err
			}
			seen.Looks++
			if !current {
				seen.WithoutCurrent++
			}
			if !standby {
				seen.WithoutStandby++
			}
		}
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	_ = json.NewEncoder(os.Stdout).Encode(seen)
	return 0
}

// wholeUnder says that a pair has the label. An object that another process writes at that moment may be unreadable:
// that is no answer, and it looks again.
func wholeUnder(ctx context.Context, s *cryptoki.Session, label string) (bool, error) {
	for {
		found, err := s.FindObjects(ctx, []cryptoki.Attribute{
			cryptoki.ULong(cryptoki.CKA_CLASS, cryptoki.CKO_PRIVATE_KEY), cryptoki.Bytes(cryptoki.CKA_LABEL,
				[]byte(label)),
		})
		if err != nil {
			return false, err
		}
		again := false
		for _, private := range found {
			shown, err := s.GetAttributeValue(ctx, private, []cryptoki.AttributeType{cryptoki.CKA_ID})
			if err != nil || len(shown[cryptoki.CKA_ID]) == 0 {
				again = true
				continue
			}
			public, err := s.FindObjects(ctx, []cryptoki.Attribute{
				cryptoki.ULong(cryptoki.CKA_CLASS, cryptoki.CKO_PUBLIC_KEY), cryptoki.Bytes(cryptoki.CKA_ID,
					shown[cryptoki.CKA_ID]),
			})
			if err != nil {
				return false, err
			}
			if len(public) > 0 {
				return true, nil
			}
		}
		if !again {
			return false, nil
		}
	}
}

// watching runs a test while another process watches the ring, and gives what that has seen.
func watching(t *testing.T, k *hsmtest.Token, r hsm.Ring, during func()) (seen watched) {
	t.Helper()
	watcher := command(order{Token: *k, Operation: "watch", Ring: &r})
	in, err := watcher.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := watcher.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watcher.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "watching" {
		t.Fatalf("the watcher says %q", lines.Text())
	}
	during()
	_ = in.Close()
	lines.Scan()
	if err := json.Unmarshal(lines.Bytes(), &seen); err != nil {
		t.Errorf("the watcher says %q", lines.Text())
	}
	if err := watcher.Wait(); err != nil {
		t.Error(err)
	}
	return seen
}

func TestRingIsNeverEmptyToAnotherProcess(t *testing.T) {
	hsmtest.Needs(t, hsmtest.OtherEyes)
	k := hsmtest.New(t)
	token := open(t, k)
	r := ringOf(1, 1)
	r.Template, r.Destroy, r.Pause = ringTemplate(t), true, 20*time.Millisecond
	turned(t, token, r, "1 current, 2 standby")
	turns := 20
	seen := watching(t, k, r, func() {
		for range turns {
			r.Generation++
			if _, _, err := token.Turn(context.Background(), r); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Logf("%d turns: %+v", turns, seen)
	if seen.WithoutCurrent+seen.WithoutStandby > 0 || seen.Looks < turns {
		t.Errorf("another process saw %+v", seen)
	}
}

// TestRingAfterManyRotations leaves just what Previous and Destroy say: with HSMTEST_FAULTS=all after a thousand
// rotations, else after a few. What is kept makes each rotation slower on SoftHSM, where a search walks all objects.
func TestRingAfterManyRotations(t *testing.T) {
	for name, c := range hsmtest.InOrder(map[string]struct {
		destroy   bool
		rotations int
	}{"destroyed": {true, 50}, "kept": {false, 20}}) {
		t.Run(name, func(t *testing.T) {
			onSoftHSM(t)
			if hsmtest.ThisExtent(t) == hsmtest.All {
				c.rotations = 1000
			}
			token := open(t, hsmtest.New(t))
			r := ringOf(1, 2)
			r.Template, r.Destroy = ringTemplate(t), c.destroy
			made := map[int]string{}
			for ; r.Generation <= c.rotations+1; r.Generation++ {
				state, _, err := token.Turn(context.Background(), r)
				if err != nil {
					t.Fatal(r.Generation, err)
				}
				for generation, pair := range state.Pairs {
					if was, ok := made[generation]; ok && was != pair.Fingerprint() {
						t.Fatalf("generation %d is another pair", generation)
					}
					made[generation] = pair.Fingerprint()
				}
			}
			last := r.Generation - 1
			var want []string
			for generation := 1; generation < last-2 && !c.destroy; generation++ {
				want = append(want, fmt.Sprintf("%d retired", generation))
			}
			want = append(want, fmt.Sprintf("%d standby, %d standby, %d current, %d standby", last-2, last-1, last, last+1))
			r.Generation = last
			turned(t, token, r, strings.Join(want, ", "))
			keys, err := wholeKeys(context.Background(), token)
			if places := len(placesOf(t, r, strings.Join(want, ", "))); err != nil || len(keys) != places {
				t.Errorf("after %d rotations, the token holds %d keys, and not %d: %v", c.rotations, len(keys), places, err)
			}
		})
	}
}
