package provider_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

// In these tests the lines of a pair are its policy and whatever else changes.
func policyPair(lines ...string) string {
	return pair("k", append([]string{`label = "web"`, `key_id = "` + policyKeyID + `"`}, lines...)...)
}

const policyKeyID = "6b31"

func create(b *bench, blocks ...string) turn {
	return turn{TestStep: resource.TestStep{Config: b.config(blocks...), ConfigPlanChecks: willBe(plancheck.ResourceActionCreate)}}
}

// refused is a plan that fails.
func refused(b *bench, says remark, blocks ...string) turn {
	return turn{TestStep: resource.TestStep{Config: b.config(blocks...), PlanOnly: true}, says: []remark{says}}
}

// underOldID warns of a new key with the ID of one that it replaces.
var underOldID = warns("New Key Under An Old ID").pointing("key_id")

func TestPreventRefusesEveryWayOfLosingAKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const prevent = `deletion_policy = "prevent"`
	ways := []string{`set deletion_policy = "abandon"`, `set deletion_policy = "delete"`}
	b.test(
		create(b, policyPair(prevent)),

		// replacement
		refused(b, fails("Key Is Protected From Replacement", `the key "web" (key_id 6b31)`, "into the configuration: modulus_bits = 2048",
			"add a second resource", ways[1]+", with modulus_bits as before").without(ways[0]).pointing("modulus_bits"),
			policyPair(prevent, "modulus_bits = 3072")),
		refused(b, fails("Key Is Protected From Replacement", "into the configuration: public_exponent = 65537.").pointing("public_exponent"),
			policyPair(prevent, "public_exponent = 65539")),
		refused(b, fails("Key Is Protected From Replacement", "into the configuration: extractable = false.").pointing("extractable"),
			policyPair(prevent, "extractable = true")),
		refused(b, fails("Key Is Protected From Replacement", "into the configuration: modulus_bits = 2048 and public_exponent = 65537 and extractable = false.").pointing("modulus_bits"),
			policyPair(prevent, "modulus_bits = 3072", "public_exponent = 65539", "extractable = true")),
		// what counts is the policy in the state
		refused(b, fails("Key Is Protected From Replacement", `The configuration says "delete", which takes effect once it is applied by itself`).pointing("modulus_bits"),
			policyPair("modulus_bits = 3072")),

		// destruction
		refused(b, fails("Key Is Protected From Destruction", append(ways, "put it back for this", "terraform state rm",
			"this key has not been touched")...).without("nothing has been changed")),
		turn{
			TestStep: resource.TestStep{Config: b.config(policyPair(prevent)), Destroy: true},
			says:     []remark{fails("Key Is Protected From Destruction", ways...)},
		},
		// of a tainted resource the plan sees the ID alone, and only after it was read
		turn{
			TestStep: resource.TestStep{Config: b.config(policyPair(prevent)), Taint: []string{key}, PlanOnly: true,
				ExpectNonEmptyPlan: true},
			says: []remark{
				fails("Key Is Protected From Replacement", "add a second resource", ways[1], "terraform untaint",
					"moved block", "nothing has been changed").without(ways[0]),
				warns("Key ID Already On The Token").pointing("key_id"), // without -refresh
			},
		},
		turn{
			TestStep: resource.TestStep{Config: b.config(pair("k", `label = "other"`, prevent))},
			says: []remark{fails("Key Is Protected From Destruction", append(ways, "terraform untaint",
				"this key has not been touched")...).without("nothing has been changed", "create_before_destroy")},
		},

		// the way out for whoever wants the key to stay
		turn{TestStep: resource.TestStep{
			Config: b.config("removed {\n  from = " + key + "\n  lifecycle { destroy = false }\n}"),
		}},
	)
	b.expect(signing("web", policyKeyID)...)
}

// With create_before_destroy the new key is there when the end of the old one is refused.
func TestARefusedEndSaysThatTheNewKeyIsThere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	config := b.config(pair("k", `label = "web"`, `deletion_policy = "prevent"`, "lifecycle { create_before_destroy = true }"))
	b.test(
		turn{TestStep: resource.TestStep{Config: config}},
		turn{
			TestStep: resource.TestStep{Config: config, Taint: []string{key}},
			says: []remark{
				fails("Key Is Protected From Destruction", "this key has not been touched", "has made a new key in its place",
					"terraform state rm").without("set deletion_policy"),
				warns("Label Already On The Token").pointing("label").maybe(), // without -refresh
			},
		},
		turn{TestStep: resource.TestStep{Config: b.config("removed {\n  from = " + key + "\n  lifecycle { destroy = false }\n}")}},
	)
	if halves := b.halves(); len(halves) != 4 {
		t.Errorf("two pairs are %d halves: %v", len(halves), halves)
	}
}

