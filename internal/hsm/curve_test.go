package hsm_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

func onCurve(curve, id, label string) object.Template {
	return object.Template{Type: object.EC, Curve: curve, ID: []byte(id), Label: label, Usage: object.Sign}
}

func TestPairsOnEveryCurveAndUsage(t *testing.T) {
	k := hsmtest.New(t)
	token := open(t, k)
	for _, curve := range slices.Sorted(maps.Keys(hsmtest.Curves)) {
		for _, usage := range []object.Usage{object.Sign, object.Derive, object.Sign | object.Derive} {
			t.Run(fmt.Sprintf("%s for %s", curve, usage), func(t *testing.T) {
				hsmtest.NeedsCurves(t, curve)
				if usage == object.Derive {
					hsmtest.Needs(t, hsmtest.ECDH)
				}
				tmpl := onCurve(curve, curve+usage.String(), "l")
				tmpl.Usage = usage
				if may := tmpl.MayUse(); !may.Has(usage) {
					if _, err := token.Generate(context.Background(), tmpl); err == nil || !strings.Contains(err.Error(), "Edwards keys are for sign, not for derive") {
						t.Errorf("got %v", err)
					}
					return
				}
				made := generate(t, token, tmpl)
				found, err := open(t, k).Key(context.Background(), object.Ref{Type: object.EC, ID: tmpl.ID, Fingerprint: made.Fingerprint()})
				if err != nil || describe(found) != describe(made) {
					t.Fatalf("found %s, %v", describe(found), err)
				}
				if publickey.Curve(made.PublicKey) != curve || made.Usage != usage || made.PublicUsage != usage || !yes(made.Sensitive) || yes(made.Extractable) {
					t.Errorf("made %s on %s", describe(made), publickey.Curve(made.PublicKey))
				}
				if proven, err := token.Prove(context.Background(), made); err != nil || !proven {
					t.Errorf("proven: %t, %v", proven, err)
				}
			})
		}
	}
	if n := strings.Count(k.Tool(t, "--list-objects"), "Secret Key Object"); n != 0 {
		t.Errorf("%d secrets of proofs are left", n)
	}
}

// SoftHSM's private halves show only the curve of a key.

func TestWhatIsNotSaidOfTwoPairsOfOneID(t *testing.T) {
	hsmtest.NeedsCurves(t)
	ctx := context.Background()
	const id = "78"
	// tool makes pairs as another program does.
	tool := func(t *testing.T, k *hsmtest.Token, keyType, label string) {
		k.Tool(t, "--keypairgen", "--key-type", keyType, "--id", id, "--label", label, "--usage-sign")
	}
	for name, c := range hsmtest.InOrder(map[string]struct {
		beside func(*testing.T, *hsmtest.Token)
		found  error // of looking for our pair; nil: it is found
		set    error // of the set of all keys
	}{
		"a pair on the same curve": {func(t *testing.T, k *hsmtest.Token) { tool(t, k, "EC:prime256v1", "theirs") }, object.ErrAmbiguous, object.ErrAmbiguous},
		"a pair on another curve":  {func(t *testing.T, k *hsmtest.Token) { tool(t, k, "EC:secp384r1", "theirs") }, nil, nil},
		"an Edwards pair":          {func(t *testing.T, k *hsmtest.Token) { tool(t, k, "EC:edwards25519", "theirs") }, nil, nil},
		"an RSA pair":              {func(t *testing.T, k *hsmtest.Token) { tool(t, k, "rsa:1024", "theirs") }, nil, nil},
		"two pairs on another curve": {func(t *testing.T, k *hsmtest.Token) {
			tool(t, k, "EC:secp384r1", "theirs")
			tool(t, k, "EC:secp384r1", "another's")
		}, nil, object.ErrAmbiguous},
		"a pair on the same curve, in the place of our private half": {func(t *testing.T, k *hsmtest.Token) {
			k.Tool(t, "--delete-object", "--type", "privkey", "--id", id)
			tool(t, k, "EC:prime256v1", "theirs")
		}, object.ErrMalformed, object.ErrAmbiguous}, // a proof shows that the private half is not ours
		"a pair on the same curve, in the place of our public half": {func(t *testing.T, k *hsmtest.Token) {
			k.Tool(t, "--delete-object", "--type", "pubkey", "--id", id)
			tool(t, k, "EC:prime256v1", "theirs")
		}, object.ErrAmbiguous, object.ErrAmbiguous},
		"a pair on another curve, in the place of our private half": {func(t *testing.T, k *hsmtest.Token) {
			k.Tool(t, "--delete-object", "--type", "privkey", "--id", id)
			tool(t, k, "EC:secp384r1", "theirs")
		}, object.ErrHalfPair, nil},
	}) {
		t.Run(name, func(t *testing.T) {
			k := hsmtest.New(t)
			token := open(t, k)
			mine := generate(t, token, onCurve(publickey.P256, "x", "mine"))
			c.beside(t, k)
			before := strings.Count(k.Tool(t, "--list-objects"), "Key Object")
			ref := object.Ref{Type: object.EC, ID: mine.ID, Fingerprint: mine.Fingerprint()}
			found, err := open(t, k).Key(ctx, ref)
			if !errors.Is(err, c.found) || err == nil && describe(found) != describe(mine) {
				t.Errorf("found %s, %v", describe(found), err)
			}
			if _, err := keyPairs(ctx, open(t, k)); !errors.Is(err, c.set) {
				t.Errorf("the set of all keys: %v", err)
			}
			label := "new"
			_, changed := token.Change(ctx, ref, object.Change{Label: &label})
			left, destroyed := token.Destroy(ctx, ref)
			if !errors.Is(changed, c.found) || !errors.Is(destroyed, c.found) {
				t.Errorf("changing it: %v, destroying it: %v", changed, destroyed)
			}
			gone := 0
			if c.found == nil {
				gone = 2
			}
			if n := strings.Count(k.Tool(t, "--list-objects"), "Key Object"); n != before-gone || c.found == nil && len(left) != n {
				t.Errorf("%d objects were there, %d are now; left: %v", before, n, left)
			}
		})
	}
}

