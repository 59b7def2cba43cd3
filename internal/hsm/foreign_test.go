package hsm_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki/cryptokitest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// The provider never takes other people's keys on the token for its own.

func TestALonePrivateHalfOfAnotherKeyIsNotDestroyed(t *testing.T) {
	k := hsmtest.New(t)
	token := open(t, k)
	mine := generate(t, token, small("mine", "m"))
	generate(t, token, small("x", "theirs"))
	k.Tool(t, "--delete-object", "--type", "pubkey", "--id", "78")
	_, err := token.Destroy(context.Background(), object.Ref{Type: object.RSA, ID: []byte("x"), Fingerprint: mine.Fingerprint()})
	if _, ok := errors.AsType[*object.DifferentKeyError](err); !ok {
		t.Errorf("got %v", err)
	}
	if seen := k.Tool(t, "--list-objects", "--type", "privkey", "--id", "78"); !strings.Contains(seen, "Private Key Object") {
		t.Errorf("the private half is gone: %s", seen)
	}
}

func TestAForeignPairDoesNotStandInForHalfOfOurs(t *testing.T) {
	hsmtest.Needs(t, hsmtest.SameID)
	k := hsmtest.New(t)
	token := open(t, k)
	mine := generate(t, token, small("x", "mine"))
	k.Tool(t, "--delete-object", "--type", "pubkey", "--id", "78")
	k.Tool(t, "--keypairgen", "--key-type", "rsa:1024", "--id", "78", "--label", "theirs", "--usage-sign")
	_, err := open(t, k).Key(context.Background(), object.Ref{Type: object.RSA, ID: mine.ID, Fingerprint: mine.Fingerprint()})
	if !errors.Is(err, object.ErrHalfPair) {
		t.Errorf("got %v", err)
	}
}

func TestAnIDThatOthersTookSinceTheSnapshotIsTaken(t *testing.T) {
	k := hsmtest.New(t)
	ctx := context.Background()
	token := open(t, k)
	generate(t, token, small("a", "a"))
	if _, err := keyPairs(ctx, token); err != nil { // takes the snapshot
		t.Fatal(err)
	}
	k.Tool(t, "--keypairgen", "--key-type", "rsa:1024", "--id", "62", "--label", "b", "--usage-sign")
	if _, err := token.Change(ctx, object.Ref{Type: object.RSA, ID: []byte("a")}, object.Change{ID: []byte("b")}); !errors.Is(err, object.ErrExists) {
		t.Errorf("a change: %v", err)
	}
	if _, err := token.Generate(ctx, small("b", "b")); !errors.Is(err, object.ErrExists) {
		t.Errorf("a creation: %v", err)
	}
	if n := strings.Count(k.Tool(t, "--list-objects"), "Key Object"); n != 4 {
		t.Errorf("%d objects, not 4", n)
	}
}

// TestOfTwoWhoMakeAnIDOneGivesWay has another make a pair of the same ID right after ours, on a token that shows
// nothing of private keys. To a greater fingerprint we give way at once. For a lesser one to give way we wait, and keep
// our pair where it does, and give way where it does not. Never is the other's destroyed.
func TestOfTwoWhoMakeAnIDOneGivesWay(t *testing.T) {
	hsmtest.Needs(t, hsmtest.OtherEyes, hsmtest.SameID)
	for _, name := range []string{"RSA", "P-256"} {
		for _, c := range []struct {
			rival           string
			greater, leaves bool
		}{
			{rival: "a greater one", greater: true},
			{rival: "a lesser one, which stays"},
			{rival: "a lesser one, which gives way", leaves: true},
		} {
			t.Run(name+", "+c.rival, func(t *testing.T) {
				t.Parallel()
				kind := kindNamed(name)
				kind.needs(t)
				k := hsmtest.New(t)
				faults, race := &hsmtest.Faults{}, &rivalry{Token: k, t: t, id: []byte("x"), pieces: kind.objects()}
				token := openWith(t, k, k.PIN, faults)
				faults.Inject(lie(cryptoki.CKO_PRIVATE_KEY, func(a cryptoki.Attributes) {
					delete(a, cryptoki.CKA_MODULUS)
					delete(a, cryptoki.CKA_PUBLIC_EXPONENT)
				}))
				rival := func(_ context.Context, _ *cryptoki.Call, next func() error) error {
					err := next()
					race.make(kind, c.greater)
					race.watch(faults, c.leaves)
					return err
				}
				faults.Inject(hsmtest.Fault{Function: "C_GenerateKeyPair", Nth: 1, Do: rival})
				made, err := token.Generate(context.Background(), kind.template("x", "ours"))
				race.judge(err, c.greater, c.leaves)
				ref, want := object.Ref{Type: kind.tmpl.Type, ID: []byte("x")}, race.theirs
				if c.leaves {
					want = made.Fingerprint()
				}
				if left, err := open(t, k).Key(context.Background(), ref); err != nil || left.Fingerprint() != want {
					t.Errorf("left is %s, %v, and not the key %q", describe(left), err, want)
				}
			})
		}
	}
}

