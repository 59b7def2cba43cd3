package hsm_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
)

// listed is an entry in a line: its label, class, type, bits and uses, and whether its other half is missing.
func listed(k object.Entry) string {
	missing := "-"
	if k.OtherHalfMissing != nil {
		missing = fmt.Sprint(*k.OtherHalfMissing)
	}
	return fmt.Sprintf("%s %s %s %d %v %s", k.Label, k.Class, k.Type, k.Bits, k.Uses, missing)
}

func checkKeys(t *testing.T, token *hsm.Token, unclassified int, want ...string) []object.Entry {
	t.Helper()
	keys, n, err := entries(context.Background(), token)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, k := range keys {
		have = append(have, listed(k))
	}
	if !slices.Equal(have, want) {
		t.Errorf("the keys are\n%s\nand not\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
	if n != unclassified {
		t.Errorf("%d objects are unclassified, not %d", n, unclassified)
	}
	return keys
}

func TestEntriesShowEveryKeyAndLoneHalf(t *testing.T) {
	hsmtest.Needs(t, hsmtest.OtherEyes)
	k := hsmtest.New(t)
	made := open(t, k)
	both := small("4", "both")
	both.Usage = object.Sign | object.Decrypt
	generate(t, made, both)
	generate(t, made, small("1", "no public half"))
	k.Tool(t, "--delete-object", "--type", "pubkey", "--id", "31")
	generate(t, made, small("2", "no private half"))
	k.Tool(t, "--delete-object", "--type", "privkey", "--id", "32")
	// Two halves of one ID that are of two keys.
	generate(t, made, small("3", "strangers"))
	k.Tool(t, "--delete-object", "--type", "pubkey", "--id", "33")
	generate(t, made, small("5", "strangers"))
	k.Tool(t, "--delete-object", "--type", "privkey", "--id", "35")
	k.Tool(t, "--id", "35", "--type", "pubkey", "--set-id", "33")

	faults := &hsmtest.Faults{}
	token := openWith(t, k, k.PIN, faults)
	want := []string{
		"no public half private key RSA 1024 [sign] true",
		"no private half public key RSA 1024 [verify] true",
		"strangers private key RSA 1024 [sign] true",
		"strangers public key RSA 1024 [verify] true",
		"both private key RSA 1024 [decrypt sign] false",
		"both public key RSA 1024 [encrypt verify] false",
	}
	keys := checkKeys(t, token, 0, want...)
	private, public := keys[4], keys[5]
	if private.Sensitive == nil || !*private.Sensitive || private.Extractable == nil || *private.Extractable || private.Local == nil || public.Sensitive != nil && *public.Sensitive {
		t.Errorf("claims: %+v, %+v", private, public)
	}
	searches, reads := faults.Count("C_FindObjectsInit"), faults.Count("C_GetAttributeValue")
	if searches != 1 || reads != len(want) {
		t.Errorf("%d keys cost %d searches and %d reads", len(want), searches, reads)
	}
	checkKeys(t, token, 0, want...)
	if n := faults.Count("C_GetAttributeValue"); n != reads {
		t.Errorf("listing them once more read %d objects", n-reads)
	}
}

func TestEntriesShowWhatMakesNoSense(t *testing.T) {
	k := hsmtest.New(t)
	made := open(t, k)
	for _, id := range []string{"1", "2", "3", "4"} {
		generate(t, made, small(id, id))
	}
	faults := &hsmtest.Faults{}
	token := openWith(t, k, k.PIN, faults)
	faults.Inject(hsmtest.Fault{Function: "C_GetAttributeValue", Do: func(_ context.Context, call *cryptoki.Call, next func() error) error {
		err := next()
		a := call.Result.(*cryptoki.Reading).Attributes
		class, _, _ := a.ULong(cryptoki.CKA_CLASS)
		switch {
		case string(a[cryptoki.CKA_ID]) == "1" && class == cryptoki.CKO_PRIVATE_KEY:
			delete(a, cryptoki.CKA_CLASS)
		case string(a[cryptoki.CKA_ID]) == "2" && class == cryptoki.CKO_PRIVATE_KEY:
			a[cryptoki.CKA_SIGN] = []byte{1, 1}
		case string(a[cryptoki.CKA_ID]) == "3" && class == cryptoki.CKO_PUBLIC_KEY:
			a[cryptoki.CKA_MODULUS][len(a[cryptoki.CKA_MODULUS])-1] = 0
		case string(a[cryptoki.CKA_ID]) == "4":
			delete(a, cryptoki.CKA_ID)
		}
		return err
	}})
	keys := checkKeys(t, token, 1,
		"4 private key  0 [sign] -",
		"4 public key  0 [verify] -",
		"1 public key RSA 1024 [verify] -", // an unclassified object has this ID, and may be the other half
		"2 private key  0 [] -",
		"2 public key RSA 1024 [verify] -", // the malformed half may be the other half
		"3 private key RSA 1024 [sign] -",
		"3 public key RSA 1024 [verify] -",
	)
	for i, want := range map[int]string{0: "the token did not give CKA_ID", 1: "the token did not give CKA_ID",
		3: "CKA_SIGN has 2 bytes", 6: "CKA_MODULUS is even"} {
		if broken, ok := errors.AsType[*object.MalformedError](keys[i].Err); !ok || !strings.Contains(broken.Err.Error(), want) || strings.Contains(broken.Err.Error(), "handle") {
			t.Errorf("key %d: %v", i, keys[i].Err)
		}
	}
}

// TestHalvesThatShowNothing has a token that shows nothing of private keys. Two halves of one ID then make a pair;
// where an ID has more halves, nobody can tell which of them belong together.
func TestHalvesThatShowNothing(t *testing.T) {
	hsmtest.Needs(t, hsmtest.OtherEyes, hsmtest.SameID)
	k := hsmtest.New(t)
	made := open(t, k)
	generate(t, made, small("1", "one"))
	generate(t, made, small("2", "two"))
	k.Tool(t, "--keypairgen", "--key-type", "rsa:1024", "--id", "32", "--label", "two", "--usage-sign")
	faults := &hsmtest.Faults{}
	token := openWith(t, k, k.PIN, faults)
	faults.Inject(hsmtest.Fault{Function: "C_GetAttributeValue", Do: func(_ context.Context, call *cryptoki.Call, next func() error) error {
		err := next()
		a := call.Result.(*cryptoki.Reading).Attributes
		if class, _, _ := a.ULong(cryptoki.CKA_CLASS); class == cryptoki.CKO_PRIVATE_KEY {
			delete(a, cryptoki.CKA_MODULUS)
			a[cryptoki.CKA_SIGN], a[cryptoki.CKA_DECRYPT], a[cryptoki.CKA_UNWRAP] = []byte{1}, []byte{0}, []byte{0}
			a[cryptoki.CKA_SIGN_RECOVER] = []byte{0}
		} else {
			a[cryptoki.CKA_VERIFY], a[cryptoki.CKA_ENCRYPT], a[cryptoki.CKA_WRAP] = []byte{1}, []byte{0}, []byte{0}
			a[cryptoki.CKA_VERIFY_RECOVER] = []byte{0}
		}
		return err
	}})
	checkKeys(t, token, 0,
		"one private key RSA 0 [sign] false",
		"one public key RSA 1024 [verify] false",
		"two private key RSA 0 [sign] -",
		"two private key RSA 0 [sign] -",
		"two public key RSA 1024 [verify] -",
		"two public key RSA 1024 [verify] -",
	)
}

func TestPublicKey(t *testing.T) {
	hsmtest.Needs(t, hsmtest.OtherEyes)
	k := hsmtest.New(t)
	ctx := context.Background()
	made := open(t, k)
	pair := generate(t, made, small("1", "pair"))
	lone := generate(t, made, small("2", "imported"))
	k.Tool(t, "--delete-object", "--type", "privkey", "--id", "32")
	generate(t, made, small("3", "half"))
	k.Tool(t, "--delete-object", "--type", "pubkey", "--id", "33")
	generate(t, made, small("4", "twice"))
	generate(t, made, small("5", "twice"))
	generate(t, made, small("6", "six"))
	k.Tool(t, "--keypairgen", "--key-type", "rsa:1024", "--id", "36", "--label", "another six", "--usage-sign")
	text := func(s string) *string { return &s }

	for name, c := range hsmtest.InOrder(map[string]struct {
		want  pkcs11uri.URI
		key   string // its fingerprint
		is    error
		parts []string // of the error
	}{
		"a pair by its ID":               {want: pkcs11uri.URI{ID: []byte("1")}, key: pair.Fingerprint()},
		"a pair by its label":            {want: pkcs11uri.URI{Object: text("pair")}, key: pair.Fingerprint()},
		"a lone public half by its ID":   {want: pkcs11uri.URI{ID: []byte("2")}, key: lone.Fingerprint()},
		"a lone one by its label":        {want: pkcs11uri.URI{Object: text("imported")}, key: lone.Fingerprint()},
		"one of two by ID and label":     {want: pkcs11uri.URI{ID: []byte("5"), Object: text("twice")}},
		"one of two of an ID by a label": {want: pkcs11uri.URI{ID: []byte("6"), Object: text("another six")}},
		"a private half by its ID":       {want: pkcs11uri.URI{ID: []byte("3")}, is: object.ErrHalfPair, parts: []string{"public key is missing", `"half"`}},
		"a private half by its label":    {want: pkcs11uri.URI{Object: text("half")}, is: object.ErrHalfPair},
		"a label of two":                 {want: pkcs11uri.URI{Object: text("twice")}, is: object.ErrNoMatch, parts: []string{"2 keys match", "(ID 34), SHA-256", "(ID 35), SHA-256"}},
		"an ID of two":                   {want: pkcs11uri.URI{ID: []byte("6")}, is: object.ErrNoMatch, parts: []string{"2 keys match", `"six"`, `"another six"`}},
		"a label of none": {want: pkcs11uri.URI{Object: text("nobody")}, is: object.ErrNoMatch, parts: []string{
			"no public key matches; the token holds:", `RSA public key "imported" (ID 32)`, `RSA private key "half" (ID 33)`, `RSA public key "pair" (ID 31)`,
		}},
		"an ID of none":          {want: pkcs11uri.URI{ID: []byte("9")}, is: object.ErrNoMatch, parts: []string{`RSA public key "imported" (ID 32)`}},
		"an ID of another label": {want: pkcs11uri.URI{ID: []byte("1"), Object: text("imported")}, is: object.ErrNoMatch},
		"another token":          {want: pkcs11uri.URI{ID: []byte("1"), Token: text("elsewhere")}, is: object.ErrNoMatch},
	}) {
		t.Run(name, func(t *testing.T) {
			if string(c.want.ID) == "6" {
				hsmtest.Needs(t, hsmtest.SameID)
			}
			key, err := open(t, k).PublicKey(ctx, c.want)
			if !errors.Is(err, c.is) {
				t.Fatalf("got %v", err)
			}
			for _, part := range c.parts {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in: %v", part, err)
				}
			}
			if err == nil && (c.key != "" && key.Fingerprint() != c.key || key.HasPrivate == (key.Fingerprint() == lone.Fingerprint()) || !key.Usage.Has(object.Sign)) {
				t.Errorf("got %+v", key)
			}
			if !strings.Contains(fmt.Sprint(key.PublicUses), "verify") && err == nil {
				t.Errorf("its uses are %v", key.PublicUses)
			}
		})
	}
}

func TestAnErrorListsAFewKeysOnly(t *testing.T) {
	miss := &object.MatchError{}
	for i := range 50 {
		miss.There = append(miss.There, fmt.Sprint("key ", i))
	}
	if text := miss.Error(); !strings.Contains(text, "key 19") || strings.Contains(text, "key 20") || !strings.Contains(text, "and 30 more") {
		t.Error(text)
	}
}

func TestSecretKeysOfOneNameComeInOneOrder(t *testing.T) {
	hsmtest.Needs(t, hsmtest.SecretKeys, hsmtest.OtherEyes, hsmtest.SameID)
	k := hsmtest.New(t)
	for _, bytes := range []string{"16", "24", "32"} {
		k.Tool(t, "--keygen", "--key-type", "AES:"+bytes, "--sensitive", "--private", "--label", "same", "--id", "61")
	}
	order := func(faults *hsmtest.Faults) (bits []int) {
		keys, _, err := entries(context.Background(), openWith(t, k, k.PIN, faults))
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			bits = append(bits, key.Bits)
		}
		return bits
	}
	reversed := &hsmtest.Faults{}
	reversed.Inject(hsmtest.Fault{Function: "C_FindObjects", Do: func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		slices.Reverse(*c.Result.(*[]cryptoki.Object))
		return err
	}})
	if one, other := order(&hsmtest.Faults{}), order(reversed); len(one) != 3 || !slices.Equal(one, other) {
		t.Errorf("in the order of the token they are %v, in the opposite one %v", one, other)
	}
}
