package provider_test

import (
	"strings"
	"testing"
)

func TestTheGuideModulesAndSeveralTokens(t *testing.T) {
	t.Parallel()
	s := newReader(t, "modules-and-several-tokens/two-tokens")
	run := func(well bool, command string) string {
		t.Helper()
		return s.does(well, "sh", "-c", `export SOFTHSM2_CONF="$PWD/softhsm2.conf" HSM_LIBRARY="$SOFTHSM" HSM_PIN=1234567; terraform `+command)
	}
	s.says(s.does(true, "sh", "-c", ". ./tokens.sh && terraform init && terraform apply -auto-approve"),
		`\"kid\":\"north-1\"`, `\"kid\":\"south-1\"`)

	// Two keys of one kid, and a name that tells them apart.
	s.edit("main.tf", `key_id("south-1")`, `key_id("north-1")`)
	s.says(run(false, "apply -auto-approve"), `the kid "north-1"`)
	s.edit("signing-key/main.tf", `default = "text"`, `default = "thumbprint"`)
	_, set, _ := strings.Cut(run(true, "apply -auto-approve"), "\nOutputs:")
	if strings.Count(set, `\"kid\":\"`) != 2 || strings.Contains(set, "north-1") {
		t.Errorf("two keys named by their thumbprints are %s", set)
	}

	// A module that does not say whose provider it means: with the provider passed to it, and without.
	s.edit("signing-key/main.tf",
		"terraform {\n  required_providers {\n    hsm = {\n      source = \"terraform-provider-hsm/hsm\"\n    }\n  }\n}\n", "")
	s.says(run(false, "init"), "Provider type mismatch",
		`represents provider "terraform-provider-hsm/hsm", but "hsm" in module.north represents "hashicorp/hsm".`)
	s.edit("main.tf", "providers = { hsm = hsm.north }", "")
	s.edit("main.tf", "providers = { hsm = hsm.south }", "")
	s.says(run(false, `init -plugin-dir="$HOME/.terraform.d/plugins"`),
		"Could not retrieve the list of available versions for provider hashicorp/hsm")
}
