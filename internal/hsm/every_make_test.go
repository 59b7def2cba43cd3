package hsm_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// TestEveryMake is the life of a key as every make of token allows it, with each function that generates, changes
// and destroys failing once on the way.
func TestEveryMake(t *testing.T) {
	tmpl := hsm.Template{Type: hsm.RSA, ModulusBits: 2048, PublicExponent: 65537, Usage: hsm.Sign | hsm.Decrypt}
	t.Run("RSA", func(t *testing.T) { life(t, tmpl) })
	for _, curve := range slices.Sorted(maps.Keys(hsmtest.Curves)) {
		t.Run(curve, func(t *testing.T) {
			hsmtest.NeedsCurves(t, curve)
			life(t, hsm.Template{Type: hsm.EC, Curve: curve, Usage: hsm.Sign})
		})
	}
}

func life(t *testing.T, tmpl hsm.Template) {
	ctx := context.Background()
	k := hsmtest.New(t)
	faults := &hsmtest.Faults{}
	token := openWith(t, k, k.PIN, faults)
	tmpl.ID, tmpl.Label = []byte("life"), "life"
	for _, after := range []bool{false, true} {
		once := func(function string) {
			faults.Clear()
			faults.Inject(hsmtest.Fault{Function: function, Nth: 1, Code: cryptoki.CKR_DEVICE_ERROR, After: after})
		}
		once("C_GenerateKeyPair")
		made := generate(t, token, tmpl)
		if _, err := token.GenerateKeyPair(ctx, tmpl); !errors.Is(err, hsm.ErrExists) {
			t.Fatalf("the ID a second time: %v", err)
		}
		ref := hsm.Ref{Type: tmpl.Type, ID: made.ID, Fingerprint: made.Fingerprint()}
		once("C_SetAttributeValue")
		label := "another"
		changed, err := token.ChangeKeyPair(ctx, ref, hsm.Change{Label: &label})
		if err != nil {
			t.Fatal(err)
		}
		if found, err := token.KeyPair(ctx, ref); err != nil || describe(found) != describe(changed) || found.Label != label || found.Fingerprint() != made.Fingerprint() {
			t.Fatalf("found %s, %v", describe(found), err)
		}
		if pairs, err := token.KeyPairs(ctx); err != nil || len(pairs) != 1 {
			t.Fatalf("%d pairs, %v", len(pairs), err)
		}
		once("C_DestroyObject")
		if left, err := token.DestroyKeyPair(ctx, ref); err != nil || len(left) > 0 {
			t.Fatalf("left %v, %v", left, err)
		}
		if _, err := token.KeyPair(ctx, ref); !errors.Is(err, hsm.ErrNotFound) {
			t.Fatalf("after its destruction: %v", err)
		}
	}
}
