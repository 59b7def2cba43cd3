package hsm_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// published proves all pairs on the token, as a set of all keys does.
func published(ctx context.Context, token *hsm.Token) error {
	pairs, err := keyPairs(ctx, token)
	if err != nil {
		return err
	}
	return token.Published(ctx, pairs)
}

// TestASwappedPublicHalfIsNotPublished has a stranger write over public halves, whose private halves show nothing.
func TestASwappedPublicHalfIsNotPublished(t *testing.T) {
	for name, usage := range hsmtest.InOrder(map[string]object.Usage{"of a pair that signs": object.Sign,
		"of a pair that derives": object.Derive}) {
		t.Run(name, func(t *testing.T) {
			k := hsmtest.New(t)
			s := hsmtest.NewStranger(t, k)
			tmpl := onCurve(publickey.P256, "x", "web")
			tmpl.Usage = usage
			mine := generate(t, open(t, k), tmpl)
			if err := published(t.Context(), open(t, k)); err != nil {
				t.Fatalf("before: %v", err)
			}
			s.SwapsPublicHalf(t, hsmtest.StrangerP256, "web", "78")
			both := []string{`EC private key "web" (ID 78)`, `EC public key "web" (ID 78)`}
			refused := func(what string, err error) {
				t.Helper()
				if _, ok := errors.AsType[*hsm.DisprovedError](err); !ok || !strings.Contains(err.Error(), both[0]) ||
					!strings.Contains(err.Error(), both[1]) {
					t.Errorf("%s: %v", what, err)
				}
			}
			token := open(t, k)
			pairs, err := keyPairs(t.Context(), token)
			if err != nil || len(pairs) != 1 || pairs[0].Fingerprint() == mine.Fingerprint() {
				t.Fatalf("the halves do not look like one pair: %v, %v", pairs, err)
			}
			for range 2 { // what was refused once is not remembered as proven
				refused("the set", token.Published(t.Context(), pairs))
			}
			label := "web"
			for _, want := range []pkcs11uri.URI{{ID: []byte("x")}, {Object: &label}} {
				_, err := open(t, k).PublicKey(t.Context(), want)
				refused("the public key", err)
			}
		})
	}
}

