package provider_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// TestHydraServesWhatTheSetHas holds the profile "hydra" against what a Hydra serves, key by key and member by member.
func TestHydraServesWhatTheSetHas(t *testing.T) {
	b := newHydraBench(t)
	one := func(resourceType, name, label, kind string) string {
		return keyPairBlock(resourceType, name, nil, []string{
			line("label", label), fmt.Sprintf("key_id = \"%x\"", name), kind, line("deletion_policy", "delete"),
		})
	}
	several := func(name, label, kind string) string {
		return keyPairBlock("hsm_key_ring", name, nil, []string{
			line("label", label), "generation = 1", kind, line("deletion_policy", "delete"),
		})
	}
	sets := []string{
		"rsa.ring", "rsa.ring.standby", accessTokens + ".standby", "p521.ring", "p521.ring.standby", "p256", "p521",
	}
	config := b.config(
		one("hsm_rsa_keypair", "id", idTokens, "modulus_bits = 4096"),
		one("hsm_ec_keypair", "p256", "p256", `curve = "P-256"`),
		one("hsm_ec_keypair", "p521", "p521", `curve = "P-521"`),
		several("rsa", "rsa.ring", "modulus_bits = 4096"), several("access", accessTokens, `curve = "P-256"`),
		several("p521", "p521.ring", `curve = "P-521"`),
		jwks("all", `uris = concat([hsm_rsa_keypair.id.uri, hsm_ec_keypair.p256.uri, hsm_ec_keypair.p521.uri],
			hsm_key_ring.rsa.uris, hsm_key_ring.access.uris, hsm_key_ring.p521.uris)`, `profile = "hydra"`),
	)
	b.test(turn{TestStep: resource.TestStep{Config: config, ConfigStateChecks: []statecheck.StateCheck{
		attributes{"data.hsm_jwks.all", func(state map[string]any) error {
			want, err := keysOf(state["json"].(string))
			if err != nil {
				return err
			}
			h := b.hydra(sets...)
			defer h.stop() // before the keys are destroyed
			served, err := h.jwks()
			if err != nil {
				return err
			}
			have, err := keysOf(served)
			if err != nil {
				return err
			}
			if len(want) != 9 || !slices.Equal(have, want) {
				return fmt.Errorf("Hydra serves\n%s\nand the provider has\n%s", strings.Join(have, "\n"),
					strings.Join(want, "\n"))
			}
			token, err := h.accessToken()
			if err != nil {
				return err
			}
			if _, right, err := verify(token, state["json"].(string)); err != nil || !right {
				return fmt.Errorf("Hydra's access token verifies: %t, %w", right, err)
			}
			return nil
		}},
	}}})
}

// verify gives the kid that a JWT names, and whether its signature is that key's. It is an error if the set has no such
// key.
func verify(token, set string) (kid string, right bool, err error) {
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return "", false, err
	}
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(set), &keys); err != nil {
		return "", false, err
	}
	kid = parsed.Signatures[0].Header.KeyID
	named := keys.Key(kid)
	if len(named) == 0 {
		return kid, false, errors.New("the set has no key with the token's kid")
	}
	_, err = parsed.Verify(named[0])
	return kid, err == nil, nil
}

// TestHydraRotates turns a ring twenty times under a Hydra that issues tokens and serves its keys all the time.
func TestHydraRotates(t *testing.T) {
	const byHand, rotations = 17, 20
	b := newHydraBench(t)
	w := &watch{b: b}
	b.hooks = []hsm.Hook{w.hook}
	ctx := context.Background()
	token, err := hsm.Open(ctx, b.Config(w.hook))
	if err != nil {
		t.Fatal(err)
	}
	defer token.Close()
	b.signer(idTokens, "id-1")
	rotate := func(generation int) {
		t.Helper()
		w.turning(generation)
		if _, _, err := token.Turn(ctx, hsm.Ring{
			RingLabels: hsm.RingLabels{
				Current: accessTokens, Standby: accessTokens + ".standby", Retired: accessTokens + ".retired",
			},
			Prefix: accessTokens + "-", Generation: generation, Previous: 1, Destroy: true, Pause: time.Second,
			Template: object.Template{Type: object.EC, Curve: publickey.P256, Usage: object.Sign},
		}); err != nil {
			t.Fatalf("turning to generation %d: %v", generation, err)
		}
		w.turned(generation)
	}
	rotate(1)
	w.hydraServer = b.hydra(accessTokens + ".standby")
	w.begin()
	defer w.end()
	for generation := 2; generation <= byHand+1; generation++ {
		rotate(generation)
	}
	config := func(generation int) string {
		return b.config(fmt.Sprintf(`
			import {
			  to = hsm_key_ring.r
			  id = %q
			}
			resource "hsm_key_ring" "r" {
			  label            = %q
			  generation       = %d
			  curve            = "P-256"
			  min_publish_time = "0s"
			  retired          = "destroy"
			  deletion_policy  = "abandon"
			}`, accessTokens, accessTokens, generation))
	}
	turns := []turn{{TestStep: resource.TestStep{Config: config(byHand + 1)}}}
	for generation := byHand + 2; generation <= rotations+1; generation++ {
		turns = append(turns, turn{TestStep: resource.TestStep{
			PreConfig: func() { w.turning(generation) },
			Config:    config(generation),
			ConfigStateChecks: []statecheck.StateCheck{holds(func() error {
				w.turned(generation)
				return nil
			})},
		}})
	}
	b.test(turns...)
	w.end()
	w.judge()
	kept := signing(idTokens, "69642d31")
	for generation, label := range map[int]string{rotations: ".standby", rotations + 1: "", rotations + 2: ".standby"} {
		kept = append(kept, signing(accessTokens+label, fmt.Sprintf("%x", accessTokens+"-"+strconv.Itoa(generation)))...)
	}
	b.expect(kept...) // and no key of Hydra's own
}

