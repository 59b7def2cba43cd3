package hsm_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
)

// TestEveryMake is the life of a key as every make of token allows it, with each function that generates, changes
// and destroys failing once on the way.
func TestEveryMake(t *testing.T) {
	tmpl := object.Template{Type: object.RSA, ModulusBits: 2048, PublicExponent: 65537, Usage: object.Sign | object.Decrypt}
	t.Run("RSA", func(t *testing.T) { life(t, tmpl) })
	for _, curve := range slices.Sorted(maps.Keys(hsmtest.Curves)) {
		t.Run(curve, func(t *testing.T) {
			hsmtest.NeedsCurves(t, curve)
			life(t, object.Template{Type: object.EC, Curve: curve, Usage: object.Sign})
		})
	}
	for name, tmpl := range hsmtest.InOrder(map[string]object.Template{
		"AES":  {Type: object.Secret, Kind: object.AES, Bits: 256, Usage: everySecretUsage},
		"HMAC": {Type: object.Secret, Kind: object.Generic, Bits: 256, Usage: object.Sign | object.Verify},
	}) {
		t.Run(name, func(t *testing.T) {
			hsmtest.Needs(t, hsmtest.SecretKeys)
			life(t, tmpl)
		})
	}
}

func life(t *testing.T, tmpl object.Template) {
	ctx := context.Background()
	k := hsmtest.New(t)
	faults := &hsmtest.Faults{}
	token := openWith(t, k, k.PIN, faults)
	tmpl.ID, tmpl.Label = []byte("life"), "life"
	objects, generation := 2, "C_GenerateKeyPair"
	if tmpl.Type == object.Secret {
		objects, generation = 1, "C_GenerateKey"
	}
	for _, after := range []bool{false, true} {
		once := func(function string) {
			faults.Clear()
			faults.Inject(hsmtest.Fault{Function: function, Nth: 1, Code: cryptoki.CKR_DEVICE_ERROR, After: after})
		}
		once(generation)
		made := generate(t, token, tmpl)
		if _, err := token.Generate(ctx, tmpl); !errors.Is(err, object.ErrExists) {
			t.Fatalf("the ID a second time: %v", err)
		}
		ref := object.Ref{Type: tmpl.Type, ID: made.ID, Fingerprint: made.Fingerprint()}
		once("C_SetAttributeValue")
		label := "another"
		changed, err := token.Change(ctx, ref, object.Change{Label: &label})
		if err != nil {
			t.Fatal(err)
		}
		if found, err := token.Key(ctx, ref); err != nil || describe(found) != describe(changed) || found.Label != label || found.Fingerprint() != made.Fingerprint() {
			t.Fatalf("found %s, %v", describe(found), err)
		}
		if whole, err := wholeKeys(ctx, token); err != nil || len(whole) != 1 {
			t.Fatalf("%d keys, %v", len(whole), err)
		}
		once("C_FindObjects")
		keys, unclassified, err := entries(ctx, token)
		if err != nil || len(keys) != objects || unclassified > 0 || slices.ContainsFunc(keys, notWhole) {
			t.Fatalf("the keys are %v, %d are unclassified, %v", keys, unclassified, err)
		}
		once("C_FindObjects")
		key, err := token.PublicKey(ctx, pkcs11uri.URI{ID: made.ID})
		if objects > 1 && (err != nil || key.Fingerprint() != made.Fingerprint() || !key.HasPrivate || key.Label != label) || objects == 1 && !errors.Is(err, object.ErrNoMatch) {
			t.Fatalf("the public key is %+v, %v", key, err)
		}
		once("C_DestroyObject")
		if left, err := token.Destroy(ctx, ref); err != nil || len(left) > 0 {
			t.Fatalf("left %v, %v", left, err)
		}
		if _, err := token.Key(ctx, ref); !errors.Is(err, object.ErrNotFound) {
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

// TestEveryMakeClosesNoFileOfOthers opens and closes the module again and again, beside files that others open.
func TestEveryMakeClosesNoFileOfOthers(t *testing.T) {
	k := hsmtest.New(t)
	var files []*os.File
	for range 4 {
		if _, err := hsm.Slots(context.Background(), k.Config()); err != nil {
			t.Fatal(err)
		}
		for range 16 { // whichever number is free
			file, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
	}
	for _, file := range files {
		if _, err := file.Stat(); err != nil {
			t.Errorf("a file of others: %v", err)
		}
		_ = file.Close()
	}
}
