package hsm_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki/cryptokitest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// What others have on the token is never taken for one's own.

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

// TestARivalWhosePrivateHalfShowsNothingKeepsIt lets another tool make the same ID just after us, on a token that
// shows nothing of private keys.
func TestARivalWhosePrivateHalfShowsNothingKeepsIt(t *testing.T) {
	hsmtest.Needs(t, hsmtest.OtherEyes, hsmtest.SameID)
	k := hsmtest.New(t)
	honest := open(t, k)
	var once sync.Once
	c := k.Config(func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if reading, ok := c.Result.(*cryptoki.Reading); ok && reading.Attributes != nil {
			if class, _, _ := reading.Attributes.ULong(cryptoki.CKA_CLASS); class == cryptoki.CKO_PRIVATE_KEY {
				delete(reading.Attributes, cryptoki.CKA_MODULUS)
				delete(reading.Attributes, cryptoki.CKA_PUBLIC_EXPONENT)
			}
		}
		if c.Function == "C_GenerateKeyPair" {
			once.Do(func() {
				k.Tool(t, "--keypairgen", "--key-type", "rsa:1024", "--id", "78", "--label", "l", "--usage-sign")
			})
		}
		return err
	})
	token, err := hsm.Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = token.Close() })
	if _, err := token.Generate(context.Background(), small("x", "l")); !errors.Is(err, object.ErrExists) {
		t.Errorf("got %v", err)
	}
	if _, err := honest.Key(context.Background(), object.Ref{ID: []byte("x")}); err != nil {
		t.Errorf("the rival's pair: %v", err)
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

// The snapshot shows what is on the token, whatever happens to handles and while it is taken.

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
	if err := cryptokitest.CloseAllSessions(k.Library, k.Label); err != nil {
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
	for name, write := range map[string]func(*testing.T, *hsm.Token){
		"a creation": func(t *testing.T, token *hsm.Token) { generate(t, token, small("new", "new")) },
		"a change that fails, then a creation": func(t *testing.T, token *hsm.Token) {
			label := "other"
			if _, err := token.Change(context.Background(), object.Ref{Type: object.RSA, ID: []byte("a")}, object.Change{Label: &label}); err == nil {
				t.Error("the change went well")
			}
			generate(t, token, small("new", "new"))
		},
	} {
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
