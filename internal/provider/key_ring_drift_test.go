package provider_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

const turned = "1 previous web.standby, 2 current web, 3 next web.standby"

// What others do to each of a ring's pairs is told, and the next apply makes it good, or the one after what was
// advised.
func TestKeyRingDrifts(t *testing.T) {
	t.Parallel()
	w := newRingWire(t)
	b, second := w.bench, func(generation, label string) {
		w.bench.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", label, "--id",
			id(generation))
	}
	gone := func(generation string) remark {
		return warns("Pair Of The Ring Not On The Token", "Generation "+generation+" (key_id "+id(generation)+")")
	}
	other := func(generation, label string) remark {
		return warns("Pair Of The Ring Has Another Label", "Generation "+generation+" ",
			fmt.Sprintf("has the label %q", label))
	}
	again := func(generation string) remark { return warns("New Key Under An Old ID", "Generation "+generation+" ") }
	unusable := func(parts ...string) remark {
		return fails("Unable to Read Key Ring: Pair Of The Ring Not Usable", parts...)
	}
	strays := warns("Other Public Halves Beside The Key", "")
	for _, c := range []struct {
		name  string
		drift func()
		says  []remark // by the apply, which makes it good
		fails []remark // by a plan before that
		mend  func()   // what those advise
		ends  string   // "" for turned
	}{
		{name: "the next one has another label", drift: func() { b.relabel("web-3", "aside") },
			says: []remark{other("3", "aside")}},
		{name: "the current one has another label", drift: func() { b.relabel("web-2", "aside") },
			says: []remark{other("2", "aside")}},
		{name: "the previous one has another label", drift: func() { b.relabel("web-1", "aside") },
			says: []remark{other("1", "aside")}},
		{name: "the previous one has the label of the current one", drift: func() { b.relabel("web-1", "web") },
			says: []remark{other("1", "web")}},
		{name: "a label that is no text", drift: func() { b.relabel("web-3", "\xff\xfe") }, says: []remark{other("3",
			"\xff\xfe")}},
		{name: "a public half has another label", drift: func() {
			b.alter(publicHalf, id("2"), cryptoki.Bytes(cryptoki.CKA_LABEL, []byte("aside")))
		}},
		{name: "the next one is gone", drift: func() { b.destroy(id("3"), "privkey", "pubkey") },
			says: []remark{gone("3"), again("3")}},
		{name: "the current one is gone", drift: func() { b.destroy(id("2"), "privkey", "pubkey") },
			says: []remark{gone("2"), again("2")}},
		{name: "the next one has another ID", drift: func() { b.rename("web-3", "aside") },
			says: []remark{warns("Pair Of The Ring Not On The Token", "Give it its ID back", "--set-id "+id("3")),
				again("3")}},
		{name: "the current one has another ID", drift: func() { b.rename("web-2", "aside") }, // nobody says: destroy it
			says: []remark{warns("Pair Of The Ring Not On The Token", "Give it its ID back", "--set-id "+id("2")),
				again("2")}},
		{
			name: "all have other IDs", drift: func() {
				for _, generation := range []string{"1", "2", "3"} {
					b.rename("web-"+generation, "aside-"+generation)
				}
			},
			fails: []remark{unusable("Give the pair its ID back", "--type privkey --set-id "+id("1"))},
			mend: func() {
				for _, generation := range []string{"1", "2", "3"} {
					b.rename("aside-"+generation, "web-"+generation)
				}
			},
		},
		{
			name: "the current one's private half is gone", drift: func() { b.destroy(id("2"), "privkey") },
			fails: []remark{unusable("Generation 2", "the private key is missing", "destroy the half that is left")},
			mend:  func() { b.destroy(id("2"), "pubkey") }, says: []remark{gone("2"), again("2")},
		},
		{
			name: "the next one's public half is gone", drift: func() { b.destroy(id("3"), "pubkey") },
			fails: []remark{unusable("Generation 3", "the public key is missing")},
			mend:  func() { b.destroy(id("3"), "privkey") }, says: []remark{gone("3"), again("3")},
		},
		{
			name: "the previous one's private half is gone", drift: func() { b.destroy(id("1"), "privkey") },
			fails: []remark{unusable("Generation 1", "the private key is missing")},
			mend:  func() { b.destroy(id("1"), "pubkey") }, says: []remark{gone("1")},
			ends: "2 current web, 3 next web.standby",
		},
		{
			name: "the current one is there twice", drift: func() { second("2", "web") },
			fails: []remark{unusable("Generation 2", "all but one"), strays.maybe()},
		},
		{
			name: "another one with the label", drift: func() {
				b.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", "web", "--id", "07")
			},
			says: []remark{warns("Other Pairs Beside The Ring", `"web" (key_id 07)`,
				`Hydra signs with any pair that has the label "web"`)},
		},
		{
			name: "another one in the place of the next", drift: func() {
				b.destroy(id("3"), "privkey", "pubkey")
				second("3", "web.standby")
			},
			says: []remark{warns("Another Key Behind The Same ID", "Generation 3")},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			hsmtest.Needs(t, hsmtest.OtherEyes)
			w.t, b.t = t, t
			w.empty()
			r := newRing(nil)
			w.goes(r)
			w.goes(r.says("generation", 2))
			c.drift()
			if c.fails != nil {
				w.fails(r, c.fails...)
				if c.mend == nil {
					return
				}
				c.mend()
			}
			said := w.applies(nil, r)
			w.heard(withoutRepeats(said), c.says...)
			ends := turned
			if c.ends != "" {
				ends = c.ends
			}
			w.holds(r, ends)
			w.settled(r, warns("Other Pairs Beside The Ring").maybe())
		})
	}
}

