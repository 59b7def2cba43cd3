package provider_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

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

// inRing compares the pairs in the state with such a text: "1 previous web.standby, 2 current web, 3 next web.standby".
// It keeps the fingerprints of generations, and no generation may get another one.
func inRing(fingerprints map[string]any, want string) statecheck.StateCheck {
	return attributes{ringAddress, func(state map[string]any) error {
		var have []string
		keys := state["keys"].(map[string]any)
		for _, generation := range slices.Sorted(maps.Keys(keys)) {
			key := keys[generation].(map[string]any)
			have = append(have, fmt.Sprintf("%s %s %s", generation, key["role"], key["label"]))
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

// ofRing are the halves of the ring's pairs on the token: "web.standby 1".
func ofRing(pairs ...string) (all []half) {
	for _, pair := range pairs {
		label, generation, _ := strings.Cut(pair, " ")
		all = append(all, signing(label, fmt.Sprintf("%x", "web-"+generation))...)
	}
	return all
}

func TestKeyRingTurns(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	known := map[string]any{}
	key := func(generation string, rest ...string) tfjsonpath.Path {
		at := tfjsonpath.New("keys").AtMapKey(generation)
		for _, name := range rest {
			at = at.AtMapKey(name)
		}
		return at
	}
	b.test(
		turn{TestStep: resource.TestStep{
			Config: b.config(ring("generation = 1")),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(ringAddress, plancheck.ResourceActionCreate),
				plancheck.ExpectKnownValue(ringAddress, key("1", "role"), knownvalue.StringExact("current")),
				plancheck.ExpectKnownValue(ringAddress, key("2", "kid"), knownvalue.StringExact("web-2")),
				plancheck.ExpectUnknownValue(ringAddress, key("2", "uri")),
			}},
			ConfigStateChecks: []statecheck.StateCheck{
				inRing(known, "1 current web, 2 next web.standby"), b.holding(ofRing("web 1", "web.standby 2")...),
			},
		}},
		turn{TestStep: resource.TestStep{Config: b.config(ring("generation = 1")), PlanOnly: true}},
		turn{
			TestStep: resource.TestStep{Config: b.config(ring("generation = 2", `min_publish_time = "24h"`)),
				PlanOnly: true},
			says: []remark{fails("Rotation Too Early", "published since", `min_publish_time = "0s"`).pointing("generation")},
		},
		turn{
			TestStep: resource.TestStep{Config: b.config(ring("generation = 3")), PlanOnly: true},
			says:     []remark{fails("Ring Turns By One", "generation = 2").pointing("generation")},
		},
		turn{TestStep: resource.TestStep{
			Config: b.config(ring("generation = 2")),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(ringAddress, plancheck.ResourceActionUpdate),
				plancheck.ExpectKnownValue(ringAddress, key("1", "role"), knownvalue.StringExact("previous")),
				plancheck.ExpectKnownValue(ringAddress, key("2", "label"), knownvalue.StringExact("web")),
				plancheck.ExpectKnownValue(ringAddress, key("3", "role"), knownvalue.StringExact("next")),
				plancheck.ExpectUnknownValue(ringAddress, key("3", "jwk")),
			}},
			ConfigStateChecks: []statecheck.StateCheck{inRing(known, "1 previous web.standby, 2 current web, 3 next "+
				"web.standby")},
		}},
		turn{TestStep: resource.TestStep{
			Config: b.config(ring("generation = 3")),
			ConfigStateChecks: []statecheck.StateCheck{
				inRing(known, "2 previous web.standby, 3 current web, 4 next web.standby"),
				b.holding(ofRing("web.retired 1", "web.standby 2", "web 3", "web.standby 4")...),
			},
		}},
		turn{TestStep: resource.TestStep{ // back
			Config: b.config(ring("generation = 2")),
			ConfigStateChecks: []statecheck.StateCheck{inRing(known, "2 current web, 3 next web.standby, 4 next "+
				"web.standby")},
		}},
		turn{
			TestStep: resource.TestStep{Config: b.config(ring("generation = 1")), PlanOnly: true},
			says:     []remark{fails("Generation Is Published No More", "generation = 3").pointing("generation")},
		},
		turn{TestStep: resource.TestStep{ // an emergency
			Config: b.config(ring("generation = 3", "previous = 0", `retired = "destroy"`)),
			ConfigStateChecks: []statecheck.StateCheck{
				inRing(known, "3 current web, 4 next web.standby"), b.holding(ofRing("web.retired 1", "web 3",
					"web.standby 4")...),
			},
		}},
		turn{ // drift: two have exchanged their labels
			TestStep: resource.TestStep{
				PreConfig: func() {
					b.relabel("web-3", "web.standby")
					b.relabel("web-4", "web")
				},
				Config: b.config(ring("generation = 3", "previous = 0", `retired = "destroy"`)),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(ringAddress, plancheck.ResourceActionUpdate),
				}},
				ConfigStateChecks: []statecheck.StateCheck{
					inRing(known, "3 current web, 4 next web.standby, 5 next web.standby"),
				},
			},
			says: []remark{
				warns(`Pair Of The Ring Has Another Label: "web"`, "web.standby"),
				warns(`Retired Pairs Stay On The Token: "web"`, "generation 1"),
			},
		},
	)
	b.expect(ofRing("web.retired 1")...)
}