// strangersBehind puts halves of two pairs under one ID, so that they look like one pair: our half of a class, and the
// other half of another pair.
func strangersBehind(t *testing.T, k *hsmtest.Token, token *hsm.Token, theirs string) (mine, other object.Key) {
	t.Helper()
	mine = generate(t, token, onCurve(publickey.P256, "x", "l"))
	other = generate(t, token, onCurve(publickey.P256, "y", "l"))
	ours := map[string]string{"privkey": "pubkey", "pubkey": "privkey"}[theirs]
	k.Tool(t, "--delete-object", "--type", theirs, "--id", "78")
	k.Tool(t, "--delete-object", "--type", ours, "--id", "79")
	k.Tool(t, "--type", theirs, "--id", "79", "--set-id", "78")
	return mine, other
}

func TestHalvesThatOnlyLookLikeOnePair(t *testing.T) {
	hsmtest.NeedsCurves(t, publickey.P256)
	ctx := context.Background()
	for _, theirs := range []string{"privkey", "pubkey"} {
		t.Run(theirs, func(t *testing.T) {
			k := hsmtest.New(t)
			token := open(t, k)
			mine, _ := strangersBehind(t, k, token, theirs)
			token = open(t, k)
			ref := object.Ref{Type: object.EC, ID: []byte("x"), Fingerprint: mine.Fingerprint()}
			label := "new"
			if theirs == "pubkey" { // which shows at the first look that it is another
				if pair, err := token.Key(ctx, ref); !errors.Is(err, object.ErrMalformed) {
					t.Errorf("found %s, %v", describe(pair), err)
				}
			}
			pair, err := token.Key(ctx, object.Ref{Type: object.EC, ID: []byte("x")}) // as an import does
			if err != nil {
				t.Fatal(err)
			}
			if proven, err := token.Prove(ctx, pair); proven || !errors.Is(err, object.ErrMalformed) {
				t.Errorf("proven: %t, %v", proven, err)
			}
			_, changed := token.Change(ctx, ref, object.Change{Label: &label})
			_, destroyed := token.Destroy(ctx, ref)
			for _, err := range []error{changed, destroyed} {
				if _, different := errors.AsType[*object.DifferentKeyError](err); !errors.Is(err, object.ErrMalformed) && !different {
					t.Errorf("got %v", err)
				}
			}
			if seen := k.Tool(t, "--list-objects"); strings.Count(seen, "label:      l\n") != 2 {
				t.Errorf("the halves have changed:\n%s", seen)
			}
		})
	}
}