// rivalry is a race for an ID, in which another's key stands beside ours.
type rivalry struct {
	*hsmtest.Token
	t      *testing.T
	id     []byte
	pieces int    // the objects of a key
	theirs string // the fingerprint of the rival's key, once that is there
	looks  int    // that we took since
}

// looksOfAWait are more than are taken by one who gives way at once, and fewer than by one who waits in vain.
const looksOfAWait = 10

// make makes pairs until the fingerprint of one is greater than that of the pair under the ID, or lesser, and gives
// that one the ID.
func (r *rivalry) make(kind kind, greater bool) {
	err := r.Session(func(ctx context.Context, s *cryptoki.Session) error {
		objects, err := s.FindObjects(ctx, []cryptoki.Attribute{
			cryptoki.Bytes(cryptoki.CKA_ID, r.id), cryptoki.ULong(cryptoki.CKA_CLASS, cryptoki.CKO_PUBLIC_KEY),
		})
		if err != nil || len(objects) != 1 {
			return fmt.Errorf("%d public halves: %w", len(objects), err)
		}
		ours, err := fingerprintOf(ctx, s, objects[0])
		if err != nil {
			return err
		}
		mechanism, public := cryptoki.Mechanism{Type: cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN}, []cryptoki.Attribute{
			cryptoki.ULong(cryptoki.CKA_MODULUS_BITS, uint(kind.tmpl.ModulusBits)),
			cryptoki.Bytes(cryptoki.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}),
		}
		if kind.tmpl.Type == object.EC {
			params, _ := publickey.ECParams(kind.tmpl.Curve)
			mechanism.Type = cryptoki.CKM_EC_KEY_PAIR_GEN
			public = []cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_EC_PARAMS, params)}
		}
		both := []cryptoki.Attribute{
			cryptoki.Bool(cryptoki.CKA_TOKEN, true), cryptoki.Bytes(cryptoki.CKA_LABEL, []byte("theirs")),
		}
		for {
			pair, err := s.GenerateKeyPair(ctx, mechanism, append(public, both...), both)
			if err != nil {
				return err
			}
			theirs, err := fingerprintOf(ctx, s, pair.Public)
			if err != nil {
				return err
			}
			fits := theirs > ours == greater
			for _, half := range []cryptoki.Object{pair.Private, pair.Public} {
				if fits {
					err = s.SetAttributeValue(ctx, half, []cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_ID, r.id)})
				} else {
					err = s.DestroyObject(ctx, half)
				}
				if err != nil {
					return err
				}
			}
			if fits {
				r.theirs = theirs
				return nil
			}
		}
	})
	if err != nil {
		r.t.Errorf("making the rival: %v", err)
	}
}