// A set that takes the ring's uris has what the ring publishes, once the ring has turned. The next plan has nothing to
// correct.
func TestKeyRingInASet(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	set := jwks("s", "uris = "+ringAddress+".uris", `profile = "hydra"`)
	in := func(pairs ...string) statecheck.StateCheck {
		var rows []string
		for _, pair := range pairs {
			label, generation, _ := strings.Cut(pair, " ")
			rows = append(rows, fmt.Sprintf("%s %x web-%s EC sig ES256", label, "web-"+generation, generation))
		}
		return keySet("s", rows...)
	}
	other := b.config(ring("generation = 2", `label = "app"`, `key_id_prefix = "web-"`), set)
	b.test(
		turn{TestStep: resource.TestStep{
			Config: b.config(ring("generation = 1"), set), ConfigStateChecks: []statecheck.StateCheck{in("web 1",
				"web.standby 2")},
		}},
		turn{TestStep: resource.TestStep{
			Config:            b.config(ring("generation = 2"), set),
			ConfigStateChecks: []statecheck.StateCheck{in("web.standby 1", "web 2", "web.standby 3")},
		}},
		turn{TestStep: resource.TestStep{
			Config:            b.config(ring("generation = 2", "previous = 0", `retired = "destroy"`), set),
			ConfigStateChecks: []statecheck.StateCheck{in("web 2", "web.standby 3")},
		}},
		turn{TestStep: resource.TestStep{
			Config: other, ConfigStateChecks: []statecheck.StateCheck{in("app 2", "app.standby 3")},
		}},
		turn{TestStep: resource.TestStep{Config: other, PlanOnly: true}},
	)
	b.expect()
}

// A ring is half made when its apply fails. It is never made beside what is there: an import takes that, and the next
// apply does the rest.
func TestKeyRingThatIsHalfMade(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	unchangeable := func() {
		b.faults.Inject(hsmtest.Fault{Function: "C_SetAttributeValue", Nth: 1,
			Code: cryptoki.CKR_FUNCTION_NOT_SUPPORTED, Onwards: true})
	}
	there := warns(`Ring Already On The Token: "web"`, "generation 1", "terraform import hsm_key_ring.NAME web").pointing("label")
	b.test(
		turn{
			TestStep: resource.TestStep{PreConfig: unchangeable, Config: b.config(ring("generation = 1")),
				PlanOnly: true},
			says: []remark{fails("No Ring On This Token", "C_SetAttributeValue")},
		},
		turn{
			TestStep: resource.TestStep{
				PreConfig: func() {
					b.faults.Clear()
					b.faults.Inject(hsmtest.Fault{Function: "C_GenerateKeyPair", Nth: 2,
						Code: cryptoki.CKR_DEVICE_MEMORY, Onwards: true})
				},
				Config: b.config(ring("generation = 1")),
			},
			says: []remark{
				fails("Unable to Create Key Ring: Token Full", "web.standby"),
				warns(`Ring Half Made: "web"`, `make generation 1 under "web"`, "terraform import hsm_key_ring.NAME "+
					"web"),
			},
		},
		turn{
			TestStep: resource.TestStep{PreConfig: b.faults.Clear, Config: b.config(ring("generation = 1"))},
			says: []remark{there, fails("Unable to Create Key Ring: Ring Already On The Token",
				"generation 1").pointing("label")},
		},
		turn{TestStep: resource.TestStep{
			Config: b.config(ring("generation = 1"), "import {\n  to = hsm_key_ring.r\n  id = \"web\"\n}\n"),
			ConfigStateChecks: []statecheck.StateCheck{
				inRing(map[string]any{}, "1 current web, 2 next web.standby"), b.holding(ofRing("web 1",
					"web.standby 2")...),
			},
		}},
		turn{
			TestStep: resource.TestStep{Config: b.config(ring("generation = 2", `min_publish_time = "1h"`)),
				PlanOnly: true},
			says: []remark{fails("Rotation Too Early").pointing("generation")},
		},
	)
	b.expect()
}