func TestAPolicyChangeDoesNotTouchTheToken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.test(
		create(b, policyPair(`deletion_policy = "prevent"`)),
		turn{TestStep: resource.TestStep{
			Config: b.config(policyPair(`deletion_policy = "abandon"`, `timeouts = { update = "1m" }`)),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(key, plancheck.ResourceActionUpdate),
				plancheck.ExpectKnownValue(key, tfjsonpath.New("uri"), knownvalue.NotNull()),
				during{b.closeProviders}, during{b.faults.Clear},
			}},
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(key, tfjsonpath.New("deletion_policy"), knownvalue.StringExact("abandon")),
				holds(func() error {
					if calls := b.faults.Calls(); len(calls) > 0 {
						return fmt.Errorf("the apply called %v", calls)
					}
					return nil
				}),
			},
		}},
	)
	b.expect(signing("web", policyKeyID)...) // and so the key outlives the resource
}

// during is a plan check that does something between the plan and the apply.
type during struct{ do func() }

func (d during) CheckPlan(context.Context, plancheck.CheckPlanRequest, *plancheck.CheckPlanResponse) {
	d.do()
}

func TestAbandonLeavesTheKeyOnTheToken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const abandon = `deletion_policy = "abandon"`
	var second string
	b.test(
		create(b, policyPair(abandon)),
		refused(b, fails("Key ID Stays Taken", "The change of modulus_bits", `"web" (key_id 6b31)`,
			"add a second resource with another key_id", "Replace and rotate").pointing("key_id"),
			policyPair(abandon, "modulus_bits = 2064")),
		turn{says: []remark{warns("Key Stays On The Token", `The key "web" (key_id 6b31) leaves the state`)}, TestStep: resource.TestStep{
			Config:           b.config(pair("k", `label = "web"`, abandon, "modulus_bits = 2064")),
			ConfigPlanChecks: willBe(plancheck.ResourceActionDestroyBeforeCreate),
			ConfigStateChecks: []statecheck.StateCheck{attributes{key, func(state map[string]any) error {
				second = state["key_id"].(string)
				return b.holding(append(signing("web", policyKeyID), signing("web", second)...)...)()
			}}, statecheck.ExpectKnownValue(key, tfjsonpath.New("modulus_bits"), knownvalue.Int64Exact(2064))},
		}},
		turn{TestStep: resource.TestStep{
			Config: b.config(pair("k", `label = "web"`, abandon, "modulus_bits = 2064")), Taint: []string{key},
			ConfigPlanChecks: willBe(plancheck.ResourceActionDestroyBeforeCreate),
		}, says: []remark{warns("Label Already On The Token", "key_id 6b31").pointing("label")}},
	)
	ends := "Terraform says that it is destroyed. But its deletion_policy"
	if !b.said(warns("Key Stays On The Token", ends)) {
		t.Errorf("the end of the key does not warn that %q: %v", ends, b.heard)
	}
	halves := b.halves()
	if len(halves) != 6 {
		t.Errorf("three abandoned pairs are %d halves: %v", len(halves), halves)
	}
}

