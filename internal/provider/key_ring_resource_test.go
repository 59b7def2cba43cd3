package provider_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

const ringAddress = "hsm_key_ring.r"

// ring is the block of the key ring hsm_key_ring.r, with the label web, on P-256, without a time of publication and
// with the policy "delete", where the lines say nothing of that.
func ring(lines ...string) string {
	return keyPairBlock("hsm_key_ring", "r", map[string]string{
		"label": `"web"`, "curve": `"P-256"`, "min_publish_time": `"0s"`, "deletion_policy": `"delete"`,
	}, lines)
}

// TestKeyRingTurns takes a ring through all that a user does to it, beside a set that takes its uris: six rotations
// with none to three past pairs published, back, an emergency, RSA to EC, other labels, what is retired kept or
// destroyed. The set has what the ring publishes, once the ring has turned, and no plan after it corrects it.
func TestKeyRingTurns(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	set := jwks("s", "uris = "+ringAddress+".uris")
	fingerprints := map[string]any{}
	var turns []turn
	step := func(lines, want string, left ...string) {
		checks := []statecheck.StateCheck{inRing(fingerprints, want), inSet(want), b.holding(onToken(want, left...)...)}
		config := b.config(ring(strings.Split(lines, "; ")...), set)
		turns = append(turns, turn{TestStep: resource.TestStep{Config: config, ConfigStateChecks: checks}})
	}
	const rsa, ec = "modulus_bits = 2048; curve = null; ", `curve = "P-256"; `
	step(rsa+"generation = 1", "1 current web RS256, 2 next web.standby RS256")
	step(ec+"generation = 2; previous = 3",
		"1 previous web.standby RS256, 2 current web RS256, 3 next web.standby ES256")
	step(ec+"generation = 3; previous = 3",
		"1 previous web.standby RS256, 2 previous web.standby RS256, 3 current web ES256, 4 next web.standby ES256")
	step(ec+"generation = 2; previous = 3", // back
		"1 previous web.standby RS256, 2 current web RS256, 3 next web.standby ES256, 4 next web.standby ES256")
	step(ec+"generation = 3; previous = 0", // an emergency
		"3 current web ES256, 4 next web.standby ES256", "1 web.retired RS256", "2 web.retired RS256")
	step(ec+`generation = 3; previous = 2; label = "app"`,
		"3 current app ES256, 4 next app.standby ES256", "1 app.retired RS256", "2 app.retired RS256")
	step(ec+`generation = 4; previous = 2; label = "app"; retired_label = "old"`,
		"3 previous app.standby ES256, 4 current app ES256, 5 next app.standby ES256", "1 old RS256", "2 old RS256")
	step(ec+`generation = 5; previous = 0; label = "app"; standby_label = "spare"; retired = "destroy"`,
		"5 current app ES256, 6 next spare ES256", "1 app.retired RS256", "2 app.retired RS256")
	last := b.config(ring(strings.Split(ec+`generation = 6; previous = 1; label = "app"`, "; ")...), set)
	step(ec+`generation = 6; previous = 1; label = "app"`,
		"5 previous app.standby ES256, 6 current app ES256, 7 next app.standby ES256", "1 app.retired RS256",
		"2 app.retired RS256")
	turns = append(turns, turn{
		TestStep: resource.TestStep{Config: last, PlanOnly: true},
		says:     []remark{warns(`Retired Pairs Stay On The Token: "app"`, "generation 1", "generation 2").maybe()},
	})
	b.test(turns...)
	b.expect(onToken("", "1 app.retired RS256", "2 app.retired RS256")...)
}

// inRing compares the pairs in the state with such a text: "1 current web ES256, 2 next web.standby ES256". It keeps
// the fingerprints of generations, and no generation may get another one.
func inRing(fingerprints map[string]any, want string) statecheck.StateCheck {
	return attributes{ringAddress, func(state map[string]any) error {
		var have []string
		keys := state["keys"].(map[string]any)
		for _, generation := range slices.Sorted(maps.Keys(keys)) {
			key := keys[generation].(map[string]any)
			_, alg, _ := strings.Cut(key["jwk"].(string), `"alg":"`)
			alg, _, _ = strings.Cut(alg, `"`)
			have = append(have, fmt.Sprintf("%s %s %s %s", generation, key["role"], key["label"], alg))
			if was, ok := fingerprints[generation]; ok && was != key[fingerprint] {
				return fmt.Errorf("generation %s is another pair", generation)
			}
			fingerprints[generation] = key[fingerprint]
			if key["kid"] != "web-"+generation || key["published_since"] == nil ||
				!strings.Contains(key["jwk"].(string), `"kid":"web-`+generation+`"`) {
				return fmt.Errorf("generation %s is %v", generation, key)
			}
		}
		if text := strings.Join(have, ", "); text != want {
			return fmt.Errorf("the ring is %s, and not %s", text, want)
		}
		uris, current := state["uris"].([]any), state["current"].(map[string]any)
		if len(uris) != len(keys) || current["role"] != "current" || state["rotation_possible_at"] == nil {
			return fmt.Errorf("%v are published, and the current one is %v", uris, current)
		}
		return nil
	}}
}

