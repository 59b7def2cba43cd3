package hsm_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// TestAChangeDoesNotPassOnAStrangersKey has a stranger write over the public half in the middle of a change.
func TestAChangeDoesNotPassOnAStrangersKey(t *testing.T) {
	k, faults := hsmtest.New(t), &hsmtest.Faults{}
	s := hsmtest.NewStranger(t, k)
	mine := generate(t, open(t, k), onCurve(publickey.P256, "x", "web"))
	token := openWith(t, k, k.PIN, faults)
	faults.Inject(hsmtest.Fault{Function: "C_SetAttributeValue", Nth: 1, Do: func(
		_ context.Context, _ *cryptoki.Call, next func() error,
	) error {
		err := next()
		s.SwapsPublicHalf(t, hsmtest.StrangerP256, "web", "78")
		return err
	}})
	label := "other"
	ref := object.Ref{Type: object.EC, ID: mine.ID, Fingerprint: mine.Fingerprint()}
	key, err := token.Change(t.Context(), ref, object.Change{Label: &label})
	failed, _ := errors.AsType[*hsm.OperationError](err)
	if different, ok := errors.AsType[*object.DifferentKeyError](err); !ok ||
		different.Want != mine.Fingerprint() || failed.Holds != hsm.HoldsPrivate {
		t.Fatalf("changed to %v with the fingerprint %s: %v", key.PublicKey, key.Fingerprint(), err)
	}
	now, err := keyPairs(t.Context(), open(t, k))
	if err != nil || len(now) != 1 || now[0].Label != "web" || now[0].PublicLabel != "web" {
		t.Errorf("the token holds %+v, %v", now, err)
	}
}

// TestAFailedProofLetsOtherCallsEnd fails one proof while another one is in the module.
func TestAFailedProofLetsOtherCallsEnd(t *testing.T) {
	hsmtest.NeedsCurves(t, publickey.P256)
	k, faults := hsmtest.New(t), &hsmtest.Faults{}
	maker := open(t, k)
	for i := range 2 {
		generate(t, maker, onCurve(publickey.P256, fmt.Sprint(i), "l"))
	}
	token := openWith(t, k, k.PIN, faults)
	pairs, err := keyPairs(t.Context(), token)
	if err != nil || len(pairs) != 2 {
		t.Fatal(len(pairs), err)
	}
	inside := make(chan struct{})
	faults.Inject(hsmtest.Fault{Function: "C_Sign", Nth: 1, Do: func(
		ctx context.Context, _ *cryptoki.Call, next func() error,
	) error {
		close(inside)
		select {
		case <-ctx.Done():
			t.Error("the call in the module is given up")
		case <-time.After(200 * time.Millisecond):
		}
		return next()
	}})
	faults.Inject(hsmtest.Fault{Function: "C_Sign", Do: func(context.Context, *cryptoki.Call, func() error) error {
		<-inside
		return &cryptoki.Error{Function: "C_Sign", Code: cryptoki.CKR_GENERAL_ERROR}
	}})
	if err := token.Published(t.Context(), pairs); !errors.Is(err, cryptoki.CKR_GENERAL_ERROR) {
		t.Errorf("got %v", err)
	}
}

// TestALongLabelHidesNoOtherKey plants objects whose label is longer than any label is.
func TestALongLabelHidesNoOtherKey(t *testing.T) {
	k := hsmtest.New(t)
	s := hsmtest.NewStranger(t, k)
	mine := generate(t, open(t, k), onCurve(publickey.P256, "x", "web"))
	s.PlantsLong(t, hsmtest.StrangerP256, "01")
	s.PlantsLong(t, hsmtest.StrangerData, hsmtest.NoID)
	faults := &hsmtest.Faults{}
	token := openWith(t, k, k.PIN, faults)
	inventory, err := token.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	keys, broken := inventory.Keys()
	if len(keys) != 1 || keys[0].Fingerprint() != mine.Fingerprint() ||
		len(broken) != 1 || string(broken[0].Objects[0].ID) != "\x01" {
		t.Errorf("the keys are %+v, and broken are %+v", keys, broken)
	}
	if long, ok := errors.AsType[*cryptoki.LongError](broken[0].Err); !ok ||
		long.Type != cryptoki.CKA_LABEL || long.Length != 2<<20 {
		t.Errorf("got %v", broken[0].Err)
	}
	if n := faults.Count("C_CloseSession"); n > 0 {
		t.Errorf("%d sessions were given up", n)
	}
	if _, err := token.Key(t.Context(), object.Ref{ID: []byte{1}}); !errors.Is(err, object.ErrMalformed) {
		t.Errorf("the key of that ID: %v", err)
	}
	if _, err := token.Key(t.Context(), object.Ref{ID: mine.ID}); err != nil {
		t.Errorf("the key beside it: %v", err)
	}
}