func TestDeleteDestroysBothHalves(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var first string
	planned := func(lines ...string) turn {
		return turn{TestStep: resource.TestStep{
			Config: b.config(policyPair(lines...)), PlanOnly: true, ExpectNonEmptyPlan: true,
			ConfigPlanChecks: resource.ConfigPlanChecks{PostApplyPostRefresh: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(key, plancheck.ResourceActionDestroyBeforeCreate),
				plancheck.ExpectUnknownValue(key, tfjsonpath.New(fingerprint)),
			}},
		}, says: []remark{warns("New Key Under An Old ID", `The key "web" (key_id 6b31)`, "kid").pointing("key_id")}}
	}
	replaced := func(taint ...string) turn {
		return turn{TestStep: resource.TestStep{
			Config: b.config(policyPair("modulus_bits = 2064")), Taint: taint,
			ConfigPlanChecks: willBe(plancheck.ResourceActionDestroyBeforeCreate),
			ConfigStateChecks: []statecheck.StateCheck{b.holding(signing("web", policyKeyID)...), attributes{key, func(state map[string]any) error {
				now := b.fingerprintOf(policyKeyID)
				if state[fingerprint] != now || now == first {
					return fmt.Errorf("the state has %s and the token %s, after %s", state[fingerprint], now, first)
				}
				first = now
				return nil
			}}},
		}, says: []remark{warns("New Key Under An Old ID", `The key "web" (key_id 6b31)`).pointing("key_id")}}
	}
	b.test(
		create(b, policyPair()),
		planned("public_exponent = 65539"),
		planned("extractable = true"),
		replaced(),
		replaced(key),
		turn{TestStep: resource.TestStep{Config: b.config(`resource "terraform_data" "none" {}`), ConfigStateChecks: []statecheck.StateCheck{b.holding()}}},
	)
}

func TestAnIDThatIsTakenIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.make("old", "6b31")
	b.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "curve", "--id", "6b32")
	b.make("half", "6b33")
	b.destroy("6b33", "privkey")
	before, generated := b.halves(), b.fingerprintOf("6b31")
	taken := func(keyID string, says ...remark) turn {
		return turn{TestStep: resource.TestStep{Config: b.config(pair("k", `label = "web"`, fmt.Sprintf("key_id = %q", keyID)))}, says: says}
	}
	const command, block = "terraform import hsm_rsa_keypair.NAME 6b31", "import {\n    to = hsm_rsa_keypair.NAME\n    id = \"6b31\"\n  }"
	b.test(
		taken("6B31",
			warns("Key ID Already On The Token", "key_id 6b31, SHA-256 fingerprint "+generated, command, block).pointing("key_id"), // by the plan
			fails("Unable to Create Key Pair: Key ID Taken", `RSA private key "old" (ID 6b31)`, `RSA public key "old" (ID 6b31)`, "Nothing was made or changed.", command, block).pointing("key_id")),
		taken("6b32", warns("Key ID Already On The Token", `EC private key "curve" (ID 6b32)`, "It is a key of another type: EC key pair",
			"terraform import hsm_ec_keypair.NAME 6b32").without("destroy").pointing("key_id"),
			fails("Unable to Create Key Pair: Key ID Taken", `EC private key "curve" (ID 6b32)`,
				"terraform import hsm_ec_keypair.NAME 6b32").pointing("key_id")),
		taken("6b33", warns("Key ID Already On The Token", `RSA public key "half" (ID 6b33)`,
			"cannot be imported").without("terraform import").pointing("key_id"),
			fails("Unable to Create Key Pair: Key ID Taken", `RSA public key "half" (ID 6b33)`,
				"cannot be imported").without("terraform import").pointing("key_id")),

		// and so is a change to it
		create(b, pair("k", `label = "web"`, `key_id = "6b39"`)),
		turn{
			TestStep: resource.TestStep{Config: b.config(pair("k", `label = "web"`, `key_id = "6b31"`))},
			says: []remark{
				warns("Key ID Changes", `The key "web" (key_id 6b39)`).pointing("key_id"),
				warns("Key ID Already On The Token", `The key "web" (key_id 6b39)`, "key_id 6b31, SHA-256 fingerprint "+generated, "would keep its old ID").without("terraform import").pointing("key_id"),
				fails("Unable to Update Key Pair: Key ID Taken", `RSA private key "old" (ID 6b31)`, "Nothing was made or changed.", "keeps its old ID", "look for the ID 6b31").
					without("terraform import", "random").pointing("key_id"),
			},
		},
		turn{TestStep: resource.TestStep{Config: b.config(pair("k", `label = "web"`, `key_id = "6b39"`)), PlanOnly: true}},
	)
	if n := b.faults.Count("C_GenerateKeyPair"); n != 1 {
		t.Errorf("C_GenerateKeyPair was called %d times for one key", n)
	}
	b.expect(before...)
	if now := b.fingerprintOf("6b31"); now != generated {
		t.Errorf("the key behind 6b31 was %s, and is %s", generated, now)
	}
}
