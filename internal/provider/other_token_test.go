package provider_test

import (
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// TestAPlanIsForOneToken plans changes of a key that was read on one token, and applies them on another.
func TestAPlanIsForOneToken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.make("web", "6b31")
	before := b.halves()
	s := newTalk(b, "hsm_rsa_keypair")
	here, private := s.adopt("6b31")
	here = s.with(here, map[string]string{"deletion_policy": "delete"})
	there := s.with(here, map[string]string{"token_serial": "0f0f"})
	const another = "Another Token Than Planned"

	planned := s.plan(there, s.with(there, map[string]string{"label": "new"}), private)
	if diagnostics := s.apply(there, planned.PlannedState, planned.PlannedPrivate); !says(diagnostics, another) {
		t.Errorf("the change says %v", diagnostics)
	}
	if diagnostics := s.apply(there, s.null(), private); !says(diagnostics, another) {
		t.Errorf("the destruction says %v", diagnostics)
	}
	b.expect(before...)

	// A change that is not on the token needs none, and so it asks for none.
	planned = s.plan(there, s.with(there, map[string]string{"deletion_policy": "prevent"}), private)
	if diagnostics := s.apply(there, planned.PlannedState, planned.PlannedPrivate); len(diagnostics) > 0 {
		t.Errorf("a change of the policy says %v", diagnostics)
	}
	planned = s.plan(here, s.with(here, map[string]string{"label": "new"}), private)
	if diagnostics := s.apply(here, planned.PlannedState, planned.PlannedPrivate); len(diagnostics) > 0 {
		t.Errorf("the change on the right token says %v", diagnostics)
	}
	if after := b.halves(); len(after) != 2 || after[0].label != "new" {
		t.Errorf("the token holds %v", after)
	}
}

// TestASavedPlanMakesNoKeyOnAnotherToken needs Terraform, which hands nothing of a new key's plan to the apply, but
// compares what is planned in both.
func TestASavedPlanMakesNoKeyOnAnotherToken(t *testing.T) {
	t.Parallel()
	if os.Getenv(resource.EnvTfAcc) == "" {
		t.Skip("runs Terraform: scripts/acceptance go test ./internal/provider")
	}
	hsmtest.Needs(t, hsmtest.OwnToken)
	b, second := newBench(t), newBench(t)
	s := newShell(t, b, ecPair(`label = "web"`, `count = 2`, `key_id = "6b3${count.index}"`)).with("HSM_PIN=" + b.PIN)
	s.terraform(false, "plan", "-out=plan")
	printed, _ := s.with("HSM_TOKEN_LABEL="+second.Label, "HSM_PIN="+second.PIN).terraform(true, "apply", "plan")
	s.shows("ci.md.tmpl", "inconsistent final plan", printed)
	printed, _ = s.terraform(true, "apply", "plan")
	s.says(printed, "Saved plan is stale")
	b.expect()
	second.expect()

	// Where the token cannot be reached at all, each new key says so, and Terraform finds no other fault.
	s.terraform(false, "plan", "-out=plan")
	printed, _ = s.with("HSM_TOKEN_LABEL=nobody").terraform(true, "apply", "-no-color", "plan")
	if strings.Count(printed, "Unable to Plan Key Pair: Token Not Found") != 2 || strings.Contains(printed, "inconsistent") {
		t.Errorf("the apply without a token says %s", printed)
	}
	b.expect()
	s.terraform(false, "plan", "-out=plan")
	s.terraform(false, "apply", "plan")
	if halves := b.halves(); len(halves) != 4 {
		t.Errorf("the right token holds %v", halves)
	}
}

// TestAReplacementThatNoConfigurationAsksFor plans twice, as Terraform does for -replace: without the state the
// second time, but with what the first plan has left.
func TestAReplacementThatNoConfigurationAsksFor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.make("web", "6b31")
	for policy, summary := range map[string]string{
		"prevent": "Key Is Protected From Replacement", "abandon": "Key ID Stays Taken", "delete": "",
	} {
		s := newTalk(b, "hsm_rsa_keypair")
		state, private := s.adopt("6b31")
		state = s.with(state, map[string]string{"deletion_policy": policy})
		first := s.plan(state, state, private)
		second := s.plan(s.value(s.object, tftypes.NewValue(s.object, nil)), state, first.PlannedPrivate)
		if len(first.Diagnostics) > 0 || len(second.Diagnostics) > 0 != (summary != "") ||
			summary != "" && !says(second.Diagnostics, summary) {
			t.Errorf("%s: the first plan says %v, the second %v", policy, first.Diagnostics, second.Diagnostics)
		}
	}
}
