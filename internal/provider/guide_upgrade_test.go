package provider_test

import "testing"

func TestTheGuideUpgrade(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := newReader(t, "upgrade/key").with("HSM_LIBRARY="+b.Library, "HSM_TOKEN_LABEL="+b.Label, "HSM_PIN="+b.PIN)
	s.says(s.does(true, "terraform", "init"), "Incomplete lock file information")
	s.does(true, "terraform", "apply", "-auto-approve")

	s.install("0.2.0", "")
	s.install("0.9.0-dev", "") // which init overlooks
	s.says(s.does(true, "terraform", "init"), "Using previously-installed terraform-provider-hsm/hsm v0.1.0")
	s.says(s.does(true, "./upgrade.sh"), "Installed terraform-provider-hsm/hsm v0.2.0", "hsm v0.2.0", "No changes.")

	s.install("0.2.0", "built again")
	s.says(s.does(false, "terraform", "init", "-upgrade"), "doesn't match any of the checksums previously recorded")
	s.says(s.does(true, "./rebuilt.sh"), "Using previously-installed terraform-provider-hsm/hsm v0.2.0")

	s.install("0.3.0", "")
	s.says(s.does(true, "./this-one.sh"), "Installed terraform-provider-hsm/hsm v0.3.0")

	// A state that a newer version has rewritten, and the way back.
	s.edit("terraform.tfstate", `"schema_version": 0`, `"schema_version": 99`)
	s.edit("terraform.tfstate", `"serial": 1`, `"serial": 2`)
	s.edit("main.tf", `">= 0.1.0"`, `"0.1.0"`)
	s.says(s.does(true, "terraform", "init", "-upgrade"), "Installed terraform-provider-hsm/hsm v0.1.0")
	s.says(s.does(false, "terraform", "plan"), "Resource instance managed by newer provider version")
	s.does(true, "terraform", "state", "push", "-force", "before-upgrade.tfstate")
	s.says(s.does(true, "terraform", "plan"), "No changes.")
}
