package hsm_test

import (
	"context"
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// openCounted opens a token of which the calls are counted.
func openCounted(t testing.TB, k *hsmtest.Token, calls *hsmtest.Faults) *hsm.Token {
	t.Helper()
	token, err := hsm.Open(context.Background(), config(k, k.PIN, calls))
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

// creationCosts are the calls that making a key costs on SoftHSM, with an ID of one's choice and with a random one.
var creationCosts = map[string]struct{ chosen, random int }{
	"RSA":                    {16, 8},
	"P-256":                  {16, 8},
	"secp256k1 that derives": {17, 9},
	"Ed25519":                {16, 8},
	"AES":                    {17, 9},
	"HMAC":                   {17, 9},
}

// TestWhatMakingAKeyCosts holds every creation but the first, which logs in, against the table, and however many keys
// there are already. On other makes of token it costs what it costs there, each time the same.
func TestWhatMakingAKeyCosts(t *testing.T) {
	keys := 40
	if hsmtest.ThisMake(t).Name != "softhsm" {
		keys = 10
	}
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			kind.needs(t)
			k, calls := hsmtest.New(t), &hsmtest.Faults{}
			token := openCounted(t, k, calls)
			want := creationCosts[kind.name]
			generate(t, token, kind.template("first", "label"))
			for i := range keys {
				for _, c := range []struct {
					id   string
					cost *int
				}{{fmt.Sprintf("id %d", i), &want.chosen}, {"", &want.random}} {
					calls.Clear()
					generate(t, token, kind.template(c.id, "label"))
					if i == 0 && hsmtest.ThisMake(t).Name != "softhsm" {
						*c.cost = calls.Count("")
					}
					if n := calls.Count(""); n != *c.cost {
						t.Fatalf("key %d of ID %q cost %d calls, and not %d: %v", i, c.id, n, *c.cost, calls.Calls())
					}
				}
			}
		})
	}
}

func TestKeyByFingerprint(t *testing.T) {
	hsmtest.NeedsCurves(t, "P-256")
	k, calls := hsmtest.New(t), &hsmtest.Faults{}
	ctx, token := context.Background(), openCounted(t, k, calls)
	p256 := kindNamed("P-256")
	first, second := generate(t, token, p256.template("1", "first")), generate(t, token, p256.template("2", "second"))
	is := func(when string, pair object.Key, id string) {
		t.Helper()
		found, ok, err := token.KeyByFingerprint(ctx, object.Ref{Type: pair.Type, Fingerprint: pair.Fingerprint()},
			func([]byte) bool { return false })
		if err != nil || ok != (id != "") || string(found.ID) != id {
			t.Errorf("%s: it is under %q (%t, %v), not under %q", when, found.ID, ok, err, id)
		}
	}
	is("made", first, "1")
	is("made", second, "2")
	calls.Clear()
	for range 100 {
		is("nothing has changed", second, "2")
	}
	if n := calls.Count(""); n > 0 {
		t.Errorf("looking for a key of a token that nobody has changed makes %d calls", n)
	}
	if _, err := token.Change(ctx, object.Ref{ID: second.ID}, object.Change{ID: []byte("3")}); err != nil {
		t.Fatal(err)
	}
	is("its ID changed", second, "3")
	is("made after it was asked for", generate(t, token, p256.template("4", "other")), "4")
	if _, err := token.Destroy(ctx, object.Ref{ID: []byte("3")}); err != nil {
		t.Fatal(err)
	}
	is("destroyed", second, "")
	is("another was destroyed", first, "1")

	token = openCounted(t, k, calls) // which has taken no snapshot yet
	is("the first look", first, "1")
	calls.Clear()
	is("the second look", first, "1")
	if n := calls.Count(""); n > 0 {
		t.Errorf("the second look makes %d calls", n)
	}
}

// BenchmarkRefresh looks every pair of a token up by its ID, ten at a time, as a refresh by Terraform does.
func BenchmarkRefresh(b *testing.B) {
	for _, pairs := range []int{1, 10, 100, 300} {
		b.Run(fmt.Sprint(pairs), func(b *testing.B) {
			k, calls := stocked(b, pairs), &hsmtest.Faults{}
			b.ResetTimer()
			for range b.N {
				token := openCounted(b, k, calls)
				group, ctx := errgroup.WithContext(context.Background())
				group.SetLimit(10)
				for i := range pairs {
					group.Go(func() error {
						_, err := token.Key(ctx, object.Ref{Type: object.EC, ID: fmt.Append(nil, i)})
						return err
					})
				}
				if err := group.Wait(); err != nil {
					b.Fatal(err)
				}
			}
			report(b, calls, pairs)
		})
	}
}

// BenchmarkKeyPairs reads all pairs of a token, as hsm_jwks does.
func BenchmarkKeyPairs(b *testing.B) {
	for _, pairs := range []int{10, 100, 300} {
		b.Run(fmt.Sprint(pairs), func(b *testing.B) {
			k, calls := stocked(b, pairs), &hsmtest.Faults{}
			b.ResetTimer()
			for range b.N {
				all, err := keyPairs(context.Background(), openCounted(b, k, calls))
				if err != nil || len(all) != pairs {
					b.Fatal(len(all), err)
				}
			}
			report(b, calls, pairs)
		})
	}
}

// BenchmarkGenerate makes pairs with an ID of one's choice.
func BenchmarkGenerate(b *testing.B) {
	calls := &hsmtest.Faults{}
	token := openCounted(b, hsmtest.New(b), calls)
	p256 := kindNamed("P-256")
	b.ResetTimer()
	for i := range b.N {
		generate(b, token, p256.template(fmt.Sprint(i), "label"))
	}
	report(b, calls, 1)
}

// stocked is a token with so many pairs, whose IDs are 0, 1 and so on as text.
func stocked(b *testing.B, pairs int) *hsmtest.Token {
	b.Helper()
	k := hsmtest.New(b)
	token := open(b, k)
	p256 := kindNamed("P-256")
	for i := range pairs {
		generate(b, token, p256.template(fmt.Sprint(i), "label"))
	}
	return k
}

// report says how many calls a pair cost.
func report(b *testing.B, calls *hsmtest.Faults, pairs int) {
	b.Helper()
	b.ReportMetric(float64(calls.Count(""))/float64(b.N*pairs), "calls/key")
}