// TestTheOtherHalfIsFoundByAProof gives the halves of a pair two IDs, and wants the error to name the missing half,
// among others that it may be.
func TestTheOtherHalfIsFoundByAProof(t *testing.T) {
	hsmtest.NeedsCurves(t, publickey.P256)
	k := hsmtest.New(t)
	ctx := context.Background()
	token := open(t, k)
	mine := generate(t, token, onCurve(publickey.P256, "x", "mine"))
	for i := range 3 { // lone halves of others, and whole pairs
		generate(t, token, onCurve(publickey.P256, fmt.Sprint("whole ", i), "whole"))
		id := fmt.Sprint("half ", i)
		generate(t, token, onCurve(publickey.P256, id, "half"))
		k.Tool(t, "--delete-object", "--type", []string{"privkey", "pubkey"}[i%2], "--id", object.FormatID([]byte(id)))
	}
	ref := object.Ref{Type: object.EC, ID: mine.ID, Fingerprint: mine.Fingerprint()}
	for _, half := range []string{"privkey", "pubkey"} {
		k.Tool(t, "--type", half, "--id", "78", "--set-id", "7a7a")
		_, err := open(t, k).Key(ctx, ref)
		apart, ok := errors.AsType[*object.HalfPairError](err)
		if !ok || apart.Other == nil || string(apart.Other.ID) != "zz" || apart.Other.Class != apart.Missing {
			t.Errorf("the %s under another ID: %v", half, err)
		}
		k.Tool(t, "--type", half, "--id", "7a7a", "--set-id", "78")
	}
	k.Tool(t, "--delete-object", "--type", "pubkey", "--id", "78")
	_, err := open(t, k).Key(ctx, ref)
	if apart, ok := errors.AsType[*object.HalfPairError](err); !ok || apart.Other != nil {
		t.Errorf("a half that is nowhere: %v", err)
	}
}

