package hsm_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

func ofSet(set, id string) object.Template {
	return object.Template{Type: object.MLDSA, ParameterSet: set, ID: []byte(id), Label: id, Usage: object.Sign}
}

// onlyPlayed skips a test on tokens over which ML-DSA cannot be played.
func onlyPlayed(t *testing.T) {
	t.Helper()
	if name := hsmtest.ThisMake(t).Name; name != "softhsm" {
		t.Skipf("ML-DSA is played over SoftHSM, and not over %s", name)
	}
}

func playedMLDSA(t *testing.T) *hsmtest.Token {
	t.Helper()
	onlyPlayed(t)
	return hsmtest.New(t)
}

// TestTheLifeOfAnMLDSAPair is TestEveryMake's, over a token that has ML-DSA.
func TestTheLifeOfAnMLDSAPair(t *testing.T) {
	for _, set := range publickey.ParameterSets() {
		t.Run(set, func(t *testing.T) {
			onlyPlayed(t)
			life(t, object.Template{Type: object.MLDSA, ParameterSet: set, Usage: object.Sign}, hsmtest.PlayMLDSA)
		})
	}
}

func TestAnMLDSAPairIsShownAsItIs(t *testing.T) {
	ctx := context.Background()
	k := playedMLDSA(t)
	token := openHooked(t, k, hsmtest.PlayMLDSA)
	for _, set := range publickey.ParameterSets() {
		made := generate(t, token, ofSet(set, set))
		if got := publickey.ParameterSet(made.PublicKey); got != set || made.Type != object.MLDSA || made.Usage != object.Sign ||
			made.Shown() || made.Spec().Noun() != "ML-DSA key pairs" {
			t.Errorf("%s: made on %q, for %s", set, got, made.Usage)
		}
	}
	keys, unclassified, err := entries(ctx, token)
	if err != nil || unclassified != 0 || len(keys) != 6 {
		t.Fatalf("%d entries, %d unclassified, %v", len(keys), unclassified, err)
	}
	for _, entry := range keys {
		if entry.Type != "ML-DSA" || entry.ParameterSet != string(entry.ID) || entry.Curve != "" || entry.Bits != 0 ||
			entry.Err != nil || entry.OtherHalfMissing == nil || *entry.OtherHalfMissing {
			t.Errorf("an entry is %+v", entry)
		}
	}
	if err := published(ctx, token); err != nil {
		t.Errorf("they are not published: %v", err)
	}
	key, err := token.PublicKey(ctx, pkcs11uri.URI{ID: []byte(publickey.MLDSA87)})
	if err != nil || publickey.ParameterSet(key.PublicKey) != publickey.MLDSA87 || !key.HasPrivate {
		t.Errorf("the public key is %+v, %v", key, err)
	}
}

// TestATokenWithoutMLDSASaysSo asks before anything is made.
func TestATokenWithoutMLDSASaysSo(t *testing.T) {
	if hsmtest.Has(t, hsmtest.MLDSA) {
		t.Skip("this one has it")
	}
	ctx := context.Background()
	k := hsmtest.New(t)
	faults := &hsmtest.Faults{}
	err := openWith(t, k, k.PIN, faults).Check(ctx, ofSet(publickey.MLDSA44, "a"))
	const want = "the token does not make ML-DSA key pairs; it offers no generation of this type of key"
	if !errors.Is(err, object.ErrMechanism) || err.Error() != want || faults.Count("C_GenerateKeyPair") != 0 {
		t.Errorf("got %v", err)
	}
}

