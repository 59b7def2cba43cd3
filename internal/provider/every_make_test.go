package provider_test

import (
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// TestEveryMake is what Terraform does to a key of each type, as every make of token allows it.
func TestEveryMake(t *testing.T) {
	t.Parallel()
	lines := func(label string) []string { return []string{fmt.Sprintf("label = %q", label), `key_id = "6b31"`} }
	t.Run("RSA", func(t *testing.T) {
		t.Parallel()
		everyMake(t, key, pairIs(key, "modulus_bits", knownvalue.Int64Exact(2048)), func(label string) string {
			return pair("k", append(lines(label), `usage = ["sign", "decrypt"]`)...) + jwks("k", "uris = ["+key+".uri]")
		})
	})
	for _, c := range curves {
		if c.name != "P-256" && hsmtest.ThisMake(t).Name == "softhsm" {
			continue // TestECKeyPairOnEveryCurve is more
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			hsmtest.NeedsCurves(t, c.name)
			const address = "hsm_ec_keypair.k"
			everyMake(t, address, pairIs(address, "curve", knownvalue.StringExact(c.name)), func(label string) string {
				return ecPair(append(lines(label), fmt.Sprintf("curve = %q", c.name))...) + jwks("k", "uris = ["+address+".uri]")
			})
		})
	}
	for _, c := range []struct{ kind, usage string }{
		{"aes", `["encrypt", "decrypt", "wrap", "unwrap"]`},
		{"generic", `["sign", "verify"]`},
	} {
		kind, usage := c.kind, c.usage
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			hsmtest.Needs(t, hsmtest.SecretKeys)
			is := func(label string) []statecheck.StateCheck {
				return []statecheck.StateCheck{secretIs(secretKey, map[string]any{"label": label, "type": kind, "bits": 256, "extractable": false})}
			}
			everyMake(t, secretKey, is, func(label string) string {
				return secretBlock("k", append(lines(label), fmt.Sprintf("type = %q", kind), "usage = "+usage)...)
			})
		})
	}
}

// pairIs says that the state, and a set, have the pair under a label.
func pairIs(address, kind string, of knownvalue.Check) func(label string) []statecheck.StateCheck {
	return func(label string) []statecheck.StateCheck {
		return []statecheck.StateCheck{
			statecheck.ExpectKnownValue(address, tfjsonpath.New("kid"), knownvalue.StringExact("k1")),
			statecheck.ExpectKnownValue(address, tfjsonpath.New("label"), knownvalue.StringExact(label)),
			statecheck.ExpectKnownValue(address, tfjsonpath.New(kind), of),
			statecheck.ExpectKnownValue("data.hsm_jwks.k", tfjsonpath.New("keys").AtSliceIndex(0).AtMapKey("label"), knownvalue.StringExact(label)),
		}
	}
}

func everyMake(t *testing.T, address string, is func(label string) []statecheck.StateCheck, blocks func(label string) string) {
	b := newBench(t)
	life := func(label string) string { return b.config(blocks(label)) }
	updated := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate)}}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: b.factories(),
		CheckDestroy: func(*terraform.State) error {
			b.closeProviders()
			b.expect()
			return nil
		},
		Steps: []resource.TestStep{
			{Config: life("old"), ConfigStateChecks: is("old")},
			{Config: life("old"), ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}},
			{Config: life("new"), ConfigPlanChecks: updated, ConfigStateChecks: is("new")},
			{Config: life("new"), ResourceName: address, ImportState: true, ImportStateId: "6b31", ImportStateVerify: true,
				ImportStateVerifyIdentifierAttribute: "key_id", ImportStateVerifyIgnore: []string{"deletion_policy"}},
		},
	})
}
