package provider_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// TestAnApplyWithoutALockWarnsOnce has a folder where the lock of the token should be.
func TestAnApplyWithoutALockWarnsOnce(t *testing.T) {
	if hsmtest.ThisMake(t).Name != "softhsm" {
		t.Skip("the lock of another make lies elsewhere")
	}
	b := newBench(t)
	b.NoLock(t)
	b.Spoil() // the process remembers what it has to warn of
	warning := warns("Others May Write At The Same Time", "There is no lock", "terraform-provider-hsm.lock")
	b.test(turn{
		TestStep: resource.TestStep{Config: b.config(ecPair(`label = "a"`), pair("other", `label = "b"`))},
		says:     []remark{warning},
	})
	n := 0
	for _, have := range b.heard {
		if warning.matches(have) {
			n++
		}
	}
	if n != 2 { // by the apply, and by the destruction in the end, which is another process's
		t.Errorf("it warned %d times", n)
	}
}