// TestAStrangersPublicHalvesAreNotInTheWay plants public halves beside a managed pair, whose private half shows
// nothing.
func TestAStrangersPublicHalvesAreNotInTheWay(t *testing.T) {
	k, faults := hsmtest.New(t), &hsmtest.Faults{}
	s := hsmtest.NewStranger(t, k)
	mine := generate(t, open(t, k), onCurve(publickey.P256, "x", "web"))
	ref := object.Ref{Type: object.EC, ID: mine.ID, Fingerprint: mine.Fingerprint()}
	s.PlantsMalformed(t, "spoilt", "78")
	token := openWith(t, k, k.PIN, faults)
	if key, err := token.Key(t.Context(), ref); err != nil || !key.Is(ref) ||
		len(key.Strays) != 1 || faults.Count("C_Sign") != 0 {
		t.Fatalf("beside a half of which no key can be made: %v with %v", err, key.Strays)
	}
	s.MakesPublicHalf(t, hsmtest.StrangerP256, "stray", "78")
	key, err := token.Key(t.Context(), ref)
	if err != nil || !key.Is(ref) || key.PublicLabel != "web" || len(key.Strays) != 2 || faults.Count("C_Sign") != 1 {
		t.Fatalf("beside another half: %v with %v, by %v", err, key.Strays, faults.Calls())
	}
	var stray string
	for _, o := range key.Strays {
		stray = max(stray, object.SpecOf(o.CKK).Fingerprint(o))
	}
	theirs := object.Ref{Type: object.EC, ID: mine.ID, Fingerprint: stray}
	if _, err := token.Key(t.Context(), theirs); !errors.Is(err, object.ErrMalformed) {
		t.Errorf("the stranger's half is taken for that of the key: %v", err)
	}
	faults.Clear()
	faults.Inject(hsmtest.Fault{Function: "C_SignInit", Code: cryptoki.CKR_MECHANISM_INVALID})
	label := "new"
	_, readErr := token.Key(t.Context(), ref)
	_, changeErr := token.Change(t.Context(), ref, object.Change{Label: &label})
	_, destroyErr := token.Destroy(t.Context(), ref)
	for _, err := range []error{readErr, changeErr, destroyErr} {
		if _, ok := errors.AsType[*hsm.UnprovenError](err); !ok {
			t.Errorf("what nothing proves: %v", err)
		}
	}
	faults.Clear()
	change := object.Change{Label: &label, ID: []byte("y")}
	if key, err := token.Change(t.Context(), ref, change); err != nil || !key.Is(ref) || key.PublicLabel != label {
		t.Fatalf("changed: %+v, %v", key, err)
	}
	for _, id := range []string{"78", "79"} {
		s.MakesPublicHalf(t, hsmtest.StrangerP256, "stray", id)
	}
	ref.ID = []byte("y")
	if left, err := token.Destroy(t.Context(), ref); err != nil || len(left) != 1 || left[0].Label != "stray" {
		t.Errorf("destroyed: %v is left, %v", left, err)
	}
	if left, err := open(t, k).Part(t.Context(), mine.ID); err != nil || len(left.All()) != 3 {
		t.Errorf("the stranger's objects of the old ID: %v, %v", left.All(), err)
	}
}

// TestAModulusAloneProvesNothing has private halves that do not show the exponent, and a token that refuses what would
// prove them.
func TestAModulusAloneProvesNothing(t *testing.T) {
	k, faults := hsmtest.New(t), &hsmtest.Faults{}
	pair := generate(t, open(t, k), small("x", "web"))
	token := openWith(t, k, k.PIN, faults)
	faults.Inject(lie(cryptoki.CKO_PRIVATE_KEY, without(cryptoki.CKA_PUBLIC_EXPONENT)))
	key, err := token.Key(t.Context(), object.Ref{ID: pair.ID})
	if err != nil {
		t.Fatal(err)
	}
	if proven, err := token.Prove(t.Context(), key); err != nil || !proven || faults.Count("C_Sign") != 1 {
		t.Errorf("proven %t, %v, by the calls %v", proven, err, faults.Calls())
	}
	faults.Inject(hsmtest.Fault{Function: "C_SignInit", Code: cryptoki.CKR_MECHANISM_INVALID})
	asked := faults.Count("C_SignInit")
	if proven, err := token.Prove(t.Context(), key); err != nil || proven {
		t.Errorf("what the token refuses is proven: %t, %v", proven, err)
	}
	if n := faults.Count("C_SignInit") - asked; n != 8 {
		t.Errorf("the token was asked %d times for 8 mechanisms", n)
	}
}

