package hsm_test

import (
	"context"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// TestAKeyIsProvenByWhatItMay makes keys that the token lets be used with one mechanism alone, and has each proven by
// that one.
func TestAKeyIsProvenByWhatItMay(t *testing.T) {
	onSoftHSM(t) // others lack some of the mechanisms
	k := hsmtest.New(t)
	for id, c := range map[string]struct {
		kind, mechanism string
		alg, other      string // what it may be used for, and what not
	}{
		"01": {"rsa:1024", "RSA-PKCS", "RS256", "PS256"},
		"02": {"rsa:1024", "SHA256-RSA-PKCS", "RS256", "RS512"},
		"03": {"rsa:1024", "SHA384-RSA-PKCS", "RS384", "RS256"},
		"04": {"rsa:2048", "SHA512-RSA-PKCS", "RS512", "RS256"},
		"05": {"rsa:1024", "RSA-PKCS-PSS", "PS256", "RS256"},
		"06": {"rsa:1024", "SHA256-RSA-PKCS-PSS", "PS256", "RS256"},
		"07": {"rsa:2048", "SHA384-RSA-PKCS-PSS", "PS384", "PS256"},
		"08": {"rsa:2048", "SHA512-RSA-PKCS-PSS", "PS512", "PS384"},
		"09": {"EC:prime256v1", "ECDSA", "ES256", "ECDH-ES"},
	} {
		k.Tool(t, "--keypairgen", "--key-type", c.kind, "--id", id, "--label", c.mechanism, "--usage-sign",
			"--allowed-mechanisms", c.mechanism)
		faults := &hsmtest.Faults{}
		token := openWith(t, k, k.PIN, faults)
		faults.Inject(lie(cryptoki.CKO_PRIVATE_KEY, func(a cryptoki.Attributes) {
			delete(a, cryptoki.CKA_MODULUS) // so that nothing but an operation can prove the pair
		}))
		raw, _ := object.ParseID(id)
		key, err := token.Key(context.Background(), object.Ref{ID: raw})
		if err != nil {
			t.Fatal(err)
		}
		if len(key.Mechanisms) != 1 || !key.AllowsAlg(c.alg) || key.AllowsAlg(c.other) {
			t.Errorf("%s: the key may be used with %v", c.mechanism, key.Mechanisms)
		}
		if proven, err := token.Prove(context.Background(), key); err != nil || !proven || faults.Count("C_Sign") != 1 {
			t.Errorf("%s: proven %t, %v, by the calls %v", c.mechanism, proven, err, faults.Calls())
		}
	}
}

// TestADateHidesNoKey has a secret key with dates beside another one.
func TestADateHidesNoKey(t *testing.T) {
	hsmtest.Needs(t, hsmtest.SecretKeys)
	k := hsmtest.New(t)
	token := open(t, k)
	made := generate(t, token, object.Template{Type: object.Secret, Kind: object.AES, Bits: 256, Label: "a", ID: []byte("a"), Usage: object.Encrypt | object.Decrypt})
	err := k.Session(func(ctx context.Context, s *cryptoki.Session) error {
		return s.SetAttributeValue(ctx, made.Private.Handle, []cryptoki.Attribute{
			cryptoki.Bytes(cryptoki.CKA_START_DATE, []byte("20260102")), cryptoki.Bytes(cryptoki.CKA_END_DATE, []byte("20361231")),
		})
	})
	if err != nil {
		t.Skipf("this token does not set dates: %v", err)
	}
	inventory, err := open(t, k).Inventory(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	keys, _ := inventory.Keys()
	if len(keys) != 1 || keys[0].Label != "a" {
		t.Errorf("the token holds %v", keys)
	}
	if c := keys[0].Claims; c.StartDate != "" && (c.StartDate != "2026-01-02" || c.EndDate != "2036-12-31") {
		t.Errorf("the dates are %q and %q", c.StartDate, c.EndDate)
	}
}

// TestATokenThatDoesNotKnowRecovery refuses templates until one leaves signing with recovery out.
func TestATokenThatDoesNotKnowRecovery(t *testing.T) {
	onSoftHSM(t)
	k := hsmtest.New(t)
	for id, tries := range map[string]int{"a": 1, "b": 3} {
		faults := &hsmtest.Faults{}
		token := openWith(t, k, k.PIN, faults)
		for nth := 1; nth < tries; nth++ {
			faults.Inject(hsmtest.Fault{Function: "C_GenerateKeyPair", Nth: nth, Code: cryptoki.CKR_ATTRIBUTE_TYPE_INVALID})
		}
		pair, err := token.Generate(context.Background(), kindNamed("P-256").template(id, "label"))
		if err != nil || faults.Count("C_GenerateKeyPair") != tries {
			t.Fatalf("%v, after %d calls and not %d", err, faults.Count("C_GenerateKeyPair"), tries)
		}
		if may := pair.Usage.Has(object.SignRecover); may != (tries > 1) { // SoftHSM's default is true
			t.Errorf("after %d calls, the pair may sign with recovery: %t", tries, may)
		}
	}
}
