package hsm_test

import (
	"context"
	"errors"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// TestWhatAFailedGenerationLeavesIsSweptAway has SoftHSM refuse a template when it has already made the objects. It
// sometimes refuses a good template like that, where several generate at the same time.
func TestWhatAFailedGenerationLeavesIsSweptAway(t *testing.T) {
	onSoftHSM(t)
	refused := map[string]func(context.Context, *cryptoki.Session) error{
		"C_GenerateKeyPair": func(ctx context.Context, s *cryptoki.Session) error {
			_, err := s.GenerateKeyPair(ctx, cryptoki.Mechanism{Type: cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN},
				[]cryptoki.Attribute{cryptoki.ULong(cryptoki.CKA_MODULUS_BITS, 1024), cryptoki.Bool(cryptoki.CKA_TOKEN, true)},
				[]cryptoki.Attribute{cryptoki.Bool(cryptoki.CKA_TOKEN, true), cryptoki.Bool(cryptoki.CKA_LOCAL, true)})
			return err
		},
		"C_GenerateKey": func(ctx context.Context, s *cryptoki.Session) error {
			_, err := s.GenerateKey(ctx, cryptoki.Mechanism{Type: cryptoki.CKM_AES_KEY_GEN},
				[]cryptoki.Attribute{cryptoki.ULong(cryptoki.CKA_VALUE_LEN, 16), cryptoki.Bool(cryptoki.CKA_TOKEN, true), cryptoki.Bool(cryptoki.CKA_LOCAL, true)})
			return err
		},
	}
	for function, refuse := range refused {
		t.Run(function, func(t *testing.T) {
			kind := kindNamed("RSA")
			if function == "C_GenerateKey" {
				kind = kindNamed("AES")
			}
			k := hsmtest.New(t)
			faults := &hsmtest.Faults{}
			token := openWith(t, k, k.PIN, faults)
			generate(t, token, kind.template("neighbour", "label"))
			each := objects(t, k)
			faults.Inject(hsmtest.Fault{Function: function, Nth: 1, Do: func(context.Context, *cryptoki.Call, func() error) error {
				err := k.Session(refuse)
				if n := objects(t, k); err == nil || n == each {
					t.Errorf("%v has left nothing: %d objects", err, n)
				}
				return &cryptoki.Error{Function: function, Code: cryptoki.CKR_GENERAL_ERROR}
			}})
			if _, err := token.Generate(context.Background(), kind.template("the ID", "label")); err != nil {
				t.Fatal(err)
			}
			if n := objects(t, k); n != 2*each {
				t.Errorf("%d objects, of two keys of %d", n, each)
			}
			if faults.Injected() != 1 {
				t.Error("the generation did not fail")
			}
			// A sweep that fails leaves the blank objects there. No key is harmed.
			faults.Inject(hsmtest.Fault{Function: "C_DestroyObject", Nth: 1, Code: cryptoki.CKR_DEVICE_ERROR})
			faults.Inject(hsmtest.Fault{Function: function, Nth: 1, Do: func(context.Context, *cryptoki.Call, func() error) error {
				return errors.Join(&cryptoki.Error{Function: function, Code: cryptoki.CKR_GENERAL_ERROR}, k.Session(refuse))
			}})
			if _, err := token.Generate(context.Background(), kind.template("another ID", "label")); err != nil {
				t.Fatal(err)
			}
			if n := objects(t, k); n <= 3*each || faults.Injected() != 3 {
				t.Errorf("%d objects, of three keys of %d, after %d faults", n, each, faults.Injected())
			}
			for _, id := range []string{"neighbour", "the ID", "another ID"} {
				if _, err := token.Key(context.Background(), object.Ref{Type: kind.tmpl.Type, ID: []byte(id)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