// TestEncodingsOfOtherTokens reads a pair through a module that gives EC_PARAMS and EC_POINT as other tokens do.
func TestEncodingsOfOtherTokens(t *testing.T) {
	const public, private = cryptoki.CKO_PUBLIC_KEY, cryptoki.CKO_PRIVATE_KEY
	k := hsmtest.New(t)
	witness := open(t, k)
	pairs := map[string]object.Key{}
	for _, curve := range []string{publickey.P256, publickey.Ed25519} {
		hsmtest.NeedsCurves(t, curve)
		pairs[curve] = generate(t, witness, onCurve(curve, curve, "l"))
	}
	point := publickey.Point(pairs[publickey.P256].PublicKey)
	other, err := publickey.ParsePEM("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n")
	if err != nil {
		t.Fatal(err)
	}
	beside := slices.Clone(point)
	beside[len(beside)-1] ^= 1
	raw := publickey.Point
	der := func(octets []byte) []byte { return append([]byte{4, byte(len(octets))}, octets...) }
	for name, c := range hsmtest.InOrder(map[string]struct {
		curve  string
		class  uint
		change func(cryptoki.Attributes)
		names  string // what the error names; "": there is none
	}{
		"the point raw":                              {publickey.P256, public, set(cryptoki.CKA_EC_POINT, point), ""},
		"the point compressed":                       {publickey.P256, public, set(cryptoki.CKA_EC_POINT, append([]byte{2 + point[64]&1}, point[1:33]...)), ""},
		"the curve by its name":                      {publickey.P256, public, set(cryptoki.CKA_EC_PARAMS, []byte("secp256r1")), ""},
		"the private half shows the point":           {publickey.P256, private, set(cryptoki.CKA_EC_POINT, der(point)), ""},
		"the private half shows no curve either":     {publickey.P256, private, without(cryptoki.CKA_EC_PARAMS), ""},
		"the Edwards point raw":                      {publickey.Ed25519, public, set(cryptoki.CKA_EC_POINT, raw(pairs[publickey.Ed25519].PublicKey)), ""},
		"the Edwards curve by its OID":               {publickey.Ed25519, public, set(cryptoki.CKA_EC_PARAMS, []byte{6, 3, 0x2b, 0x65, 0x70}), ""},
		"a point beside the curve":                   {publickey.P256, public, set(cryptoki.CKA_EC_POINT, der(beside)), "CKA_EC_POINT"},
		"a point of three bytes":                     {publickey.P256, public, set(cryptoki.CKA_EC_POINT, []byte{4, 1, 1}), "CKA_EC_POINT"},
		"no point":                                   {publickey.P256, public, without(cryptoki.CKA_EC_POINT), "CKA_EC_POINT"},
		"an unknown curve":                           {publickey.P256, public, set(cryptoki.CKA_EC_PARAMS, []byte{6, 5, 0x2b, 0x81, 4, 0, 0x21}), "CKA_EC_PARAMS"},
		"no curve":                                   {publickey.P256, public, without(cryptoki.CKA_EC_PARAMS), "CKA_EC_PARAMS"},
		"the curve of another CKA_KEY_TYPE":          {publickey.Ed25519, public, set(cryptoki.CKA_KEY_TYPE, cryptoki.ULong(cryptoki.CKA_KEY_TYPE, cryptoki.CKK_EC).Value), "CKA_EC_PARAMS"},
		"the private half shows another point":       {publickey.Ed25519, private, set(cryptoki.CKA_EC_POINT, raw(other)), "belongs to none of the other halves"},
		"the private half shows another curve":       {publickey.P256, private, set(cryptoki.CKA_EC_PARAMS, []byte("P-384")), "belongs to none of the other halves"},
		"a private half of another CKA_KEY_TYPE":     {publickey.P256, private, set(cryptoki.CKA_KEY_TYPE, cryptoki.ULong(cryptoki.CKA_KEY_TYPE, cryptoki.CKK_EC_EDWARDS).Value), "belongs to none of the other halves"},
		"an Edwards point of small order, all zeros": {publickey.Ed25519, public, set(cryptoki.CKA_EC_POINT, make([]byte, 32)), "CKA_EC_POINT"},
	}) {
		t.Run(name, func(t *testing.T) {
			faults := &hsmtest.Faults{}
			token := openWith(t, k, k.PIN, faults)
			pair := pairs[c.curve]
			faults.Inject(lie(c.class, func(a cryptoki.Attributes) {
				if string(a[cryptoki.CKA_ID]) == c.curve {
					c.change(a)
				}
			}))
			got, err := token.Key(context.Background(), object.Ref{Type: object.EC, ID: pair.ID, Fingerprint: pair.Fingerprint()})
			if c.names == "" && (err != nil || describe(got) != describe(pair)) {
				t.Errorf("found %s, %v", describe(got), err)
			}
			if c.names != "" && (err == nil || errors.Is(err, object.ErrNotFound) || !strings.Contains(err.Error(), c.names)) {
				t.Errorf("found %s, and the error does not name %s: %v", describe(got), c.names, err)
			}
		})
	}
}