// TestWhatAnMLDSATemplateCannotBe includes what the bounds of the mechanism do not refuse: nobody knows what they count.
func TestWhatAnMLDSATemplateCannotBe(t *testing.T) {
	ctx := context.Background()
	k := playedMLDSA(t)
	token := openHooked(t, k, hsmtest.PlayMLDSA, func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if info, ok := c.Result.(*cryptoki.MechanismInfo); ok {
			info.MinKeySize, info.MaxKeySize = 4096, 8192
		}
		return err
	})
	for _, set := range publickey.ParameterSets() {
		if err := token.Check(ctx, ofSet(set, "a")); err != nil {
			t.Errorf("%s: %v", set, err)
		}
	}
	derives := ofSet(publickey.MLDSA44, "a")
	derives.Usage |= object.Derive
	for tmpl, want := range map[*object.Template]string{
		{Type: object.MLDSA, ParameterSet: "ML-DSA-43", Usage: object.Sign}: `the parameter set "ML-DSA-43" is not one of ` +
			"ML-DSA-44, ML-DSA-65, ML-DSA-87",
		&derives: "ML-DSA keys are for sign, not for derive",
	} {
		_, err := token.Generate(ctx, *tmpl)
		if unfit, ok := errors.AsType[*object.UnfitError](err); !ok || unfit.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestAnMLDSAPairThatIsAnotherIsNotKept has a token that makes something else than it was asked for, or shows another
// public key than the one that it signs with.
func TestAnMLDSAPairThatIsAnotherIsNotKept(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		lie  hsm.Hook
		want string
	}{
		"another parameter set": {func(_ context.Context, c *cryptoki.Call, next func() error) error {
			for i, a := range c.Public {
				if a.Type == cryptoki.CKA_PARAMETER_SET {
					c.Public[i] = cryptoki.ULong(cryptoki.CKA_PARAMETER_SET, 2)
				}
			}
			return next()
		}, "its parameter set is ML-DSA-65, not ML-DSA-44"},
		"another public key": {exchangedValue(func(v []byte) []byte {
			v = bytes.Clone(v)
			v[len(v)-1] ^= 1
			return v
		}), "the two halves do not belong together"},
		"a public key that is cut off": {exchangedValue(func(v []byte) []byte { return v[1:] }),
			"CKA_VALUE makes no key: an ML-DSA-44 public key has 1312 bytes, not 1311"},
		"no signature": {func(_ context.Context, c *cryptoki.Call, next func() error) error {
			if c.Function == "C_SignInit" {
				return &cryptoki.Error{Function: c.Function, Code: cryptoki.CKR_DEVICE_ERROR}
			}
			return next()
		}, "CKR_DEVICE_ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			k := playedMLDSA(t)
			_, err := openHooked(t, k, hsmtest.PlayMLDSA, c.lie).Generate(ctx, ofSet(publickey.MLDSA44, "a"))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if n := objects(t, k); n != 0 {
				t.Errorf("%d objects are left", n)
			}
		})
	}
}

func exchangedValue(by func([]byte) []byte) hsm.Hook {
	return func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if reading, ok := c.Result.(*cryptoki.Reading); ok && len(reading.Attributes[cryptoki.CKA_VALUE]) > 0 {
			reading.Attributes[cryptoki.CKA_VALUE] = by(reading.Attributes[cryptoki.CKA_VALUE])
		}
		return err
	}
}

// TestAnMLDSAPairWithAnotherPublicHalfIsNotPublished also holds that such a pair's halves are told apart by their
// parameter sets without a signature.
func TestAnMLDSAPairWithAnotherPublicHalfIsNotPublished(t *testing.T) {
	ctx := context.Background()
	k := playedMLDSA(t)
	generate(t, openHooked(t, k, hsmtest.PlayMLDSA), ofSet(publickey.MLDSA44, "a"))
	token := openHooked(t, k, hsmtest.PlayMLDSA, exchangedValue(func(v []byte) []byte {
		v = bytes.Clone(v)
		v[0] ^= 1
		return v
	}))
	if err := published(ctx, token); !is[*hsm.DisprovedError](err) {
		t.Errorf("with another value: %v", err)
	}
	other := openHooked(t, k, hsmtest.PlayMLDSA, func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		reading, ok := c.Result.(*cryptoki.Reading)
		if ok && reading.Attributes[cryptoki.CKA_PARAMETER_SET] != nil && !slices.Contains(c.Types, cryptoki.CKA_VALUE) {
			reading.Attributes[cryptoki.CKA_PARAMETER_SET] = cryptoki.ULong(cryptoki.CKA_PARAMETER_SET, 3).Value
		}
		return err
	})
	if err := published(ctx, other); !errors.Is(err, object.ErrMalformed) || !strings.Contains(err.Error(), "belongs to none") {
		t.Errorf("with a private half of another parameter set: %v", err)
	}
}

// TestOnlyTheValueOfAPublicKeyIsAskedFor reads keys of every type. The value of a secret key, and of a private half, is
// a secret, and no call may ask for it, whether the token would tell it or not.
func TestOnlyTheValueOfAPublicKeyIsAskedFor(t *testing.T) {
	ctx := context.Background()
	k := playedMLDSA(t)
	var mu sync.Mutex
	asked := map[cryptoki.Object]bool{}
	token := openHooked(t, k, hsmtest.PlayMLDSA, func(_ context.Context, c *cryptoki.Call, next func() error) error {
		if slices.Contains(c.Types, cryptoki.CKA_VALUE) {
			mu.Lock()
			asked[c.Object] = true
			mu.Unlock()
		}
		return next()
	})
	mine := generate(t, token, ofSet(publickey.MLDSA65, "m"))
	generate(t, token, onCurve(publickey.P256, "e", "e"))
	generate(t, token, object.Template{
		Type: object.RSA, ModulusBits: 1024, PublicExponent: 65537, ID: []byte("r"), Label: "r", Usage: object.Sign,
	})
	generate(t, token, object.Template{
		Type: object.Secret, Kind: object.AES, Bits: 256, ID: []byte("s"), Label: "s", Usage: object.Encrypt,
	})
	if _, _, err := entries(ctx, token); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(asked) != 1 || !asked[mine.Public.Handle] {
		t.Errorf("values were asked for of %v, and the public half is %d", asked, mine.Public.Handle)
	}
}