// span is a time in which something happened.
type span struct{ begin, end time.Time }

func (s span) overlaps(others []span) bool {
	return slices.ContainsFunc(others, func(o span) bool { return s.begin.Before(o.end) && o.begin.Before(s.end) })
}

// watch is what clients of a Hydra see while a ring turns: whole answers, judged when all has ended.
type watch struct {
	*hydraServer
	b    *bench
	stop chan struct{}
	all  sync.WaitGroup

	mu        sync.Mutex
	relabels  []span            // calls that change a label
	turns     []span            // each from before the first call to after the last
	published map[int]time.Time // since when each generation is published for certain
	gone      map[int]time.Time // until when
	answers   []setSeen
	tokens    []issued
	failures  []failed
}

// setSeen is an answer of the JWKS: how often it has each generation.
type setSeen struct {
	span
	generations map[int]int
	foreign     []string // what has another kid
}

// issued is a token, and the generation that its kid names.
type issued struct {
	span
	generation int
	right      bool      // the signature is that generation's
	sought     time.Time // until when no set had that generation, if none did
}

type failed struct {
	span
	err error
}

// hook notes when labels change. Hydra sees a change at its next look.
func (w *watch) hook(_ context.Context, call *cryptoki.Call, next func() error) error {
	if call.Function != "C_SetAttributeValue" {
		return next()
	}
	begin := time.Now()
	err := next()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.relabels = append(w.relabels, span{begin, time.Now()})
	return err
}

// turning says that the ring is about to turn to a generation, which ends the time of the one before the last.
func (w *watch) turning(generation int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone == nil {
		w.gone, w.published = map[int]time.Time{}, map[int]time.Time{}
	}
	w.gone[generation-2] = time.Now()
	w.turns = append(w.turns, span{begin: time.Now()})
}

// turned says that it has, and has published the next one.
func (w *watch) turned(generation int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.turns[len(w.turns)-1].end = time.Now()
	for _, g := range []int{generation, generation + 1} {
		if _, ok := w.published[g]; !ok {
			w.published[g] = time.Now()
		}
	}
}

// begin starts the clients: two that get tokens and verify each with the set as it is served then, and two that fetch
// the set.
func (w *watch) begin() {
	w.stop = make(chan struct{})
	for range 2 {
		w.client(w.verify)
		w.client(func() { w.fetch() })
	}
}

