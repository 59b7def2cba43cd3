package provider_test

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// loses takes the state away, with Terraform's own backup of it.
func (s shell) loses() {
	s.t.Helper()
	for _, file := range []string{"terraform.tfstate", "terraform.tfstate.backup"} {
		if err := os.RemoveAll(filepath.Join(s.dir, file)); err != nil {
			s.t.Fatal(err)
		}
	}
}

func TestTheGuideStateLost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := newReader(t, "state-lost/chosen").onToken(b)
	s.does(true, "terraform", "init")
	s.says(s.does(true, "terraform", "apply", "-auto-approve"), "2 added")
	s.loses()
	s.says(s.does(true, "terraform", "plan"), "Plan: 2 to add", "Key ID Already On The Token")
	s.says(s.does(false, "terraform", "apply", "-auto-approve"), "Key ID Taken", "Nothing was made or changed.")

	s.take("state-lost/chosen-imports")
	s.says(s.does(true, "terraform", "apply", "-auto-approve"), "2 imported, 0 added, 0 changed, 0 destroyed")
	s.says(s.does(true, "terraform", "plan"), "No changes.")

	// One key alone, and blocks for all of them.
	s.does(true, "terraform", "state", "rm", `hsm_ec_keypair.web["web-1"]`)
	s.says(s.does(true, "terraform", "plan"), "Plan: 1 to import, 0 to add, 0 to change, 0 to destroy.")
}

func TestTheGuideStateLostWithRandomIDs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := newReader(t, "adopt-what-exists/several", "state-lost/undo").onToken(b)
	s.does(true, "terraform", "init")
	s.says(s.does(true, "terraform", "apply", "-auto-approve"), "2 added")
	first := b.labels()
	s.loses()
	// Somebody applies all the same, and takes that back for each key.
	s.says(s.does(true, "terraform", "apply", "-auto-approve"), "Plan: 2 to add", "Label Already On The Token", "2 added")
	function, err := filepath.Abs(filepath.Join(examples, "guides", "use-a-key-elsewhere", "keys", "hsm.sh"))
	if err != nil {
		t.Fatal(err)
	}
	s.does(true, "sh", "-ec", `. "$0"; . ./undo.sh`, function)
	s.edit("undo.sh", "service.mail", "service.shop")
	s.does(true, "sh", "-ec", `. "$0"; . ./undo.sh`, function)
	if keys := b.labels(); !maps.Equal(keys, first) {
		t.Errorf("the token holds %v, and not only %v", keys, first)
	}
	s.take("adopt-what-exists/several-imports")
	s.says(s.does(true, "terraform", "apply", "-auto-approve"), "2 imported, 0 added, 0 changed, 0 destroyed")
	if keys := b.labels(); len(keys) != 2 {
		t.Errorf("the token holds %v", keys)
	}
}
