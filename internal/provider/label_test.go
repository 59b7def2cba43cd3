package provider_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
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

// changesOnly says that the plan changes just these attributes of a resource, and makes none unknown.
type changesOnly struct {
	address    string
	attributes []string
}

func (c changesOnly) CheckPlan(_ context.Context, req plancheck.CheckPlanRequest, resp *plancheck.CheckPlanResponse) {
	for _, r := range req.Plan.ResourceChanges {
		if r.Address != c.address {
			continue
		}
		before, after := r.Change.Before.(map[string]any), r.Change.After.(map[string]any)
		var changed []string
		for _, name := range slices.Sorted(maps.Keys(before)) {
			if !reflect.DeepEqual(before[name], after[name]) {
				changed = append(changed, name)
			}
		}
		for name, unknown := range r.Change.AfterUnknown.(map[string]any) {
			if unknown == true {
				changed = append(changed, name+" (unknown)")
			}
		}
		if !slices.Equal(changed, c.attributes) {
			resp.Error = fmt.Errorf("%s: the plan changes %q, not %q", c.address, changed, c.attributes)
		}
		return
	}
	resp.Error = fmt.Errorf("%s is not in the plan", c.address)
}

// TestWhatIsPublishedDoesNotHangOnALabel: what depends on a key is replaced where the key is published otherwise, and
// for no other reason.
func TestWhatIsPublishedDoesNotHangOnALabel(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	names := []string{"label", "policy", "timeouts"}
	// config has three keys, with a line for each.
	config := func(label, policy, times, usage string) string {
		lines := map[string]string{"label": "", "policy": policy, "timeouts": times}
		var blocks []string
		for i, name := range names {
			block := []string{fmt.Sprintf("key_id = \"6b3%d\"", i), lines[name], usage, `label = "web"`}
			if name == "label" {
				block[3] = fmt.Sprintf("label = %q", label)
			}
			k := "hsm_rsa_keypair." + name
			// Without the local value, Terraform reads no set before a change of the key, whatever changes.
			blocks = append(blocks, pair(name, block...), jwks(name, "uris = local."+name), fmt.Sprintf(`
				locals {
					%[1]s = [%[2]s.uri]
				}
				resource "terraform_data" %[1]q {
					triggers_replace = [%[2]s.jwk, %[2]s.public_key_pem, %[2]s.uri, %[2]s.kid, data.hsm_jwks.%[1]s.json]
				}`, name, k))
		}
		return b.config(append(blocks, `resource "terraform_data" "name" { input = data.hsm_jwks.label.keys[0].label }`)...)
	}
	const five, six = `timeouts = { read = "5m" }`, `timeouts = { read = "6m" }`
	const sign, decrypt = `usage = ["sign"]`, `usage = ["decrypt"]`
	all := func(action plancheck.ResourceActionType) (checks []plancheck.PlanCheck) {
		for _, name := range names {
			checks = append(checks, plancheck.ExpectResourceAction("terraform_data."+name, action))
		}
		return checks
	}
	b.test(
		turn{TestStep: resource.TestStep{Config: config("web", "", five, sign)}},
		turn{TestStep: resource.TestStep{
			Config: config("shop", `deletion_policy = "abandon"`, six, sign),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: append(all(plancheck.ResourceActionNoop),
				changesOnly{"hsm_rsa_keypair.label", []string{"label"}},
				changesOnly{"hsm_rsa_keypair.policy", []string{"deletion_policy"}},
				changesOnly{"hsm_rsa_keypair.timeouts", []string{"timeouts"}},
				plancheck.ExpectKnownValue("terraform_data.name", tfjsonpath.New("input"), knownvalue.StringExact("shop")))},
		}},
		turn{TestStep: resource.TestStep{
			Config:           config("shop", "", six, decrypt),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: all(plancheck.ResourceActionReplace)},
		}},
	)
}

// TestAPairOnACurveOfAnotherToolIsAdopted generates the configuration of a pair that pkcs11-tool has made, which SoftHSM
// marks for what no such pair can do, and publishes it for Hydra, which would publish it for encryption until that is
// gone. Then somebody gives the public half another label, which Hydra does not take either.
func TestAPairOnACurveOfAnotherToolIsAdopted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if hsmtest.ThisMake(t).Name != "softhsm" {
		t.Skip("the usages that pkcs11-tool leaves to the token's default are SoftHSM's")
	}
	b.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", "hydra.a", "--id", "6b31")
	s := newShell(t, b, adopt("hsm_ec_keypair.k", "6b31")).with("HSM_PIN=" + b.PIN)
	generated := filepath.Join(s.dir, "generated.tf")
	printed, _ := s.terraform(false, "plan", "-no-color", "-generate-config-out="+generated)
	for _, part := range []string{"Usage The Key Cannot Have", "decrypt (CKA_DECRYPT)", "unwrap (CKA_UNWRAP)", "1 to import, 0 to add, 1 to change, 0 to destroy"} {
		if !wrapped(part).MatchString(printed) {
			t.Errorf("the plan does not say %q: %s", part, printed)
		}
	}
	text, err := os.ReadFile(generated)
	if err != nil || !strings.Contains(string(text), `["sign"]`) {
		t.Errorf("%v: the configuration is %s", err, text)
	}
	s.write(filepath.Join(s.dir, "set.tf"), "locals {\n  uris = [hsm_ec_keypair.k.uri]\n}\n"+
		jwks("x", "uris = local.uris", `profile = "hydra"`))
	s.terraform(false, "apply", "-no-color", "-auto-approve")
	b.expect(signing("hydra.a", "6b31")...)
	if printed, _ := s.terraform(false, "plan", "-no-color"); !strings.Contains(printed, "No changes.") || strings.Contains(printed, "Usage The Key Cannot Have") {
		t.Errorf("the next plan: %s", printed)
	}
	b.alter(publicHalf, "6b31", cryptoki.Bytes(cryptoki.CKA_LABEL, []byte("renamed")))
	printed, _ = s.terraform(false, "apply", "-no-color", "-auto-approve")
	if !wrapped("The Two Halves Of A Key Pair Differ").MatchString(printed) || !strings.Contains(printed, "0 added, 1 changed, 0 destroyed") {
		t.Errorf("after the public half got another label: %s", printed)
	}
	b.expect(signing("hydra.a", "6b31")...)
}

// TestTwoPairsSwapTheirLabels: the set is read before the swap, and the check for Hydra takes the labels that are planned.
func TestTwoPairsSwapTheirLabels(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	config := func(first, second string) string {
		labels := map[string]string{"a": first, "b": second}
		var blocks []string
		for i, name := range []string{"a", "b"} {
			blocks = append(blocks, keyPairBlock("hsm_ec_keypair", name, nil, []string{fmt.Sprintf("label = %q", labels[name]),
				fmt.Sprintf(`key_id = "6b3%d"`, i+1), `curve = "P-256"`, `deletion_policy = "delete"`}))
		}
		return b.config(append(blocks, `locals {
			uris = [for k in [hsm_ec_keypair.a, hsm_ec_keypair.b] : k.uri if k.label == "hydra"]
		}`, jwks("x", "uris = local.uris", `profile = "hydra"`))...)
	}
	b.test(
		turn{TestStep: resource.TestStep{Config: config("hydra", "spare")}},
		turn{TestStep: resource.TestStep{
			Config:            config("spare", "hydra"),
			ConfigStateChecks: []statecheck.StateCheck{keySet("x", "hydra 6b32 k2 EC sig ES256")},
		}},
	)
}
