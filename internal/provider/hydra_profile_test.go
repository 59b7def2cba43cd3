package provider

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"math/big"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

func TestHydraProfile(t *testing.T) {
	rsaKey := func(bits uint) *rsa.PublicKey {
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}
	}
	on := func(curve elliptic.Curve) *ecdsa.PublicKey {
		return &ecdsa.PublicKey{Curve: curve}
	}
	// key is one that Hydra takes, and is selected.
	key := func(label, id string, change func(*candidate)) candidate {
		k := candidate{Key: object.Key{Label: label, PublicLabel: label, ID: []byte(id), PublicKey: rsaKey(4096), Usage: object.Sign}, selected: true}
		if change != nil {
			change(&k)
		}
		return k
	}
	public := func(pub crypto.PublicKey) func(*candidate) {
		return func(k *candidate) { k.PublicKey = pub }
	}
	may := func(usage object.Usage) func(*candidate) { return func(k *candidate) { k.Usage = usage } }
	leftOut := func(pub crypto.PublicKey) func(*candidate) {
		return func(k *candidate) { k.PublicKey, k.selected = pub, false }
	}
	for _, test := range []struct {
		name string // a sentence
		keys []candidate
		says []string // each offence, by its beginning or a part
	}{
		{"keys that Hydra takes", []candidate{
			key("a", "1", nil), key("a", "2", public(on(elliptic.P256()))), key("b", "ü 3", public(on(elliptic.P521()))),
			key("c", "4", may(object.Decrypt)), key("other", "5", leftOut(rsaKey(1024))), key("a", "", leftOut(rsaKey(1024))),
		}, nil},
		{"an RSA key that is too small", []candidate{key("a", "1", public(rsaKey(4095)))}, []string{`"a" (key_id 31): its modulus has 4095 bits, but Hydra takes only RSA keys of 4096 bits or more`}},
		{"a curve that Hydra does not take", []candidate{key("a", "1", public(on(elliptic.P384())))}, []string{`it is of the kind P-384, but Hydra takes only RSA keys and keys on P-256 or P-521`}},
		{"an Edwards curve", []candidate{key("a", "1", public(make(ed25519.PublicKey, 32)))}, []string{`it is of the kind Ed25519`}},
		{"a signing key that may decrypt", []candidate{key("a", "1", may(object.Sign|object.Decrypt))}, []string{`publishes every key that may decrypt as an encryption key. Set its usage to ["sign"]`}},
		{"a key that may do neither", []candidate{key("a", "1", may(object.Unwrap))}, []string{`it may not sign`}},
		{"an ID that is not UTF-8", []candidate{key("a", "\xff\x01", nil)}, []string{`(key_id ff01): its ID is not printable UTF-8 text`}},
		{"an ID that is not printable", []candidate{key("a", "a\n", nil)}, []string{`(key_id 610a): its ID is not printable UTF-8 text`}},
		{"an ID that Terraform would write otherwise", []candidate{key("a", "e\u0301", nil)}, []string{`(key_id 65cc81): its ID is not printable UTF-8 text in Unicode's normal form C`}},
		{"no ID", []candidate{key("a", "", nil)}, []string{`"a" (without an ID): its ID is not printable UTF-8 text`}},
		{"an ID twice", []candidate{key("a", "1", nil), key("b", "1", nil), key("b", "2", nil)}, []string{`"a" (key_id 31): another selected key has the same ID`, `"b" (key_id 31): another selected key has the same ID`}},
		{"halves of two labels", []candidate{key("a", "1", func(k *candidate) { k.PublicLabel = "b" })}, []string{`its public half is labelled "b", but Hydra looks for two halves with the same label`}},
		{"another key under a selected label", []candidate{key("a", "1", nil), key("a", "2", leftOut(rsaKey(4096)))}, []string{`"a" (key_id 32): it is not selected, but it has the label of a selected key`}},
		{"a key under a selected label that Hydra refuses", []candidate{key("a", "1", nil), key("a", "2", leftOut(rsaKey(2048)))}, []string{`"a" (key_id 32): it has the label of a selected key, and one key that Hydra refuses makes it refuse all keys with that label: its modulus has 2048 bits`}},
		{"a key of an unknown kind under a selected label", []candidate{key("a", "1", nil), key("a", "2", func(k *candidate) {
			*k = candidate{Key: object.Key{Label: "a", ID: []byte("2")}, unknown: "type 0x1"}
		})}, []string{`"a" (key_id 32): it has the label of a selected key, and one key that Hydra refuses makes it refuse all keys with that label: it is of the kind type 0x1`}},
		{"half a pair under a selected label", []candidate{key("a", "1", nil), key("a", "2", func(k *candidate) {
			*k = candidate{Key: object.Key{Label: "a", ID: []byte("2")}, problem: object.ErrHalfPair}
		}), key("b", "3", func(k *candidate) {
			*k = candidate{Key: object.Key{Label: "b", ID: []byte("3")}, problem: object.ErrHalfPair}
		})}, []string{
			`"a" (key_id 32): it has the label of a selected key, so it belongs to Hydra's key set, and it makes no sense: half of ` +
				`the key pair is missing. Mend it`,
		}},
		{"all offences of all keys", []candidate{key("a", "\xff", public(rsaKey(2048))), key("b", "2", may(object.Sign|object.Decrypt))}, []string{`"a" (key_id ff): its modulus`, `"a" (key_id ff): its ID`, `"b" (key_id 32): it may sign and decrypt`}},
		{"a key under the label that Hydra signs with, and two beside it", []candidate{
			key("hydra.jwt.access-token", "1", nil), key("spare", "2", nil), key("spare", "3", nil),
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			diags := notForHydra(test.keys, hsm.TokenInfo{})
			if len(test.says) == 0 {
				if len(diags) > 0 {
					t.Errorf("it says %v", diags)
				}
				return
			}
			if len(diags) != 1 {
				t.Fatalf("it says %v", diags)
			}
			offences := strings.Split(diags[0].Detail(), "\n\n  - ")[1:]
			if len(offences) != len(test.says) {
				t.Fatalf("it says %q", offences)
			}
			for i, want := range test.says {
				if !strings.Contains(offences[i], want) {
					t.Errorf("it says %q, not %q", offences[i], want)
				}
			}
		})
	}
}