// TestWhatCannotBeProvenIsNotKept makes pairs through a module that lies, or refuses the operation that would prove
// that their halves belong together.
func TestWhatCannotBeProvenIsNotKept(t *testing.T) {
	k := hsmtest.New(t)
	flip := func(c *cryptoki.Call) {
		if signature := *c.Result.(*[]byte); len(signature) > 0 {
			signature[0] ^= 1
		}
	}
	answer := func(change func(*cryptoki.Call)) func(context.Context, *cryptoki.Call, func() error) error {
		return func(_ context.Context, c *cryptoki.Call, next func() error) error {
			err := next()
			change(c)
			return err
		}
	}
	secret := func(change func(cryptoki.Attributes)) hsmtest.Fault {
		return hsmtest.Fault{Function: "C_GetAttributeValue", Do: answer(func(c *cryptoki.Call) {
			if r, ok := c.Result.(*cryptoki.Reading); ok && len(r.Attributes[cryptoki.CKA_VALUE]) > 0 {
				change(r.Attributes)
			}
		})}
	}
	for name, c := range hsmtest.InOrder(map[string]struct {
		kind  string
		fault hsmtest.Fault
		names string
	}{
		"a wrong ECDSA signature": {
			"P-256", hsmtest.Fault{Function: "C_Sign", Do: answer(flip)},
			"do not belong together",
		},
		"a wrong EdDSA signature": {
			"Ed25519", hsmtest.Fault{Function: "C_Sign", Do: answer(flip)},
			"do not belong together",
		},
		"no signatures": {
			"P-256", hsmtest.Fault{Function: "C_SignInit", Code: cryptoki.CKR_MECHANISM_INVALID},
			"nothing can prove that the two halves",
		},
		"a login for each signature": {
			"P-256", hsmtest.Fault{Function: "C_Sign", Code: cryptoki.CKR_USER_NOT_LOGGED_IN},
			"nothing can prove that the two halves",
		},
		"no agreement on secrets": {
			"secp256k1 that derives",
			hsmtest.Fault{Function: "C_DeriveKey", Code: cryptoki.CKR_MECHANISM_PARAM_INVALID},
			"nothing can prove that the two halves",
		},
		"a secret that the token hides": {
			"secp256k1 that derives", secret(without(cryptoki.CKA_VALUE)),
			"nothing can prove that the two halves",
		},
		"another secret":                  {"secp256k1 that derives", secret(func(a cryptoki.Attributes) { a[cryptoki.CKA_VALUE][0] ^= 1 }), "do not belong together"},
		"a private half on another curve": {"P-256", lie(cryptoki.CKO_PRIVATE_KEY, set(cryptoki.CKA_EC_PARAMS, []byte("P-384"))), "different keys"},
		"a public half on another curve": {"P-256", lie(cryptoki.CKO_PUBLIC_KEY, func(a cryptoki.Attributes) {
			params, _ := publickey.ECParams(publickey.Secp256k1)
			a[cryptoki.CKA_EC_PARAMS] = params
			key, _ := publickey.NewEC(publickey.Secp256k1, append([]byte{2}, append(make([]byte, 31), 1)...)) // x = 1 is on it
			a[cryptoki.CKA_EC_POINT] = publickey.Point(key)
		}), "on the curve secp256k1, not on P-256"},
	}) {
		for _, id := range []string{"chosen", ""} {
			t.Run(name+", ID "+id, func(t *testing.T) {
				kindNamed(c.kind).needs(t)
				w := &world{t: t, kind: kindNamed(c.kind), token: k, witness: open(t, k)}
				w.clear()
				faults := &hsmtest.Faults{}
				token := openWith(t, k, k.PIN, faults)
				faults.Inject(c.fault)
				_, err := token.Generate(context.Background(), w.kind.template(id, "label"))
				if _, ok := errors.AsType[*hsm.OperationError](err); !ok || !strings.Contains(err.Error(), c.names) {
					t.Fatalf("got %v", err)
				}
				w.holdsAsSaid(err, false)
			})
		}
	}
}

// TestASecretOfAProofIsNobodysKey has the destruction of a proof's secret fail: then the secret dies with its session.
func TestASecretOfAProofIsNobodysKey(t *testing.T) {
	kindNamed("secp256k1 that derives").needs(t)
	k := hsmtest.New(t)
	faults := &hsmtest.Faults{}
	token := openWith(t, k, k.PIN, faults)
	for _, code := range []cryptoki.RV{cryptoki.CKR_ACTION_PROHIBITED, cryptoki.CKR_DEVICE_ERROR} {
		faults.Inject(hsmtest.Fault{Function: "C_DestroyObject", Code: code})
		made := generate(t, token, kindNamed("secp256k1 that derives").template(code.Error(), "l"))
		faults.Clear()
		// The last session is left open for its login, until there is another.
		if _, err := token.Key(context.Background(), object.Ref{ID: []byte("nobody's")}); !errors.Is(err, object.ErrNotFound) {
			t.Error(err)
		}
		if n := objects(t, k); n != 2 { // of the whole process, those of its sessions among them
			t.Errorf("%s: %d objects", code, n)
		}
		if _, err := token.Destroy(context.Background(), object.Ref{Type: object.EC, ID: made.ID}); err != nil {
			t.Error(err)
		}
	}
}

// objects counts all objects that the process sees on the token.
func objects(t *testing.T, k *hsmtest.Token) (n int) {
	t.Helper()
	err := k.Session(func(ctx context.Context, s *cryptoki.Session) error {
		found, err := s.FindObjects(ctx, nil)
		n = len(found)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
