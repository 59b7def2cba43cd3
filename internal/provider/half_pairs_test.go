package provider_test

import (
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// TestAnInterruptedDestructionIsFinishedInOneRun has many pairs without their private halves, as a module leaves them that
// hangs in C_DestroyObject. One command takes them all, but not what a stranger has put in the place of one.
func TestAnInterruptedDestructionIsFinishedInOneRun(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := newShell(t, b, `
resource "hsm_ec_keypair" "all" {
  for_each        = toset(["6b31", "6b32", "6b33", "6b34"])
  curve           = "P-256"
  label           = "k"
  key_id          = each.key
  deletion_policy = "delete"
}
`).with("HSM_PIN="+b.PIN, "TF_LOG=")
	s.run("apply", "-auto-approve")
	for _, id := range []string{"6b31", "6b32", "6b34"} {
		b.destroy(id, "privkey")
	}
	hsmtest.NewStranger(t, b.Token).SwapsPublicHalf(t, hsmtest.StrangerP256, "k", "6b34")
	out, ok := s.try("destroy", "-auto-approve")
	if ok || strings.Count(out, "terraform destroy -refresh=false") < 2 {
		t.Errorf("it ends well (%t), or does not say how to go on:\n%s", ok, out)
	}
	out, ok = s.try("destroy", "-auto-approve", "-refresh=false")
	if ok || !strings.Contains(out, "Destruction complete") || strings.Count(out, "Error: ") != 1 {
		t.Errorf("it ends well (%t):\n%s", ok, out)
	}
	if left := b.halves(); len(left) != 1 {
		t.Errorf("the token holds %v, and not the stranger's half alone", left)
	}
	if out, ok := s.try("state", "list"); !ok || strings.TrimSpace(out) != `hsm_ec_keypair.all["6b34"]` {
		t.Errorf("the state has %s", out)
	}
}
