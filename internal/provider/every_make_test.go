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
	lines := func(label string) []string { return []string{`label = "` + label + `"`, `key_id = "6b31"`} }
	t.Run("RSA", func(t *testing.T) {
		everyMake(t, key, "modulus_bits", knownvalue.Int64Exact(2048), func(label string) string {
			return pair("k", append(lines(label), `usage = ["sign", "decrypt"]`)...)
		})
	})
	for _, c := range curves {
		if c.name != "P-256" && hsmtest.ThisMake(t).Name == "softhsm" {
			continue // TestECKeyPairOnEveryCurve is more
		}
		t.Run(c.name, func(t *testing.T) {
			hsmtest.NeedsCurves(t, c.name)
			everyMake(t, "hsm_ec_keypair.k", "curve", knownvalue.StringExact(c.name), func(label string) string {
				return ecPair(append(lines(label), fmt.Sprintf("curve = %q", c.name))...)
			})
		})
	}
}

func everyMake(t *testing.T, address, kind string, of knownvalue.Check, block func(label string) string) {
	b := newBench(t)
	life := func(label string) string { return b.config(block(label), jwks("k", "uris = ["+address+".uri]")) }
	// is says that the state has the key under this label.
	is := func(label string) []statecheck.StateCheck {
		return []statecheck.StateCheck{
			statecheck.ExpectKnownValue(address, tfjsonpath.New("kid"), knownvalue.StringExact("k1")),
			statecheck.ExpectKnownValue(address, tfjsonpath.New("label"), knownvalue.StringExact(label)),
			statecheck.ExpectKnownValue(address, tfjsonpath.New(kind), of),
			statecheck.ExpectKnownValue("data.hsm_jwks.k", tfjsonpath.New("keys").AtSliceIndex(0).AtMapKey("label"), knownvalue.StringExact(label)),
		}
	}
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