// TestAFaultInAProofPublishesNothing makes each call fail with which a swapped public half is found out.
func TestAFaultInAProofPublishesNothing(t *testing.T) {
	k := hsmtest.New(t)
	s := hsmtest.NewStranger(t, k)
	generate(t, open(t, k), onCurve(publickey.P256, "x", "web"))
	s.SwapsPublicHalf(t, hsmtest.StrangerP256, "web", "78")
	faults := &hsmtest.Faults{}
	token := openWith(t, k, k.PIN, faults)
	pairs, err := keyPairs(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	faults.Clear()
	if err := token.Published(t.Context(), pairs); err == nil {
		t.Fatal("it is published without a fault")
	}
	functions := slices.Compact(slices.Sorted(slices.Values(faults.Calls())))
	if !slices.Contains(functions, "C_Sign") {
		t.Fatalf("the proof made the calls %v", functions)
	}
	for _, function := range functions {
		for _, code := range codes {
			for _, fault := range []hsmtest.Fault{
				{Function: function, Nth: 1, Code: code}, {Function: function, Nth: 1, Code: code, After: true},
				{Function: function, Code: code},
			} {
				faults.Clear()
				faults.Inject(fault)
				pairs, err := keyPairs(t.Context(), token)
				if err == nil {
					err = token.Published(t.Context(), pairs)
				}
				if err == nil {
					t.Errorf("%+v: it is published", fault)
				}
			}
		}
	}
}

// TestAProofIsMadeOnce counts the signatures that proofs cost: one a pair and process, however many publish it, and
// none where the halves show that they belong together.
func TestAProofIsMadeOnce(t *testing.T) {
	hsmtest.NeedsCurves(t, publickey.P256)
	k, calls := hsmtest.New(t), &hsmtest.Faults{}
	maker := open(t, k)
	const pairs = 10
	for i := range pairs {
		generate(t, maker, onCurve(publickey.P256, fmt.Sprint(i), "l"))
	}
	generate(t, maker, small("rsa", "rsa"))
	token := openWith(t, k, k.PIN, calls)
	all, err := keyPairs(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	calls.Clear()
	var group errgroup.Group
	for range 5 {
		group.Go(func() error { return token.Published(t.Context(), all) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := calls.Count("C_Sign"); n != pairs || calls.Count("C_GetAttributeValue") != pairs {
		t.Errorf("%d signatures for %d pairs, with the calls %v", n, pairs, calls.Calls())
	}
	calls.Clear()
	rsa := slices.DeleteFunc(slices.Clone(all), func(k object.Key) bool { return k.Type != object.RSA })
	for _, again := range [][]object.Key{all, rsa} {
		if err := token.Published(t.Context(), again); err != nil || calls.Count("") > 0 {
			t.Errorf("%d calls for what is known: %v", calls.Count(""), err)
		}
	}
	if err := open(t, k).Published(t.Context(), rsa); err != nil || len(rsa) != 1 {
		t.Errorf("%d RSA pairs: %v", len(rsa), err)
	}
}

func TestWhatCannotBeProvenIsNotPublished(t *testing.T) {
	hsmtest.NeedsCurves(t, publickey.P256)
	k, faults := hsmtest.New(t), &hsmtest.Faults{}
	generate(t, open(t, k), onCurve(publickey.P256, "x", "web"))
	token := openWith(t, k, k.PIN, faults)
	faults.Inject(hsmtest.Fault{Function: "C_SignInit", Code: cryptoki.CKR_MECHANISM_INVALID})
	err := published(t.Context(), token)
	if _, ok := errors.AsType[*hsm.UnprovenError](err); !ok ||
		!strings.Contains(err.Error(), `EC private key "web" (ID 78)`) ||
		!strings.Contains(err.Error(), "C_SignInit: CKR_MECHANISM_INVALID") {
		t.Errorf("got %v", err)
	}
	if key, err := token.PublicKey(t.Context(), pkcs11uri.URI{ID: []byte("x")}); err == nil {
		t.Errorf("got %+v", key)
	}
	faults.Clear()
	if err := published(t.Context(), token); err != nil {
		t.Errorf("once the token signs: %v", err)
	}
}

// TestAnotherExponentIsAnotherKey shows a public half with the right modulus and an exponent of someone else's choice.
func TestAnotherExponentIsAnotherKey(t *testing.T) {
	k, faults := hsmtest.New(t), &hsmtest.Faults{}
	pair := generate(t, open(t, k), small("x", "web"))
	token := openWith(t, k, k.PIN, faults)
	faults.Inject(lie(cryptoki.CKO_PUBLIC_KEY, set(cryptoki.CKA_PUBLIC_EXPONENT, []byte{3})))
	if _, err := token.Key(t.Context(), object.Ref{Type: object.RSA, ID: pair.ID}); !errors.Is(err, object.ErrMalformed) {
		t.Errorf("the key: %v", err)
	}
	if _, err := token.PublicKey(t.Context(), pkcs11uri.URI{ID: pair.ID}); err == nil {
		t.Error("it is a public key")
	}
	if err := published(t.Context(), token); !errors.Is(err, object.ErrMalformed) {
		t.Errorf("the set: %v", err)
	}
}

// TestAProofOutlivesItsSessions loses all sessions between the reading of pairs and their proof.
func TestAProofOutlivesItsSessions(t *testing.T) {
	hsmtest.NeedsCurves(t, publickey.P256)
	k := hsmtest.New(t)
	maker := open(t, k)
	for i := range 3 {
		generate(t, maker, onCurve(publickey.P256, fmt.Sprint(i), "l"))
	}
	_ = maker.Close()
	token, faults, lose := lossy(t, k)
	pairs, err := keyPairs(t.Context(), token)
	if err != nil || len(pairs) != 3 {
		t.Fatal(len(pairs), err)
	}
	lose(1, false)
	if err := token.Published(t.Context(), pairs); err != nil || faults.Injected() != 1 {
		t.Errorf("%d losses: %v", faults.Injected(), err)
	}
}

// TestStrangersAreNotInTheWay makes a mess of objects without an ID, or with one ID, beside keys that have nothing to
// do with it.
func TestStrangersAreNotInTheWay(t *testing.T) {
	k := hsmtest.New(t)
	s := hsmtest.NewStranger(t, k)
	mine := generate(t, open(t, k), onCurve(publickey.P256, "x", "web"))
	for _, label := range []string{"key1", "key2", "twins", "twins"} { // as pkcs11-tool does without --id
		k.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", label)
	}
	for range 2 {
		s.MakesPair(t, hsmtest.StrangerP256, "one", "01")
	}
	s.PlantsMalformed(t, "planted", hsmtest.NoID)
	s.PlantsMalformed(t, "planted", "02")
	s.TakesPublicHalf(t, "key2", hsmtest.NoID)
	token := open(t, k)
	inventory, err := token.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	keys, broken := inventory.Keys()
	var have []string
	for _, key := range keys {
		have = append(have, key.Label)
	}
	if !slices.Equal(have, []string{"key1", "web"}) {
		t.Errorf("the keys are %v", have)
	}
	var texts []string
	for _, b := range broken {
		texts = append(texts, b.Err.Error())
	}
	slices.Sort(texts)
	for i, want := range []string{
		`of a key pair "key2" without an ID the public key is missing: only the EC private key "key2" (without an ID)`,
		`several keys have one label and no ID, and nothing shows which of their halves belong together: ` +
			`EC private key "twins" (without an ID)`,
		`several keys have the key ID 01, and nothing shows`,
		`the EC public key "planted" (ID 02): CKA_EC_POINT`,
		`the EC public key "planted" (without an ID): CKA_EC_POINT`,
	} {
		if i >= len(texts) || !strings.HasPrefix(texts[i], want) {
			t.Fatalf("no %q in\n%s", want, strings.Join(texts, "\n"))
		}
	}
	if err := token.Published(t.Context(), keys); err != nil {
		t.Errorf("the whole keys: %v", err)
	}
	none := func([]byte) bool { return false }
	gone := strings.Repeat("ab", 32)
	for fingerprint, want := range map[string]bool{mine.Fingerprint(): true, gone: false} {
		_, found, err := token.KeyByFingerprint(t.Context(), object.Ref{Type: object.EC, Fingerprint: fingerprint}, none)
		if err != nil || found != want {
			t.Errorf("looking for %s: %t, %v", fingerprint, found, err)
		}
	}
	for label, want := range hsmtest.InOrder(map[string]error{"key1": nil, "key2": object.ErrHalfPair,
		"twins": object.ErrAmbiguous, "web": nil, "planted": object.ErrMalformed}) {
		uri, err := pkcs11uri.Parse("pkcs11:object=" + label + ";type=private")
		if err != nil {
			t.Fatal(err)
		}
		key, err := token.PublicKey(t.Context(), uri)
		if !errors.Is(err, want) || err == nil && (key.Label != label || !key.HasPrivate) {
			t.Errorf("%s: %+v, %v", label, key, err)
		}
	}
}
