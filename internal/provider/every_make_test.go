package provider_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
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
	t.Run("ML-DSA", func(t *testing.T) {
		t.Parallel()
		hsmtest.Needs(t, hsmtest.MLDSA) // TestMLDSAKeyPair plays it over SoftHSM
		everyMake(t, mlDSA, pairIs(mlDSA, "parameter_set", knownvalue.StringExact("ML-DSA-65")), func(label string) string {
			return mlDSAPair("ML-DSA-65", label) + jwks("k", "uris = ["+mlDSA+".uri]")
		})
	})
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

// refusedFromBlank are the errors of what a make does not do with a token that it has made of a blank one.
var refusedFromBlank = map[string]struct{ newPIN, erasure string }{
	"opencryptoki":     {erasure: "Token Cannot Be Erased"},
	"tpm2":             {erasure: "Token Cannot Be Erased"},
	"nss":              {newPIN: "No Security Officer", erasure: "No Security Officer"},
	"opencryptoki-new": {erasure: "Token Cannot Be Erased"},
	"tpm2-new":         {erasure: "Token Cannot Be Erased"},
	"nss-new":          {newPIN: "No Security Officer", erasure: "No Security Officer"},
}

// TestEveryMakeFromBlank is one configuration that makes a token of a blank one, a key on it and a JWKS, as every make allows
// it: with an empty second plan, another PIN of the token's user, and the end of the token.
func TestEveryMakeFromBlank(t *testing.T) {
	if os.Getenv("HSMTEST_BLANK") == "" {
		t.Skip("HSMTEST_BLANK=1 scripts/with-token MAKE runs it")
	}
	b := &bench{t: t, faults: &hsmtest.Faults{}, Token: &hsmtest.Token{
		Library: os.Getenv("HSMTEST_LIBRARY"), Parameters: os.Getenv("HSMTEST_LIBRARY_PARAMETERS"),
		Label: os.Getenv("HSMTEST_TOKEN_LABEL"),
	}}
	t.Cleanup(b.closeProviders)
	t.Setenv("HSM_SO_PIN", hsmtest.RandomPIN())
	const address, waits = "hsm_token.t", "depends_on = [hsm_token.t]"
	pins := map[int]string{1: os.Getenv("HSMTEST_PIN"), 2: hsmtest.RandomPIN()}
	config := func(version int, policy string) string {
		return block("hsm", b.library(), line("token_label", b.Label), line("pin", pins[version])) +
			fmt.Sprintf("resource \"hsm_token\" \"t\" {\n%s\n%s\npin_wo_version = %d\n}\n", line("label", b.Label),
				line("deletion_policy", policy), version) +
			pair("k", `label = "k"`, `key_id = "6b31"`, `usage = ["sign", "decrypt"]`, waits) +
			jwks("k", "uris = ["+key+".uri]", waits)
	}
	published := pairIs(key, "modulus_bits", knownvalue.Int64Exact(2048))("k")
	empty := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
	newPIN := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
		plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate),
		plancheck.ExpectResourceAction(key, plancheck.ResourceActionNoop),
	}}
	steps := []resource.TestStep{
		{Config: config(1, "erase"), ConfigStateChecks: published},
		{Config: config(1, "erase"), ConfigPlanChecks: empty},
	}
	refused, version := refusedFromBlank[hsmtest.ThisMake(t).Name], 2
	if refused.newPIN == "" {
		steps = append(steps,
			resource.TestStep{Config: config(2, "erase"), ConfigPlanChecks: newPIN, ConfigStateChecks: published})
	} else {
		steps = append(steps, resource.TestStep{Config: config(2, "erase"), ExpectError: wrapped(refused.newPIN)})
		version = 1
	}
	if refused.erasure == "" {
		steps = append(steps, resource.TestStep{Config: config(version, "erase"), ConfigPlanChecks: empty})
	} else {
		steps = append(steps,
			resource.TestStep{Config: config(version, "erase"), Destroy: true, ExpectError: wrapped(refused.erasure)},
			resource.TestStep{Config: config(version, "abandon"), ConfigStateChecks: published})
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: b.factories(), Steps: steps,
		CheckDestroy: func(*terraform.State) error {
			b.closeProviders()
			slots, err := hsm.Slots(t.Context(), hsm.Config{Library: b.Library, LibraryParameters: b.Parameters})
			if err != nil {
				return err
			}
			for _, slot := range slots {
				own := slot.Token != nil && slot.Token.Label == b.Label
				if own && slot.Token.PINInitialised() != (refused.erasure != "") {
					return fmt.Errorf("in the end the token is %+v", slot.Token)
				}
			}
			return nil
		},
	})
}