func (w *watch) client(ask func()) {
	w.all.Go(func() {
		for {
			ask()
			select {
			case <-w.stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
}

// end ends the clients.
func (w *watch) end() {
	select {
	case <-w.stop:
	default:
		close(w.stop)
	}
	w.all.Wait()
}

func (w *watch) failed(begin time.Time, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures = append(w.failures, failed{span{begin, time.Now()}, err})
}

// fetch fetches the set. It is "" where Hydra failed, as it may while the token's files change.
func (w *watch) fetch() (set string) {
	begin := time.Now()
	set, err := w.jwks()
	if err != nil {
		w.failed(begin, err)
		return ""
	}
	answer := setSeen{span: span{begin, time.Now()}, generations: map[int]int{}}
	var parsed struct{ Keys []struct{ Kid string } }
	if err := json.Unmarshal([]byte(set), &parsed); err != nil {
		w.failed(begin, err)
		return ""
	}
	for _, key := range parsed.Keys {
		if generation := generationOf(key.Kid); generation > 0 {
			answer.generations[generation]++
		} else if key.Kid != "id-1" {
			answer.foreign = append(answer.foreign, key.Kid)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers = append(w.answers, answer)
	return set
}

// generationOf is the generation of a kid, 0 where it is not the ring's.
func generationOf(kid string) int {
	number, ours := strings.CutPrefix(kid, accessTokens+"-")
	generation, err := strconv.Atoi(number)
	if !ours || err != nil {
		return 0
	}
	return generation
}

// verify gets a token and verifies it. A set that lacks its key is judged as every other.
func (w *watch) verify() {
	begin := time.Now()
	token, err := w.accessToken()
	if err != nil {
		w.failed(begin, err)
		return
	}
	got := issued{span: span{begin, time.Now()}}
	for range 10 {
		set := w.fetch()
		if set == "" {
			set = `{"keys":[]}`
		}
		var kid string
		kid, got.right, err = verify(token, set)
		got.generation = generationOf(kid)
		if err == nil {
			got.sought = time.Time{}
			break
		}
		got.sought = time.Now()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tokens = append(w.tokens, got)
}

// settling are the times in which Hydra may see changes: from each change to the end of the requests that it met.
// Hydra's threads share one view of the token. While one of them still reads its files anew, the others go on with the
// old view.
func (w *watch) settling(changes []span) []span {
	var requests []span
	for _, answer := range w.answers {
		requests = append(requests, answer.span)
	}
	for _, token := range w.tokens {
		requests = append(requests, token.span)
	}
	for _, failure := range w.failures {
		requests = append(requests, failure.span)
	}
	settling := slices.Clone(changes)
	for i, change := range changes {
		for _, request := range requests {
			if request.overlaps([]span{change}) && request.end.After(settling[i].end) {
				settling[i].end = request.end
			}
		}
	}
	return settling
}

// sinceLast is how long before a moment the last change ended.
func sinceLast(changes []span, moment time.Time) time.Duration {
	var last time.Time
	for _, change := range changes {
		if change.end.Before(moment) && change.end.After(last) {
			last = change.end
		}
	}
	return moment.Sub(last)
}

// judge says what the clients may not see, and logs how often they saw what they may. A search of the token that a
// label changes under may miss a pair or find it twice, since Hydra reads its key sets side by side; and it looks its
// key up twice for a token. Both need a change of a label in the time of the request.
func (w *watch) judge() {
	t := w.b.t
	t.Helper()
	relabels, turns := w.settling(w.relabels), w.settling(w.turns)
	var lacking, twice, wrong int
	signed := map[int]bool{}
	for _, token := range w.tokens {
		switch {
		case token.generation == 0:
			t.Errorf("a token of %v has no kid of the ring's", token.begin)
		case !token.sought.IsZero():
			if until, ends := w.gone[token.generation]; !ends || token.sought.Before(until) {
				t.Errorf("none of ten sets had generation %d, which signed a token of %v", token.generation, token.begin)
			}
		case token.right:
			signed[token.generation] = true
		default:
			wrong++
			if !token.overlaps(relabels) {
				t.Errorf("a token of %v has the kid of generation %d and another signature, and no label changed then: "+
					"the last one did %s before", token.begin, token.generation, sinceLast(w.relabels, token.begin))
			}
		}
	}
	for _, answer := range w.answers {
		if len(answer.foreign) > 0 {
			t.Errorf("Hydra serves keys that it made itself: %q", answer.foreign)
		}
		for generation, since := range w.published {
			until, ends := w.gone[generation]
			n := answer.generations[generation]
			switch {
			case n == 1, answer.begin.Before(since), ends && answer.end.After(until):
				continue
			case n == 0:
				lacking++
			default:
				twice++
			}
			if !answer.overlaps(relabels) {
				t.Errorf("an answer of %v has generation %d %d times, and no label changed then: the last one did %s before",
					answer.begin, generation, n, sinceLast(w.relabels, answer.begin))
			}
		}
	}
	// A search that failed in a turn can stay active in its session, which Hydra keeps, and fails with now and then.
	said, err := os.ReadFile(w.log)
	if err != nil {
		t.Fatal(err)
	}
	active := bytes.Contains(said, []byte("CKR_OPERATION_ACTIVE"))
	inTurns := false
	slices.SortFunc(w.failures, func(a, b failed) int { return a.begin.Compare(b.begin) })
	for _, failure := range w.failures {
		if failure.overlaps(turns) {
			inTurns = true
		} else if !active || !inTurns {
			t.Errorf("Hydra failed at %v, and the ring did not turn then, but ended that %s before: %v", failure.begin,
				sinceLast(w.turns, failure.begin), failure.err)
		}
	}
	for generation := range len(w.turns) {
		if !signed[generation+1] {
			t.Errorf("generation %d has signed nothing", generation+1)
		}
	}
	t.Logf("%d rotations, %d changes of a label: of %d tokens, %d had the kid of one key and the signature of another; "+
		"of %d sets, %d lacked a key and %d had one twice; Hydra failed %d times",
		len(w.turns)-1, len(w.relabels), len(w.tokens), wrong, len(w.answers), lacking, twice, len(w.failures))
}

// TestHydraDoesWhatThePlanSays does what users do wrong. The plan of a set tells it before, and then a Hydra does it.
func TestHydraDoesWhatThePlanSays(t *testing.T) {
	const extra = "extra"
	for name, c := range hsmtest.InOrder(map[string]struct {
		make func(*bench)
		says remark
		does func(*bench, *hydraServer) bool
	}{
		"a key set is published and empty": {
			func(*bench) {},
			fails("No Such Key Pair", `"extra"`).pointing("labels[2]"),
			func(b *bench, h *hydraServer) bool { // it makes a key of its own
				own := func(h half) bool { return h.label == extra }
				return len(h.serves()) == 3 && slices.ContainsFunc(b.halves(), own)
			},
		},
		"two keys have the label that signs": {
			func(b *bench) { b.signer(extra, "k3"); b.signer(accessTokens, "k4") },
			warns("Hydra Signs With Any Of Several Keys", "6b32", "6b34").pointing("profile"),
			func(b *bench, h *hydraServer) bool { // nobody has said with which
				token, err := h.accessToken()
				if err != nil {
					b.t.Fatal(err)
				}
				set, err := h.jwks()
				if err != nil {
					b.t.Fatal(err)
				}
				kid, right, err := verify(token, set)
				return err == nil && right && (kid == "k2" || kid == "k4") && len(h.serves()) == 4
			},
		},
		"an RSA key is too small": {
			func(b *bench) { b.make(extra, "6b33") },
			fails("Not Fit For Hydra", `"extra" (key_id 6b33): its modulus has 2048 bits`).pointing("profile"),
			func(_ *bench, h *hydraServer) bool { // it serves nothing at all
				_, err := h.jwks()
				return err != nil && strings.Contains(err.Error(), "Unsupported RSA key length")
			},
		},
		"a key may decrypt": { // as pkcs11-tool makes it
			func(b *bench) {
				b.Tool(b.t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", extra,
					"--id", "6b33")
			},
			fails("Not Fit For Hydra", `"extra" (key_id 6b33): it may sign and decrypt`).pointing("profile"),
			func(_ *bench, h *hydraServer) bool { return h.serves()["k3"] == "enc" },
		},
	}) {
		t.Run(name, func(t *testing.T) {
			b := newHydraBench(t)
			b.signer(idTokens, "k1")
			b.signer(accessTokens, "k2")
			c.make(b)
			labels := fmt.Sprintf("labels = [%q, %q, %q]", idTokens, accessTokens, extra)
			b.test(turn{
				TestStep: resource.TestStep{Config: b.config(jwks("x", labels, `profile = "hydra"`))},
				says:     []remark{c.says},
			})
			if !c.does(b, b.hydra(extra)) {
				t.Error("Hydra does not do what the plan says")
			}
		})
	}
}

// signer makes a pair that signs and does nothing else.
func (b *bench) signer(label, id string) {
	b.t.Helper()
	ctx := context.Background()
	token, err := hsm.Open(ctx, b.Config())
	if err != nil {
		b.t.Fatal(err)
	}
	defer token.Close()
	if _, err := token.Generate(ctx, signer(label, id)); err != nil {
		b.t.Fatal(err)
	}
}

func signer(label, id string) object.Template {
	return object.Template{Type: object.EC, Curve: publickey.P256, Usage: object.Sign, ID: []byte(id), Label: label}
}

// serves is the use of each key that Hydra serves, by kid. It ends an answer after some seconds that takes longer, as
// one may for which it makes an RSA key, and it makes that all the same.
func (h *hydraServer) serves() map[string]string {
	h.b.t.Helper()
	set, err := h.jwks()
	for end := time.Now().Add(hydraStart); err != nil && time.Now().Before(end); set, err = h.jwks() {
		time.Sleep(time.Second)
	}
	if err != nil {
		h.b.t.Fatal(err)
	}
	var parsed struct{ Keys []struct{ Kid, Use string } }
	if err := json.Unmarshal([]byte(set), &parsed); err != nil {
		h.b.t.Fatal(err)
	}
	uses := map[string]string{}
	for _, key := range parsed.Keys {
		uses[key.Kid] = key.Use
	}
	return uses
}