// TestAProofEndsWithTheSessions proves a pair again once a session has ended: its handle may mean another key by then.
func TestAProofEndsWithTheSessions(t *testing.T) {
	hsmtest.NeedsCurves(t, publickey.P256)
	k, faults := hsmtest.New(t), &hsmtest.Faults{}
	generate(t, open(t, k), onCurve(publickey.P256, "x", "web"))
	token := openWith(t, k, k.PIN, faults)
	pairs, err := keyPairs(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 1, 2} {
		if i == 2 { // the search is made again in another session
			faults.Inject(hsmtest.Fault{Function: "C_FindObjectsInit", Nth: 1, Code: cryptoki.CKR_SESSION_HANDLE_INVALID})
			_, _ = token.Key(t.Context(), object.Ref{ID: []byte("nobody's")})
		}
		if err := token.Published(t.Context(), pairs); err != nil || faults.Count("C_Sign") != want {
			t.Errorf("look %d: %d signatures, %v", i+1, faults.Count("C_Sign"), err)
		}
	}
}

// TestWhatNoSearchFindsIsNotDestroyed has a private half that shows nothing, and searches that find nothing in the
// session that is about to destroy it.
func TestWhatNoSearchFindsIsNotDestroyed(t *testing.T) {
	hsmtest.NeedsCurves(t, publickey.P256)
	k, faults := hsmtest.New(t), &hsmtest.Faults{}
	mine := generate(t, open(t, k), onCurve(publickey.P256, "x", "web"))
	token := openWith(t, k, k.PIN, faults)
	if _, err := token.Key(t.Context(), object.Ref{ID: mine.ID}); err != nil {
		t.Fatal(err)
	}
	empty := false
	faults.Inject(hsmtest.Fault{Function: "C_Sign", Do: func(
		_ context.Context, _ *cryptoki.Call, next func() error,
	) error {
		empty = true // the proof is the last thing before the destruction
		return next()
	}})
	faults.Inject(hsmtest.Fault{Function: "C_FindObjects", Do: func(
		_ context.Context, c *cryptoki.Call, next func() error,
	) error {
		err := next()
		if found, ok := c.Result.(*[]cryptoki.Object); ok && empty {
			*found = nil
		}
		return err
	}})
	_, err := token.Destroy(t.Context(), object.Ref{ID: mine.ID})
	if !empty || faults.Count("C_DestroyObject") > 0 {
		t.Errorf("it is destroyed: %v, by the calls %v", err, faults.Calls())
	}
}

// TestAnAESKeyThatMayNotUseECBIsNotAskedTo has a key without a check value, and with one mechanism that computes none.
func TestAnAESKeyThatMayNotUseECBIsNotAskedTo(t *testing.T) {
	hsmtest.Needs(t, hsmtest.SecretKeys)
	k, faults := hsmtest.New(t), &hsmtest.Faults{}
	made := generate(t, open(t, k), object.Template{Type: object.Secret, Kind: object.AES, Bits: 256, Label: "a",
		ID: []byte("a"), Usage: object.Encrypt | object.Decrypt})
	ref := object.Ref{Type: object.Secret, ID: made.ID}
	token := openWith(t, k, k.PIN, faults)
	allowed := cryptoki.CKM_AES_CMAC
	faults.Inject(lie(cryptoki.CKO_SECRET_KEY, func(a cryptoki.Attributes) {
		delete(a, cryptoki.CKA_CHECK_VALUE)
		if allowed != 0 {
			a[cryptoki.CKA_ALLOWED_MECHANISMS] = cryptoki.ULong(cryptoki.CKA_ALLOWED_MECHANISMS, uint(allowed)).Value
		}
	}))
	if key, err := token.Key(t.Context(), ref); err != nil || key.Fingerprint() != "" ||
		faults.Count("C_EncryptInit") > 0 {
		t.Errorf("got %q, %v, by the calls %v", key.Fingerprint(), err, faults.Calls())
	}
	allowed = 0
	if key, err := token.Key(t.Context(), ref); err != nil || key.Fingerprint() == "" ||
		faults.Count("C_EncryptInit") != 1 {
		t.Errorf("once every mechanism is allowed: %q, %v, by the calls %v", key.Fingerprint(), err, faults.Calls())
	}
}
