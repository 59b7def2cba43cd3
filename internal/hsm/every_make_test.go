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
		if _, err := token.Generate(ctx, tmpl); !errors.Is(err, hsm.ErrExists) {
			t.Fatalf("the ID a second time: %v", err)
		}
		ref := hsm.Ref{Type: tmpl.Type, ID: made.ID, Fingerprint: made.Fingerprint()}
		once("C_SetAttributeValue")
		label := "another"
		changed, err := token.Change(ctx, ref, hsm.Change{Label: &label})
		if err != nil {
			t.Fatal(err)
		}
		if found, err := token.WholeKey(ctx, ref); err != nil || describe(found) != describe(changed) || found.Label != label || found.Fingerprint() != made.Fingerprint() {
			t.Fatalf("found %s, %v", describe(found), err)
		}
		if pairs, err := token.KeyPairs(ctx); err != nil || len(pairs) != 1 {
			t.Fatalf("%d pairs, %v", len(pairs), err)
		}
		once("C_FindObjects")
		keys, unreadable, err := token.Keys(ctx)
		if err != nil || len(keys) != 2 || unreadable > 0 || slices.ContainsFunc(keys, func(k hsm.Key) bool { return k.Err != nil || *k.TwinMissing }) {
			t.Fatalf("the keys are %v, %d are unreadable, %v", keys, unreadable, err)
		}
		once("C_FindObjects")
		if key, err := token.PublicKey(ctx, hsm.URI{ID: made.ID}); err != nil || key.Fingerprint() != made.Fingerprint() || !key.HasPrivate || key.Label != label {
			t.Fatalf("the public key is %+v, %v", key, err)
		}
		once("C_DestroyObject")
		if left, err := token.Destroy(ctx, ref); err != nil || len(left) > 0 {
			t.Fatalf("left %v, %v", left, err)
		}
		if _, err := token.WholeKey(ctx, ref); !errors.Is(err, hsm.ErrNotFound) {
			t.Fatalf("after its destruction: %v", err)
		}
	}
}

// TestEveryMakeIsDescribedWithoutAPIN asks a token for what it can do, with each call failing once.
func TestEveryMakeIsDescribedWithoutAPIN(t *testing.T) {
	ctx := context.Background()
	k := hsmtest.New(t)
	for _, function := range []string{"", "C_GetSlotList", "C_GetSlotInfo", "C_GetTokenInfo", "C_GetMechanismList", "C_GetMechanismInfo"} {
		faults := &hsmtest.Faults{}
		if function != "" {
			faults.Inject(hsmtest.Fault{Function: function, Nth: 1, Code: cryptoki.CKR_DEVICE_ERROR, After: true})
		}
		d, err := hsm.Describe(ctx, config(k, "", faults))
		if err != nil || d.Label != k.Label || !d.Slot.HasToken() || d.PINState() != "ok" {
			t.Fatalf("%s fails once, and the token is %+v, %v", function, d, err)
		}
		i := slices.IndexFunc(d.Mechanisms, func(m hsm.Mechanism) bool { return m.Type == cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN })
		if i < 0 || !slices.Contains(d.Mechanisms[i].Words(), "generate_key_pair") || d.Mechanisms[i].Info.MaxKeySize == 0 {
			t.Fatalf("the mechanisms are %v", d.Mechanisms)
		}
		slots, err := hsm.Slots(ctx, config(k, "", faults))
		if err != nil || slotOf(t, slots, k.Label).Token.Serial != d.Serial {
			t.Fatalf("the slots are %+v, %v", slots, err)
		}
		if n := faults.Count("C_Login") + faults.Count("C_OpenSession"); n != 0 {
			t.Fatalf("%d sessions and logins", n)
		}
	}
}
