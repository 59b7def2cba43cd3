package hsm_test

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// open opens a test's token, with no fault between it and the module.
func open(t testing.TB, k *hsmtest.Token) *hsm.Token {
	t.Helper()
	c := k.Config()
	token, err := hsm.Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := token.Close(); err != nil {
			t.Error(err)
		}
	})
	return token
}

// small is the template of a pair that is quickly made.
func small(id, label string) object.Template {
	return kinds[0].template(id, label)
}

func generate(t testing.TB, token *hsm.Token, tmpl object.Template) object.Key {
	t.Helper()
	pair, err := token.Generate(context.Background(), tmpl)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func TestGenerate(t *testing.T) {
	for name, tmpl := range hsmtest.InOrder(map[string]object.Template{
		"a signing pair":               {Label: "a", ID: []byte("1"), ModulusBits: 2048, PublicExponent: 65537, Usage: object.Sign},
		"a random ID":                  {Label: "b", ModulusBits: 1024, PublicExponent: 65537, Usage: object.Sign},
		"a decrypting pair":            {Label: "c", ID: []byte{0, 255}, ModulusBits: 1024, PublicExponent: 65539, Usage: object.Decrypt},
		"a pair that only unwraps":     {Label: "d", ID: []byte("4"), ModulusBits: 1024, PublicExponent: 65537, Usage: object.Unwrap},
		"every usage, and extractable": {Label: "e ü", ID: []byte("5"), ModulusBits: 1024, PublicExponent: 65537, Usage: object.Sign | object.Decrypt | object.Unwrap, Extractable: true},
	}) {
		t.Run(name, func(t *testing.T) {
			if tmpl.PublicExponent != 65537 {
				hsmtest.Needs(t, hsmtest.Exponents)
			}
			k := hsmtest.New(t)
			token := open(t, k)
			tmpl.Type = object.RSA
			made := generate(t, token, tmpl)
			pair, err := token.Key(context.Background(), object.Ref{Type: object.RSA, ID: made.ID})
			if err != nil {
				t.Fatal(err)
			}
			if tmpl.ID == nil && len(pair.ID) != 36 {
				t.Errorf("the random ID %q is no UUID's text", pair.ID)
			}
			if tmpl.ID != nil && string(pair.ID) != string(tmpl.ID) {
				t.Errorf("ID %x, want %x", pair.ID, tmpl.ID)
			}
			if pair.Label != tmpl.Label || pair.PublicLabel != tmpl.Label {
				t.Errorf("labels %q and %q, want %q", pair.Label, pair.PublicLabel, tmpl.Label)
			}
			if pair.Usage != tmpl.Usage || pair.PublicUsage != tmpl.Usage {
				t.Errorf("usages %s and %s, want %s", pair.Usage, pair.PublicUsage, tmpl.Usage)
			}
			if !yes(pair.Sensitive) || !yes(pair.Protected) || pair.Extractable == nil || *pair.Extractable != tmpl.Extractable {
				t.Errorf("%s, which is not as it was asked for", describe(pair))
			}
			pub := pair.PublicKey.(*rsa.PublicKey)
			if pub.N.BitLen() != tmpl.ModulusBits || int64(pub.E) != tmpl.PublicExponent {
				t.Errorf("%d bits and exponent %d", pub.N.BitLen(), pub.E)
			}
			if made.Fingerprint() != pair.Fingerprint() {
				t.Error("what was made and what is found have different fingerprints")
			}
			seen := k.Tool(t, "--list-objects", "--id", object.FormatID(pair.ID))
			if strings.Count(seen, "Key Object") != 2 || !strings.Contains(seen, "label:      "+tmpl.Label) {
				t.Errorf("pkcs11-tool sees\n%s", seen)
			}
		})
	}
}

func TestGenerateRefusesATakenID(t *testing.T) {
	k := hsmtest.New(t)
	token := open(t, k)
	first := generate(t, token, small("taken", "first"))
	_, err := token.Generate(context.Background(), small("taken", "second"))
	var exists *object.ExistsError
	if !errors.As(err, &exists) || len(exists.Objects) != 2 {
		t.Fatalf("got %v", err)
	}
	k.Tool(t, "--keygen", "--key-type", "aes:16", "--id", "5345", "--label", "secret")
	if _, err := open(t, k).Generate(context.Background(), small("SE", "third")); !errors.Is(err, object.ErrExists) {
		t.Errorf("an ID that a secret key has: got %v", err)
	}
	pair, err := token.Key(context.Background(), object.Ref{ID: []byte("taken")})
	if err != nil || pair.Fingerprint() != first.Fingerprint() {
		t.Errorf("the first key is not what it was: %v", err)
	}
}

func TestChange(t *testing.T) {
	token := open(t, hsmtest.New(t))
	ctx := context.Background()
	label, usage, no := "new", object.Decrypt|object.Sign, false
	for name, change := range hsmtest.InOrder(map[string]object.Change{
		"the label": {Label: &label}, "the usage": {Usage: &usage}, "the ID": {ID: []byte("another")},
		"extractable to false": {Extractable: &no}, "nothing": {},
		"everything": {Label: &label, Usage: &usage, ID: []byte("x"), Extractable: &no},
	}) {
		t.Run(name, func(t *testing.T) {
			tmpl := small("change "+name, "old")
			tmpl.Extractable = true
			before := generate(t, token, tmpl)
			after, err := token.Change(ctx, object.Ref{Type: object.RSA, ID: before.ID, Fingerprint: before.Fingerprint()}, change)
			if err != nil {
				t.Fatal(err)
			}
			found, err := token.Key(ctx, object.Ref{Type: object.RSA, ID: after.ID})
			if err != nil {
				t.Fatal(err)
			}
			want := before
			if change.Label != nil {
				want.Label, want.PublicLabel = label, label
			}
			if change.Usage != nil {
				want.Usage, want.PublicUsage = usage, usage
			}
			if change.ID != nil {
				want.ID = change.ID
			}
			if change.Extractable != nil {
				want.Extractable = &no
			}
			for _, got := range []object.Key{after, found} {
				if describe(got) != describe(want) {
					t.Errorf("got  %s\nwant %s", describe(got), describe(want))
				}
			}
			if _, err := token.Key(ctx, object.Ref{ID: before.ID}); change.ID != nil && !errors.Is(err, object.ErrNotFound) {
				t.Errorf("something is left under the old ID: %v", err)
			}
		})
	}
}

// describe is all that a test compares of a pair.
func describe(k object.Key) string {
	return fmt.Sprintf("%s id=%x labels=%q/%q usages=%s/%s extractable=%t sensitive=%t %s", k.Type, k.ID, k.Label,
		k.PublicLabel, k.Usage, k.PublicUsage, yes(k.Extractable), yes(k.Sensitive), k.Fingerprint())
}

// yes says that the token says yes.
func yes(claim *bool) bool { return claim != nil && *claim }

func TestDestroy(t *testing.T) {
	k := hsmtest.New(t)
	token := open(t, k)
	ctx := context.Background()
	kept := generate(t, token, small("kept", "kept"))
	gone := generate(t, token, small("gone", "gone"))
	if _, err := token.Destroy(ctx, object.Ref{Type: object.RSA, ID: gone.ID, Fingerprint: kept.Fingerprint()}); err == nil {
		t.Fatal("a key of another fingerprint was destroyed")
	}
	for range 2 { // gone already is fine
		left, err := token.Destroy(ctx, object.Ref{Type: object.RSA, ID: gone.ID, Fingerprint: gone.Fingerprint()})
		if err != nil || len(left) != 0 {
			t.Fatalf("left %v, %v", left, err)
		}
	}
	if _, err := token.Key(ctx, object.Ref{ID: gone.ID}); !errors.Is(err, object.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if n := strings.Count(k.Tool(t, "--list-objects"), "Key Object"); n != 2 {
		t.Errorf("%d objects are left, not 2", n)
	}
}

// TestWhatOthersMadeIsFoundBesideTheSnapshot has another process make a key: a snapshot does not show it, so it proves
// no absence.
func TestWhatOthersMadeIsFoundBesideTheSnapshot(t *testing.T) {
	k := hsmtest.New(t)
	ctx := context.Background()
	one, other := open(t, k), open(t, k)
	first := generate(t, one, small("first", "a"))
	if pairs, err := keyPairs(ctx, other); err != nil || len(pairs) != 1 { // takes the snapshot
		t.Fatalf("%d pairs, %v", len(pairs), err)
	}
	second := generate(t, one, small("second", "b"))
	if pair, err := other.Key(ctx, object.Ref{ID: second.ID}); err != nil || pair.Fingerprint() != second.Fingerprint() {
		t.Errorf("after a creation: %q, %v", pair.Label, err)
	}
	label := "c"
	if _, err := other.Change(ctx, object.Ref{ID: second.ID}, object.Change{Label: &label}); err != nil {
		t.Errorf("it cannot be changed: %v", err)
	}
	if _, err := one.Destroy(ctx, object.Ref{ID: first.ID}); err != nil {
		t.Fatal(err)
	}
	if left, err := other.Destroy(ctx, object.Ref{ID: first.ID}); err != nil || len(left) != 0 {
		t.Errorf("what another has destroyed is left: %v, %v", left, err)
	}
}