// fingerprintOf is that of what a public half shows.
func fingerprintOf(ctx context.Context, s *cryptoki.Session, public cryptoki.Object) (string, error) {
	shown, err := s.GetAttributeValue(ctx, public, []cryptoki.AttributeType{
		cryptoki.CKA_MODULUS, cryptoki.CKA_PUBLIC_EXPONENT, cryptoki.CKA_EC_PARAMS, cryptoki.CKA_EC_POINT,
	})
	if err != nil {
		return "", err
	}
	var pub crypto.PublicKey
	if modulus := shown[cryptoki.CKA_MODULUS]; len(modulus) > 0 {
		pub, err = publickey.ParseRSA(modulus, shown[cryptoki.CKA_PUBLIC_EXPONENT])
	} else {
		pub, _, err = publickey.ParseEC(shown[cryptoki.CKA_EC_PARAMS], shown[cryptoki.CKA_EC_POINT])
	}
	if err != nil {
		return "", err
	}
	return publickey.Fingerprint(pub)
}

// watch counts our looks from now on. A rival that leaves destroys its key before one of them.
func (r *rivalry) watch(faults *hsmtest.Faults, leaves bool) {
	look := func(_ context.Context, _ *cryptoki.Call, next func() error) error {
		if r.looks++; leaves && r.looks == looksOfAWait {
			r.leave()
		}
		return next()
	}
	faults.Inject(hsmtest.Fault{Function: "C_FindObjectsInit", Do: look})
}

// leave destroys the rival's key, as the rival does.
func (r *rivalry) leave() {
	err := r.Session(func(ctx context.Context, s *cryptoki.Session) error {
		objects, err := s.FindObjects(ctx, []cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_LABEL, []byte("theirs"))})
		for _, o := range objects {
			err = errors.Join(err, s.DestroyObject(ctx, o))
		}
		return err
	})
	if err != nil {
		r.t.Errorf("the rival gives way: %v", err)
	}
}

// judge holds what came of the race against what was to come of it.
func (r *rivalry) judge(err error, givesWayAtOnce, leaves bool) {
	r.t.Helper()
	raced, ok := errors.AsType[*object.ExistsError](err)
	failed, _ := errors.AsType[*hsm.OperationError](err)
	gaveWay := ok && raced.Raced && len(raced.Objects) == r.pieces && failed.Holds == hsm.HoldsOther
	if leaves && err != nil || !leaves && !gaveWay {
		r.t.Errorf("got %v", err)
	}
	if (r.looks < looksOfAWait) != givesWayAtOnce {
		r.t.Errorf("%d looks at the rival", r.looks)
	}
}

func TestASearchThatIgnoresTheIDDestroysNobodysKey(t *testing.T) {
	k := hsmtest.New(t)
	honest := open(t, k)
	precious := generate(t, honest, small("precious", "p"))
	faults := &hsmtest.Faults{}
	token := openWith(t, k, k.PIN, faults)
	faults.Inject(hsmtest.Fault{Function: "C_Sign", Code: cryptoki.CKR_GENERAL_ERROR}) // so that the new pair is not kept
	faults.Inject(hsmtest.Fault{Function: "C_FindObjects", Do: func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if found := c.Result.(*[]cryptoki.Object); len(*found) > 0 {
			*found = nil
			for handle := cryptoki.Object(1); handle < 20; handle++ {
				*found = append(*found, handle)
			}
		}
		return err
	}})
	if _, err := token.Generate(context.Background(), small("", "new")); err == nil {
		t.Error("a pair that could not be proven was kept")
	}
	if found, err := honest.Key(context.Background(), object.Ref{ID: precious.ID}); err != nil || found.Fingerprint() != precious.Fingerprint() {
		t.Errorf("the key beside it: %v", err)
	}
}

// The snapshot shows what is on the token, even if handles change, or keys while it is taken.

func TestAKeyThatIsDestroyedUnderANewHandleLeavesTheSnapshot(t *testing.T) {
	hsmtest.Needs(t, hsmtest.SessionLoss)
	k := hsmtest.New(t)
	ctx := context.Background()
	token := open(t, k)
	generate(t, token, small("a", "a"))
	generate(t, token, small("b", "b"))
	if pairs, err := keyPairs(ctx, token); err != nil || len(pairs) != 2 {
		t.Fatalf("%d pairs, %v", len(pairs), err)
	}
	err := hsmtest.Apart(func() error { return cryptokitest.CloseAllSessions(k.Library, k.Label) })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := token.Destroy(ctx, object.Ref{Type: object.RSA, ID: []byte("a")}); err != nil {
		t.Fatal(err)
	}
	if pairs, err := keyPairs(ctx, token); err != nil || len(pairs) != 1 {
		t.Errorf("%d pairs, %v", len(pairs), err)
	}
	if _, err := token.Key(ctx, object.Ref{ID: []byte("a")}); !errors.Is(err, object.ErrNotFound) {
		t.Errorf("the destroyed pair: %v", err)
	}
}