// A pair with an ID of the ring is told from the ring's own, or somebody destroys the wrong one.
func TestKeyRingTellsAnotherPairOfItsID(t *testing.T) {
	t.Parallel()
	w := newRingWire(t)
	r := newRing(nil)
	w.goes(r)
	w.bench.Tool(t, "--keypairgen", "--key-type", "rsa:2048", "--usage-sign", "--label", "web", "--id", id("1"))
	w.settled(r, warns("Other Pairs Beside The Ring", "Generation 1 of the ring has the same ID, and the fingerprint "+
		of(r.state, "1", "public_key_fingerprint_sha256"), "may take the ring's own"))
}

// withoutRepeats leaves out what is said twice: by the plan, and by that of the apply.
func withoutRepeats(said diagnostics) (once diagnostics) {
	for _, d := range said {
		if !strings.Contains(once.String(), d.Detail) {
			once = append(once, d)
		}
	}
	return once
}

// empty destroys all objects on the token.
func (w ringWire) empty() {
	w.t.Helper()
	err := w.bench.Session(func(ctx context.Context, s *cryptoki.Session) error {
		found, err := s.FindObjects(ctx, nil)
		for _, object := range found {
			err = errors.Join(err, s.DestroyObject(ctx, object))
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// -replace and taint, with each policy. Terraform plans a second time, for -replace with the private state of the first
// plan, and destroys before it creates.
func TestKeyRingIsReplaced(t *testing.T) {
	t.Parallel()
	w := newRingWire(t)
	for _, tainted := range []bool{false, true} {
		for _, policy := range []string{"prevent", "abandon", "delete"} {
			w.empty()
			r := newRing(words{"deletion_policy": policy})
			w.goes(r)
			w.goes(r.says("generation", 2))
			w.goes(r.says("generation", 3)) // 1 is retired, and stays
			at := fmt.Sprintf("tainted %t, %s", tainted, policy)
			w.begins()
			if said := w.refresh(r); len(said) > 0 {
				t.Fatal(said)
			}
			second := *r
			second.state, second.identity = w.stateOf(&wired{typeName: r.typeName}), nil
			if tainted {
				second.private = nil
			} else {
				first, said := w.plan(r)
				if len(said) > 0 {
					t.Fatal(said)
				}
				second.private = first.PlannedPrivate
			}
			planned, said := w.plan(&second)
			switch policy {
			case "prevent":
				w.heard(said, fails("Key Ring Is Protected From Destruction", "terraform untaint", "-replace").
					pointing("deletion_policy"))
				continue
			case "abandon":
				w.heard(said, fails("Key ID Stays Taken", "raise generation").pointing("key_id_prefix"))
				continue
			}
			w.heard(said, warns("New Key Under An Old ID", "untaint").maybe())
			if told := len(said) > 0; told != tainted {
				t.Errorf("%s: it says\n%s", at, said)
			}
			w.begins()
			config := r.config
			r.config = nil
			w.heard(w.does(r, r.state), warns("Retired Pairs Stay On The Token", "generation 1",
				"or a higher generation"))
			r.config = config
			w.heard(w.does(r, w.static(r, planned.PlannedState)), warns("New Key Under An Old ID",
				id("3")+", "+id("4")))
			w.holds(r, "3 current web, 4 next web.standby")
			w.settled(r)
		}
	}
}

// The end of a ring, with each policy.
func TestKeyRingEnds(t *testing.T) {
	t.Parallel()
	w := newRingWire(t)
	for _, c := range []struct {
		policy string
		says   []remark
		left   int
	}{
		{"prevent", []remark{fails("Key Ring Is Protected From Destruction").pointing("deletion_policy")}, 4},
		{"abandon", []remark{warns("Key Stays On The Token", "its pairs stay on the token")}, 4},
		{"delete", []remark{warns("Retired Pairs Stay On The Token", "generation 1")}, 1},
	} {
		w.empty()
		r := newRing(words{"deletion_policy": c.policy})
		w.goes(r)
		w.goes(r.says("generation", 2))
		w.goes(r.says("generation", 3))
		r.config = nil
		w.heard(w.applies(nil, r), c.says...)
		if labels := w.labels(); len(labels) != c.left || labels[id("1")] != "web.retired web.retired" {
			t.Errorf("%s: the token has %v", c.policy, labels)
		}
	}
	// A tainted one, of which Terraform asks no plan.
	w.empty()
	protected := newRing(words{"deletion_policy": "prevent"})
	w.goes(protected)
	w.begins()
	protected.config = nil
	w.heard(w.does(protected, protected.state), fails("Key Ring Is Protected From Destruction").
		pointing("deletion_policy"))
	if labels := w.labels(); len(labels) != 2 {
		t.Errorf("the token has %v", labels)
	}
	// A pair that has another ID by now is not left there in silence.
	w.empty()
	r := newRing(nil)
	w.goes(r)
	w.begins()
	r.config = nil
	w.bench.rename("web-2", "aside")
	w.heard(w.does(r, r.state), fails("Unable to Delete Key Ring: Pair Of The Ring Not Usable", "--set-id "+id("2")))
	w.bench.rename("aside", "web-2")
	w.heard(w.does(r, r.state))
	if labels := w.labels(); len(labels) > 0 {
		t.Errorf("the token has %v", labels)
	}
	// Nor is another pair destroyed that has its ID.
	r = newRing(nil)
	w.goes(r)
	w.begins()
	r.config = nil
	w.bench.destroy(id("2"), "privkey", "pubkey")
	w.bench.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", "web.standby", "--id",
		id("2"))
	if said := w.does(r, r.state); !said.failed() || w.labels()[id("2")] != "web.standby web.standby" {
		t.Errorf("the token has %v, and it says:\n%s", w.labels(), said)
	}
}

// Somebody gives the public half of a retired pair a published label once more.
func TestKeyRingRetiresAPublicHalfOnceMore(t *testing.T) {
	t.Parallel()
	w := newRingWire(t)
	r := newRing(nil)
	for generation := 1; generation <= 3; generation++ {
		w.goes(r.says("generation", generation))
	}
	w.bench.alter(publicHalf, id("1"), cryptoki.Bytes(cryptoki.CKA_LABEL, []byte("web.standby")))
	w.goes(r)
	if labels := w.labels(); labels[id("1")] != "web.retired web.retired" {
		t.Errorf("the labels are %v", labels)
	}
}