// A ring of RSA pairs becomes one on a curve by rotating. A tainted one is kept by its policy.
func TestKeyRingBecomesEC(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	known := map[string]any{}
	of := func(lines ...string) string {
		return b.config(keyPairBlock("hsm_key_ring", "r", map[string]string{"label": `"web"`,
			"min_publish_time": `"0s"`}, lines))
	}
	types := func(want string) statecheck.StateCheck {
		return attributes{ringAddress, func(state map[string]any) error {
			var have []string
			keys := state["keys"].(map[string]any)
			for _, generation := range slices.Sorted(maps.Keys(keys)) {
				kind := "RSA"
				if strings.Contains(keys[generation].(map[string]any)["jwk"].(string), "P-256") {
					kind = "EC"
				}
				have = append(have, kind)
			}
			if text := strings.Join(have, ", "); text != want {
				return fmt.Errorf("the pairs are %s, and not %s", text, want)
			}
			return nil
		}}
	}
	b.test(
		turn{TestStep: resource.TestStep{
			Config: of("generation = 1", "modulus_bits = 2048"),
			ConfigStateChecks: []statecheck.StateCheck{
				types("RSA, RSA"), inRing(known, "1 current web, 2 next web.standby"),
			},
		}},
		turn{TestStep: resource.TestStep{
			Config: of("generation = 2", `curve = "P-256"`),
			ConfigStateChecks: []statecheck.StateCheck{
				types("RSA, RSA, EC"), ofState(map[string]any{"modulus_bits": nil}),
			},
		}},
		turn{TestStep: resource.TestStep{
			Config: of("generation = 3", `curve = "P-256"`),
			ConfigStateChecks: []statecheck.StateCheck{
				types("RSA, EC, EC"), inRing(known, "2 previous web.standby, 3 current web, 4 next web.standby"),
			},
		}},
		turn{
			TestStep: resource.TestStep{Taint: []string{ringAddress}, Config: of("generation = 3", `curve = "P-256"`)},
			says: []remark{
				warns(`Ring Already On The Token: "web"`, "terraform untaint").pointing("label"),
				fails("Key Ring Is Protected From Destruction", "terraform untaint").pointing("deletion_policy"),
			},
		},
		turn{TestStep: resource.TestStep{
			Config: b.config("removed {\n  from = hsm_key_ring.r\n  lifecycle {\n    destroy = false\n  }\n}\n"),
		}},
	)
	b.expect(ofRing("web.retired 1", "web.standby 2", "web 3", "web.standby 4")...)
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

// A pair is lost: the one that signs by the next one's turn, and the next one only where deletion_policy lets the ring
// make it once more.
func TestKeyRingWithALostPair(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	gone := func(generation string) remark {
		return warns(`Pair Of The Ring Not On The Token: "web"`, "Generation "+generation)
	}
	protected := func(lines ...string) string { return b.config(ring(append(lines, `deletion_policy = "prevent"`)...)) }
	lose := func(generation string) func() {
		return func() { b.destroy(fmt.Sprintf("%x", "web-"+generation), "privkey", "pubkey") }
	}
	b.test(
		turn{TestStep: resource.TestStep{Config: protected("generation = 1")}},
		turn{
			TestStep: resource.TestStep{
				PreConfig: func() { b.rename("web-2", "aside") }, Config: protected("generation = 1"), PlanOnly: true,
			},
			says: []remark{
				warns(`Pair Of The Ring Not On The Token: "web"`, "Generation 2", "Give it its ID back",
					"--set-id 7765622d32"),
				fails("Pair Of The Ring Is Lost", "Generation 2"),
			},
		},
		turn{TestStep: resource.TestStep{
			PreConfig: func() { b.rename("aside", "web-2") }, Config: protected("generation = 1"), PlanOnly: true,
		}},
		turn{
			TestStep: resource.TestStep{PreConfig: lose("1"), Config: protected("generation = 1"), PlanOnly: true},
			says:     []remark{gone("1"), fails("Pair Of The Ring Is Lost", "Generation 1", "generation = 2")},
		},
		turn{
			TestStep: resource.TestStep{
				Config:            protected("generation = 2", `curve = "P-384"`),
				ConfigStateChecks: []statecheck.StateCheck{inRing(map[string]any{}, "2 current web, 3 next web.standby")},
			},
			says: []remark{gone("1")},
		},
		turn{
			TestStep: resource.TestStep{PreConfig: lose("3"), Config: protected("generation = 2", `curve = "P-384"`),
				PlanOnly: true},
			says: []remark{gone("3"), fails("Pair Of The Ring Is Lost", "Generation 3",
				`deletion_policy = "abandon"`)},
		},
		turn{
			TestStep: resource.TestStep{
				Config:            b.config(ring("generation = 2", `curve = "P-384"`, `deletion_policy = "abandon"`)),
				ConfigStateChecks: []statecheck.StateCheck{inRing(map[string]any{}, "2 current web, 3 next web.standby")},
			},
			says: []remark{gone("3"), warns(`New Key Under An Old ID: "web"`, "Generation 3")},
		},
		turn{TestStep: resource.TestStep{Config: protected("generation = 2", `curve = "P-384"`)}},
		turn{
			TestStep: resource.TestStep{Config: b.provider(), PlanOnly: true},
			says:     []remark{fails("Key Ring Is Protected From Destruction", "terraform untaint").pointing("deletion_policy")},
		},
		turn{TestStep: resource.TestStep{Config: b.config(ring("generation = 2", `curve = "P-384"`))}},
	)
	b.expect()
}

// An apply fails at a call in its middle. The next one does what is left, whatever the state says.
func TestKeyRingGoesOnAfterAFailedApply(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	known := map[string]any{}
	failing := func(nth int) func() {
		return func() {
			b.faults.Clear()
			b.faults.Inject(hsmtest.Fault{Function: "C_SetAttributeValue", Nth: nth, Code: cryptoki.CKR_DEVICE_ERROR,
				Onwards: true})
		}
	}
	b.test(
		turn{TestStep: resource.TestStep{Config: b.config(ring("generation = 1"))}},
		turn{TestStep: resource.TestStep{Config: b.config(ring("generation = 2"))}},
		turn{ // the current pair has its label, and the one before keeps it
			TestStep: resource.TestStep{PreConfig: failing(3), Config: b.config(ring("generation = 3"))},
			says: []remark{
				fails("Unable to Update Key Ring", "C_SetAttributeValue"),
				warns(`Ring Half Turned: "web"`, "make generation 4", `relabel generation 3 from "web.standby" to "web"`),
			},
		},
		turn{
			TestStep: resource.TestStep{
				PreConfig: b.faults.Clear, Config: b.config(ring("generation = 3")),
				ConfigStateChecks: []statecheck.StateCheck{inRing(known, "2 previous web.standby, 3 current web, 4 "+
					"next web.standby")},
			},
			says: []remark{warns(`Retired Pairs Stay On The Token: "web"`, "generation 1")},
		},
	)
	b.expect(ofRing("web.retired 1")...)
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