// TestAWriteWhileTheSnapshotIsTaken makes a key, or fails to change one, in the middle of a reading of all keys.
func TestAWriteWhileTheSnapshotIsTaken(t *testing.T) {
	hsmtest.Needs(t, hsmtest.TwoSessions)
	for name, write := range hsmtest.InOrder(map[string]func(*testing.T, *hsm.Token){
		"a creation": func(t *testing.T, token *hsm.Token) { generate(t, token, small("new", "new")) },
		"a change that fails, then a creation": func(t *testing.T, token *hsm.Token) {
			label := "other"
			if _, err := token.Change(context.Background(), object.Ref{Type: object.RSA, ID: []byte("a")}, object.Change{Label: &label}); err == nil {
				t.Error("the change went well")
			}
			generate(t, token, small("new", "new"))
		},
	}) {
		t.Run(name, func(t *testing.T) {
			k := hsmtest.New(t)
			generate(t, open(t, k), small("a", "a"))
			faults := &hsmtest.Faults{}
			token := openWith(t, k, k.PIN, faults)
			faults.Inject(hsmtest.Fault{Function: "C_SetAttributeValue", Code: cryptoki.CKR_ATTRIBUTE_READ_ONLY})
			var once sync.Once
			faults.Inject(hsmtest.Fault{Function: "C_GetAttributeValue", Nth: 1, Do: func(_ context.Context, _ *cryptoki.Call, next func() error) error {
				err := next()
				once.Do(func() { write(t, token) })
				return err
			}})
			for range 2 {
				pairs, err := keyPairs(context.Background(), token)
				if err != nil || len(pairs) != 2 {
					t.Errorf("%d pairs, %v", len(pairs), err)
				}
			}
		})
	}
}

// TestAnIDThatOthersTakeBesideAChangeIsGivenBack has another tool make a pair with the new ID while a key gets it.
func TestAnIDThatOthersTakeBesideAChangeIsGivenBack(t *testing.T) {
	hsmtest.Needs(t, hsmtest.OtherEyes, hsmtest.SameID)
	for _, name := range []string{"RSA", "AES"} {
		kind := kindNamed(name)
		t.Run(name, func(t *testing.T) {
			kind.needs(t)
			k, faults := hsmtest.New(t), &hsmtest.Faults{}
			token := openWith(t, k, k.PIN, faults)
			key := generate(t, token, kind.template("old", "ours"))
			faults.Inject(hsmtest.Fault{Function: "C_SetAttributeValue", Nth: kind.objects(), Do: func(
				_ context.Context, _ *cryptoki.Call, next func() error,
			) error {
				err := next()
				k.Tool(t, "--keypairgen", "--key-type", "rsa:1024", "--id", "6e6577", "--label", "theirs", "--usage-sign")
				return err
			}})
			ref := object.Ref{Type: kind.tmpl.Type, ID: key.ID, Fingerprint: key.Fingerprint()}
			_, err := token.Change(context.Background(), ref, object.Change{ID: []byte("new")})
			failed, ok := errors.AsType[*hsm.OperationError](err)
			if !ok || !errors.Is(err, object.ErrExists) || failed.Holds != hsm.HoldsAsBefore || faults.Injected() != 1 {
				t.Errorf("got %v", err)
			}
			if found, err := open(t, k).Key(context.Background(), ref); err != nil || describe(found) != describe(key) {
				t.Errorf("ours: %v, %v", found, err)
			}
			theirs, err := open(t, k).Key(context.Background(), object.Ref{Type: object.RSA, ID: []byte("new")})
			if err != nil || theirs.Label != "theirs" {
				t.Errorf("theirs: %v, %v", theirs, err)
			}
		})
	}
}
