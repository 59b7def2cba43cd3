package provider_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
)

// TestEveryMake is what Terraform does to a key, as every make of token allows it.
func TestEveryMake(t *testing.T) {
	b := newBench(t)
	life := func(label string) string {
		return b.config(pair("k", `label = "`+label+`"`, `key_id = "6b31"`, `modulus_bits = 2048`, `usage = ["sign", "decrypt"]`, `deletion_policy = "delete"`),
			`data "hsm_jwks" "k" {
				uris = [hsm_rsa_keypair.k.uri]
			}`)
	}
	factories := b.factories()
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: factories,
		CheckDestroy: func(*terraform.State) error {
			b.closeProviders()
			b.expect()
			return nil
		},
		Steps: []resource.TestStep{
			{Config: life("old"), ConfigStateChecks: has(map[string]knownvalue.Check{
				"kid": knownvalue.StringExact("k1"), "modulus_bits": knownvalue.Int64Exact(2048), "label": knownvalue.StringExact("old"),
			})},
			{Config: life("old"), ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}},
			{Config: life("new"), ConfigPlanChecks: willBe(plancheck.ResourceActionUpdate), ConfigStateChecks: has(map[string]knownvalue.Check{
				"label": knownvalue.StringExact("new"), "kid": knownvalue.StringExact("k1"),
			})},
			{Config: life("new"), ResourceName: key, ImportState: true, ImportStateId: "6b31", ImportStateVerify: true,
				ImportStateVerifyIdentifierAttribute: "key_id", ImportStateVerifyIgnore: []string{"deletion_policy"}},
		},
	})
}