// inSet wants in the set s what inRing wants in the ring.
func inSet(want string) statecheck.StateCheck {
	var rows []string
	for pair := range strings.SplitSeq(want, ", ") {
		words := strings.Fields(pair)
		kty := map[string]string{"RS256": "RSA", "ES256": "EC"}[words[3]]
		rows = append(rows, fmt.Sprintf("%s %s web-%s %s sig %s", words[2], id(words[0]), words[0], kty, words[3]))
	}
	return keySet("s", rows...)
}

// onToken are the halves of what inRing wants, and of other pairs: "1 web.retired RS256".
func onToken(want string, others ...string) (all []half) {
	for pair := range strings.SplitSeq(want, ", ") {
		if words := strings.Fields(pair); len(words) > 0 {
			all = append(all, signing(words[2], id(words[0]))...)
		}
	}
	for _, other := range others {
		words := strings.Fields(other)
		all = append(all, signing(words[1], id(words[0]))...)
	}
	return all
}

// ofState compares what the state shows of the ring.
func ofState(want map[string]any) statecheck.StateCheck {
	return attributes{ringAddress, func(state map[string]any) error {
		for name, value := range want {
			if fmt.Sprint(state[name]) != fmt.Sprint(value) {
				return fmt.Errorf("%s is %v, and not %v", name, state[name], value)
			}
		}
		return nil
	}}
}

// Two single key pairs become a ring, which turns, and falls apart into single ones again.
func TestKeyRingTakesSingleKeyPairsAndGivesThemBack(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	single := func(name, label, id string, lines ...string) string {
		return keyPairBlock("hsm_ec_keypair", name, nil, append(lines, `curve = "P-256"`, fmt.Sprintf("label = %q",
			label), fmt.Sprintf("key_id = \"%x\"", id)))
	}
	const forget = `
		removed {
		  from = %s
		  lifecycle { destroy = false }
		}
	`
	taken := fmt.Sprintf(forget, "hsm_ec_keypair.one") + fmt.Sprintf(forget, "hsm_ec_keypair.two") + `
		import {
		  to = hsm_key_ring.r
		  id = "web"
		}
	`
	b.test(
		turn{TestStep: resource.TestStep{Config: b.config(single("one", "web", "k1"), single("two", "web.standby",
			"k2"))}},
		turn{TestStep: resource.TestStep{
			Config: b.config(taken, ring("generation = 1", `key_id_prefix = "k"`)),
			ConfigStateChecks: []statecheck.StateCheck{
				ofState(map[string]any{"key_id_prefix": "k", "modulus_bits": nil, "previous": 1}),
				b.holding(append(signing("web", "6b31"), signing("web.standby", "6b32")...)...),
			},
		}},
		turn{TestStep: resource.TestStep{
			ResourceName: ringAddress, ImportState: true, ImportStateId: "web", ImportStateVerify: true,
			ImportStateVerifyIdentifierAttribute: "label",
			ImportStateVerifyIgnore: []string{"deletion_policy", "min_publish_time", "keys", "current",
				"rotation_possible_at"},
		}},
		turn{TestStep: resource.TestStep{Config: b.config(ring("generation = 2", `key_id_prefix = "k"`))}},
		turn{
			TestStep: resource.TestStep{
				Config: b.config(ring("generation = 2", `key_id_prefix = "k"`), single("one", "web.standby", "k1"), `
					import {
					  to = hsm_ec_keypair.one
					  id = "6b31"
					}
				`), PlanOnly: true,
			},
			says: []remark{fails("One Key In Two Resources", "hsm_key_ring", "hsm_ec_keypair").pointing("key_id")},
		},
		turn{TestStep: resource.TestStep{
			Config: b.config(fmt.Sprintf(forget, ringAddress), single("one", "web.standby", "k1"), single("two", "web",
				"k2"),
				`
				import {
				  to = hsm_ec_keypair.one
				  id = "6b31"
				}
				import {
				  to = hsm_ec_keypair.two
				  id = "6b32"
				}
			`),
			ConfigStateChecks: []statecheck.StateCheck{
				b.holding(slices.Concat(signing("web.standby", "6b31"), signing("web", "6b32"), signing("web.standby",
					"6b33"))...),
			},
		}},
		turn{TestStep: resource.TestStep{
			Config: b.config(single("one", "web.standby", "k1", `deletion_policy = "delete"`), single("two", "web",
				"k2", `deletion_policy = "delete"`)),
		}},
	)
	b.expect(signing("web.standby", "6b33")...)
}

// rename gives both halves of a pair another ID, as another tool does.
func (b *bench) rename(id, to string) {
	b.t.Helper()
	for _, class := range []uint{privateHalf, publicHalf} {
		b.alter(class, fmt.Sprintf("%x", id), cryptoki.Bytes(cryptoki.CKA_ID, []byte(to)))
	}
}

// relabel gives both halves of a pair of the ring another label, as another tool does.
func (b *bench) relabel(id, label string) {
	b.t.Helper()
	for _, class := range []uint{privateHalf, publicHalf} {
		b.alter(class, fmt.Sprintf("%x", id), cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(label)))
	}
}
