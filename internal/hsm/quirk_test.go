package hsm_test

import (
	"context"
	"encoding/hex"
	"errors"
	"sync"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki/cryptokitest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// as makes a token pass for one of another make.
func as(manufacturer string) cryptoki.Hook {
	return func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		switch answer := c.Result.(type) {
		case *cryptoki.Info:
			answer.Manufacturer = manufacturer
		case *cryptoki.TokenInfo:
			answer.Manufacturer = manufacturer
		}
		return err
	}
}

func openAs(t *testing.T, k *hsmtest.Token, manufacturer string, hooks ...cryptoki.Hook) *hsm.Token {
	t.Helper()
	token, err := hsm.Open(context.Background(), k.Config(append(hooks, as(manufacturer))...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = token.Close() })
	return token
}

// again shows every object once more, under another handle.
func again() cryptoki.Hook {
	const second cryptoki.Object = 1 << 20
	var mu sync.Mutex
	shown := map[cryptoki.Object]cryptoki.Reading{}
	return func(_ context.Context, c *cryptoki.Call, next func() error) error {
		mu.Lock()
		defer mu.Unlock()
		switch answer := c.Result.(type) {
		case *[]cryptoki.Object:
			err := next()
			for _, o := range *answer {
				*answer = append(*answer, o+second)
			}
			return err
		case *cryptoki.Reading:
			if c.Object > second {
				*answer = shown[c.Object-second]
				return nil
			}
			err := next()
			shown[c.Object] = *answer
			return err
		}
		return next()
	}
}

func TestAnObjectThatIsShownTwiceIsOne(t *testing.T) {
	onSoftHSM(t)
	for _, name := range []string{"RSA", "AES"} {
		for manufacturer, one := range map[string]bool{"IBM": true, "Acme": false} {
			t.Run(name+" of "+manufacturer, func(t *testing.T) {
				kind, k := kindNamed(name), hsmtest.New(t)
				key := generate(t, open(t, k), kind.template("the ID", "label"))
				token := openAs(t, k, manufacturer, again())
				found, err := token.Key(context.Background(), object.Ref{Type: kind.tmpl.Type, ID: key.ID})
				if one && (err != nil || describe(found) != describe(key)) || !one && !errors.Is(err, object.ErrAmbiguous) {
					t.Errorf("by its ID: %v, %v", found, err)
				}
				all, _, err := entries(context.Background(), token)
				if want := kind.objects(); err != nil || one && len(all) != want || !one && len(all) != 2*want {
					t.Errorf("%d objects of %d, %v", len(all), want, err)
				}
			})
		}
	}
}

func TestWhatIsRefusedInACrowdIsAskedForAlone(t *testing.T) {
	onSoftHSM(t)
	kind := kindNamed("AES") // a pair is asked for with a leaner template besides
	for manufacturer, calls := range map[string]int{"SoftHSM project": 2, "Acme": 1} {
		k, faults := hsmtest.New(t), &hsmtest.Faults{}
		token := openAs(t, k, manufacturer, faults.Hook)
		faults.Inject(hsmtest.Fault{Function: "C_GenerateKey", Nth: 1, Code: cryptoki.CKR_TEMPLATE_INCONSISTENT})
		_, err := token.Generate(context.Background(), kind.template("the ID", "label"))
		if (err == nil) != (calls == 2) || faults.Count("C_GenerateKey") != calls || faults.Injected() != 1 {
			t.Errorf("%s: asked for %d times: %v", manufacturer, faults.Count("C_GenerateKey"), err)
		}
	}
}

// TestEd25519ByOID: what NSS has of Ed25519, on SoftHSM, which takes both names of the curve.
func TestEd25519ByOID(t *testing.T) {
	onSoftHSM(t)
	ctx := context.Background()
	for manufacturer, want := range map[string]string{
		"Mozilla Foundation": "06032b6570", "Acme": "130c656477617264733235353139",
	} {
		k := hsmtest.New(t)
		liar := cryptokitest.NewLiar(t, k.Library, false)
		k.Library = liar.Path
		liar.Tell(t, cryptokitest.Lie{Function: "C_Sign", Kind: cryptokitest.Exact, Number: 64})
		token := openAs(t, k, manufacturer)
		key := generate(t, token, onCurve(publickey.Ed25519, "the ID", "label"))
		if proven, err := token.Prove(ctx, key); err != nil || !proven {
			t.Errorf("%s: proven: %t, %v", manufacturer, proven, err)
		}
		err := k.Session(func(ctx context.Context, s *cryptoki.Session) error {
			shown, err := s.GetAttributeValue(ctx, key.Public.Handle, []cryptoki.AttributeType{cryptoki.CKA_EC_PARAMS})
			if have := hex.EncodeToString(shown[cryptoki.CKA_EC_PARAMS]); have != want {
				t.Errorf("%s: the curve is %s, not %s", manufacturer, have, want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestADestructionWaitsForALockedStore: another process writes to tpm2-pkcs11's store for a while.
func TestADestructionWaitsForALockedStore(t *testing.T) {
	onSoftHSM(t)
	k, faults := hsmtest.New(t), &hsmtest.Faults{}
	key := generate(t, open(t, k), onCurve(publickey.P256, "the ID", "label"))
	token := openAs(t, k, "tpm2-software.github.io", faults.Hook)
	for nth := range 4 {
		faults.Inject(hsmtest.Fault{Function: "C_DestroyObject", Nth: nth + 1, Code: cryptoki.CKR_GENERAL_ERROR})
	}
	left, err := token.Destroy(context.Background(), object.Ref{Type: key.Type, ID: key.ID, Fingerprint: key.Fingerprint()})
	if err != nil || len(left) > 0 || faults.Injected() != 4 {
		t.Errorf("after %d refusals, left %v, %v", faults.Injected(), left, err)
	}
}
