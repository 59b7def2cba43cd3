package provider_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// The plan is made on one machine and applied on another one, which has the same state.
func TestTheGuideCI(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	planner := newReader(t, "ci/pipeline").with("HSM_LIBRARY="+b.Library, "HSM_TOKEN_LABEL="+b.Label, "TF_VAR_pin="+b.PIN)
	planner.says(planner.does(true, "./plan.sh"), "1 to add", "keys.tfplan waits for an approval.")
	forgetProvider := func(s shell) {
		if err := os.RemoveAll(filepath.Join(s.dir, ".terraform")); err != nil {
			t.Fatal(err)
		}
	}
	forgetProvider(planner)
	planner.innocent(b.PIN)

	applier := planner
	applier.dir = t.TempDir()
	if err := os.CopyFS(applier.dir, os.DirFS(planner.dir)); err != nil {
		t.Fatal(err)
	}
	applier.says(applier.does(false, "sh", "-c", "unset TF_VAR_pin; ./apply.sh"), "No value for required variable")
	b.expect()
	applier.says(applier.does(true, "./apply.sh"), "1 added")
	if made := b.halves(); len(made) != 2 {
		t.Errorf("the token holds %v", made)
	}
	applier.says(applier.does(true, "./plan.sh"), "Nothing to apply.")
	for _, class := range []uint{cryptoki.CKO_PRIVATE_KEY, cryptoki.CKO_PUBLIC_KEY} {
		b.alter(class, "746f6b656e732d31", cryptoki.Bytes(cryptoki.CKA_LABEL, []byte("by somebody")))
	}
	applier.says(applier.does(false, "./drift.sh"), `"by somebody" -> "tokens"`)
	forgetProvider(applier)
	applier.innocent(b.PIN)
}
