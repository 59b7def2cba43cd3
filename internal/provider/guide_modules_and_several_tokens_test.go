package provider_test

import (
	"regexp"
	"strings"
	"testing"
)

func TestTheGuideModulesAndSeveralTokens(t *testing.T) {
	t.Parallel()
	s := newReader(t, "modules-and-several-tokens/two-tokens")
	run := func(well bool, command string, env ...string) string {
		t.Helper()
		return s.with(env...).does(well, "sh", "-c",
			`export SOFTHSM2_CONF="$PWD/softhsm2.conf" HSM_LIBRARY="$SOFTHSM" HSM_PIN=1234567; terraform `+command)
	}
	const guide = "modules-and-several-tokens.md.tmpl"
	s.does(true, "sh", "-c", ". ./tokens.sh && . ./tokens.sh && terraform init")

	// A provider that is not passed, with a token in the environment and without.
	s.edit("main.tf", "providers = { hsm = hsm.south }", "")
	planned := run(true, "plan", "HSM_TOKEN_LABEL=north")
	serials := regexp.MustCompile(`token_serial += "(\w+)"`).FindAllStringSubmatch(planned, -1)
	if len(serials) != 2 || serials[0][1] != serials[1][1] {
		t.Errorf("the plan has the serial numbers %v", serials)
	}
	s.says(run(false, "plan"), "Several Tokens Match")
	s.edit("main.tf", `key_id    = provider::hsm::key_id("south-1")`,
		`key_id    = provider::hsm::key_id("south-1")`+"\nproviders = { hsm = hsm.south }")

	// Two keys of one kid, and what tells them apart.
	s.edit("main.tf", `key_id("south-1")`, `key_id("north-1")`)
	s.shows(guide, `the kid "north-1"`, run(false, "apply -auto-approve"))
	s.shows(guide, `the kid "north-1"`, run(false, "plan"))
	s.edit("main.tf", `key_id("north-1")`, `key_id("south-1")`)
	s.says(run(true, "apply -auto-approve"), "Key ID Changes", "0 added, 1 changed",
		`\"kid\":\"north-1\"`, `\"kid\":\"south-1\"`)
	s.edit("main.tf", `key_id("south-1")`, `key_id("north-1")`)
	s.edit("signing-key/main.tf", `default = "text"`, `default = "thumbprint"`)
	_, set, _ := strings.Cut(run(true, "apply -auto-approve"), "\nOutputs:")
	if strings.Count(set, `\"kid\":\"`) != 2 || strings.Contains(set, "north-1") {
		t.Errorf("two keys named by their thumbprints are %s", set)
	}

	// A module that does not say whose provider it means: with the provider passed to it, and without.
	s.edit("signing-key/main.tf",
		"terraform {\n  required_providers {\n    hsm = {\n      source = \"terraform-provider-hsm/hsm\"\n    }\n  }\n}\n", "")
	s.shows(guide, "Provider type mismatch", run(false, "init"))
	s.edit("main.tf", "providers = { hsm = hsm.north }", "")
	s.edit("main.tf", "providers = { hsm = hsm.south }", "")
	s.shows(guide, "Could not retrieve", run(false, `init -plugin-dir="$HOME/.terraform.d/plugins"`))
}