// With several keys under one label, nobody says which of them signs.
func TestHydraSignsWithAnyOfSeveralKeys(t *testing.T) {
	var keys []candidate
	for i, label := range []string{
		"hydra.openid.id-token", "a.hydra.jwt.access-token", "a.hydra.jwt.access-token", "spare", "spare",
	} {
		keys = append(keys, candidate{selected: true, Key: object.Key{
			Label: label, PublicLabel: label, ID: []byte{'1' + byte(i)}, Usage: object.Sign,
			PublicKey: &ecdsa.PublicKey{Curve: elliptic.P256()},
		}})
	}
	diags := notForHydra(keys, hsm.TokenInfo{})
	if len(diags) != 1 || diags.HasError() || diags[0].Summary() != "Hydra Signs With Any Of Several Keys" {
		t.Fatalf("it says %v", diags)
	}
	for _, part := range []string{`label "a.hydra.jwt.access-token"`, "(key_id 32)\n  - ", "(key_id 33)\n\n"} {
		if !strings.Contains(diags[0].Detail(), part) {
			t.Errorf("%q is not in: %s", part, diags[0].Detail())
		}
	}
}

func TestHydraKey(t *testing.T) {
	for _, test := range []struct {
		pub      crypto.PublicKey
		usage    object.Usage
		use, alg string
	}{
		{&rsa.PublicKey{N: big.NewInt(1), E: 3}, object.Sign, "sig", "RS256"},
		{&rsa.PublicKey{N: big.NewInt(1), E: 3}, object.Decrypt, "enc", "RS256"}, // Hydra's own choice
		{&ecdsa.PublicKey{Curve: elliptic.P256()}, object.Sign, "sig", "ES256"},
		{&ecdsa.PublicKey{Curve: elliptic.P521()}, object.Sign, "sig", "ES512"},
	} {
		key := hydraKey(object.Key{ID: []byte("k"), PublicKey: test.pub, Usage: test.usage})
		if key.KID != "k" || key.Use != test.use || key.Alg != test.alg {
			t.Errorf("%T for %s is kid %q, use %q, alg %q", test.pub, test.usage, key.KID, key.Use, key.Alg)
		}
	}
}
