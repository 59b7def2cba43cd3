package object

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// shelf makes objects as a token shows them.
type shelf struct {
	t       *testing.T
	handle  cryptoki.Object
	objects []Object
}

func ulong(v uint) []byte { return cryptoki.ULong(0, v).Value }

func (s *shelf) put(a cryptoki.Attributes) *shelf {
	s.handle++
	a[cryptoki.CKA_TOKEN] = []byte{1}
	s.objects = append(s.objects, Decode(s.handle, a, quirk.Differences{}))
	return s
}

// pair puts the halves of a new key on P-256, whose private half shows its point or does not.
func (s *shelf) pair(id, label string, shows bool, classes ...uint) *shelf {
	s.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	params, _ := publickey.ECParams(publickey.P256)
	point := publickey.Point(&private.PublicKey)
	for _, class := range classes {
		a := cryptoki.Attributes{
			cryptoki.CKA_CLASS: ulong(class), cryptoki.CKA_KEY_TYPE: ulong(cryptoki.CKK_EC), cryptoki.CKA_ID: []byte(id), cryptoki.CKA_LABEL: []byte(label),
			cryptoki.CKA_EC_PARAMS: params,
		}
		if class == cryptoki.CKO_PUBLIC_KEY || shows {
			a[cryptoki.CKA_EC_POINT] = append([]byte{4, byte(len(point))}, point...)
		}
		s.put(a)
	}
	return s
}

func (s *shelf) secret(id, label string, checkValue []byte) *shelf {
	a := cryptoki.Attributes{
		cryptoki.CKA_CLASS: ulong(cryptoki.CKO_SECRET_KEY), cryptoki.CKA_KEY_TYPE: ulong(cryptoki.CKK_AES), cryptoki.CKA_ID: []byte(id),
		cryptoki.CKA_LABEL: []byte(label), cryptoki.CKA_VALUE_LEN: ulong(32), cryptoki.CKA_ENCRYPT: {1},
	}
	if checkValue != nil {
		a[cryptoki.CKA_CHECK_VALUE] = checkValue
	}
	return s.put(a)
}

func namesOf(keys []Key) (names []string) {
	for _, k := range keys {
		names = append(names, fmt.Sprintf("%s/%s", k.Label, k.ID))
	}
	return names
}

var both = []uint{cryptoki.CKO_PRIVATE_KEY, cryptoki.CKO_PUBLIC_KEY}

func TestAnInventoryIsLookedInto(t *testing.T) {
	s := &shelf{t: t}
	s.pair("1", "b", false, both...).pair("2", "a", true, both...).secret("3", "a", []byte{1, 2, 3}).secret("4", "s", nil)
	s.pair("5", "lone", false, cryptoki.CKO_PRIVATE_KEY)
	s.pair("6", "two", false, both...).pair("6", "two", false, both...)
	s.put(cryptoki.Attributes{cryptoki.CKA_CLASS: ulong(CertificateClass), cryptoki.CKA_ID: []byte("1"),
		cryptoki.CKA_LABEL: []byte("c")})
	s.put(cryptoki.Attributes{cryptoki.CKA_CLASS: ulong(0), cryptoki.CKA_ID: []byte("1")}) // data
	s.put(cryptoki.Attributes{})
	for _, class := range both {
		s.put(cryptoki.Attributes{cryptoki.CKA_CLASS: ulong(class), cryptoki.CKA_KEY_TYPE: ulong(1), cryptoki.CKA_ID: []byte("7"), cryptoki.CKA_LABEL: []byte("dsa")})
	}
	v := NewInventory(s.objects)

	keys, broken := v.Keys()
	if got := namesOf(keys); !slices.Equal(got, []string{"b/1", "a/2", "a/3", "s/4"}) {
		t.Errorf("whole keys: %v", got)
	}
	if len(broken) != 2 || !errors.Is(broken[0].Err, ErrHalfPair) || !errors.Is(broken[1].Err, ErrAmbiguous) ||
		len(broken[1].Objects) != 4 {
		t.Errorf("broken: %v", broken)
	}
	if got := namesOf(v.Labelled("a")); !slices.Equal(got, []string{"a/2", "a/3"}) {
		t.Errorf("by label: %v", got)
	}
	for id, want := range map[string][]string{"1": {"b/1"}, "5": nil, "6": nil, "9": nil} {
		if got := namesOf(v.WithID([]byte(id))); !slices.Equal(got, want) {
			t.Errorf("by the ID %s: %v", id, got)
		}
	}
	computed := 0
	compute := func(keys []Key) ([]Key, error) {
		computed++
		if got := namesOf(keys); !slices.Equal(got, []string{"s/4"}) {
			t.Errorf("without a fingerprint: %v", got)
		}
		return []Key{keys[0].WithFingerprint("abcdef")}, nil
	}
	maybe := SpecOf(cryptoki.CKK_EC).Fingerprint(v.Objects([]byte("6"))[1])
	if _, err := v.Fingerprinted(EC, maybe, compute); !errors.Is(err, ErrAmbiguous) {
		t.Errorf("by the fingerprint of a half that may belong to either: %v", err)
	}
	v.Update(v.Objects([]byte("6")), nil)
	for _, o := range v.Objects([]byte("6")) {
		t.Errorf("%s is still there", o.Name())
	}
	for _, key := range keys {
		got, err := v.Fingerprinted(key.Type, key.Fingerprint(), compute)
		if key.Fingerprint() != "" && (err != nil || len(got) != 1 || string(got[0].ID) != string(key.ID)) {
			t.Errorf("by the fingerprint of %s: %v, %v", key.Label, namesOf(got), err)
		}
	}
	for range 2 {
		if got, err := v.Fingerprinted(Secret, "abcdef", compute); err != nil || len(got) != 1 || computed != 1 {
			t.Errorf("by a fingerprint that was computed %d times: %v, %v", computed, namesOf(got), err)
		}
	}
	if got := v.Certificates([]byte("1")); len(got) != 1 || got[0].Label != "c" || len(v.Certificates([]byte("2"))) != 0 {
		t.Errorf("certificates: %v", got)
	}
	if got := v.Unsupported(); len(got) != 1 || got[0].Kind != "type 0x1" || string(got[0].ID) != "7" {
		t.Errorf("unsupported: %v", got)
	}
	entries, unclassified := v.Entries()
	if len(entries) != 9 || unclassified != 1 || slices.ContainsFunc(entries, func(e Entry) bool { return e.OtherHalfMissing != nil }) {
		t.Errorf("%d entries, %d unclassified", len(entries), unclassified) // which may be anything's other half
	}
	if n := len(v.All()); n != 10 || len(v.Objects([]byte("1"))) != 2 {
		t.Errorf("%d objects", n)
	}
}

func TestWhatIsInNoKeyIsLoose(t *testing.T) {
	s := &shelf{t: t}
	s.pair("1", "whole", true, both...).secret("1", "secret", nil).pair("1", "lone", true, cryptoki.CKO_PRIVATE_KEY)
	s.put(cryptoki.Attributes{ // of a type that is not supported
		cryptoki.CKA_CLASS: ulong(cryptoki.CKO_PRIVATE_KEY), cryptoki.CKA_KEY_TYPE: ulong(1),
		cryptoki.CKA_ID:    []byte("2"),
		cryptoki.CKA_LABEL: []byte("dsa"),
	})
	for _, id := range []string{"1", "3"} {
		s.put(cryptoki.Attributes{ // malformed
			cryptoki.CKA_CLASS: ulong(cryptoki.CKO_PUBLIC_KEY), cryptoki.CKA_KEY_TYPE: {1}, cryptoki.CKA_ID: []byte(id),
		})
		s.objects = append(s.objects, Unclassified(100, []byte(id), errors.New("it cannot be read")))
	}
	got := ""
	for _, o := range NewInventory(s.objects).Loose() {
		got += o.Label + " "
	}
	if got != "lone dsa " {
		t.Errorf("loose are %q", got)
	}
}

// TestTheOrderOfKeysDoesNotHangOnThatOfTheToken gives keys, and the pairs of one ID, in both orders.
func TestTheOrderOfKeysDoesNotHangOnThatOfTheToken(t *testing.T) {
	want := []Key{
		{ID: []byte("1"), fingerprint: "b", Label: "a"}, {ID: []byte("2"), fingerprint: "a", Label: "c"},
		{ID: []byte("2"), fingerprint: "b", Label: "a"}, {ID: []byte("2"), fingerprint: "b", Label: "b"},
	}
	s := &shelf{t: t}
	s.pair("1", "a", true, both...).pair("1", "b", true, both...)
	all := func(Object) bool { return true }
	var found [][]string
	for range 2 {
		slices.Reverse(s.objects)
		_, err := MatchPublicKey(s.objects, all, nil)
		miss, ok := errors.AsType[*MatchError](err)
		if !ok || len(miss.Found) != 2 {
			t.Fatalf("two keys of one ID: %v", err)
		}
		found = append(found, miss.Found)

		keys := slices.Clone(want)
		slices.Reverse(keys)
		SortKeys(keys)
		for i, key := range keys {
			if string(key.ID)+key.fingerprint+key.Label != string(want[i].ID)+want[i].fingerprint+want[i].Label {
				t.Errorf("key %d is %s of the label %s and the ID %s", i, key.fingerprint, key.Label, key.ID)
			}
		}
	}
	if !slices.Equal(found[0], found[1]) {
		t.Errorf("found are %q, and in the other order %q", found[0], found[1])
	}
}

func TestALoneHalfIsMarked(t *testing.T) {
	s := &shelf{t: t}
	s.pair("1", "whole", false, both...).pair("2", "lone", false, cryptoki.CKO_PUBLIC_KEY).secret("3", "secret", nil)
	entries, _ := NewInventory(s.objects).Entries()
	marks := ""
	for _, e := range entries {
		if e.OtherHalfMissing == nil {
			marks += e.Label + " untold "
			continue
		}
		marks += fmt.Sprintf("%s %t ", e.Label, *e.OtherHalfMissing)
	}
	if marks != "whole false whole false lone true secret untold " {
		t.Error(marks)
	}
}

func TestAnInventoryFollowsWrites(t *testing.T) {
	s := &shelf{t: t}
	s.pair("1", "a", true, both...).secret("2", "s", nil)
	v := NewInventory(s.objects)
	before := v.Clone()
	key := v.WithID([]byte("1"))[0]
	moved := []Object{*key.Private, *key.Public}
	for i := range moved {
		moved[i].ID, moved[i].Label, moved[i].Handle = []byte("3"), "b", moved[i].Handle+100
	}
	if !v.Update(key.Objects(), moved) {
		t.Fatal("objects that show themselves are not found")
	}
	if keys, _ := v.Keys(); !slices.Equal(namesOf(keys), []string{"s/2", "b/3"}) || len(v.WithID([]byte("1"))) != 0 {
		t.Errorf("moved: %v", namesOf(keys))
	}
	if keys, _ := before.Keys(); !slices.Equal(namesOf(keys), []string{"a/1", "s/2"}) {
		t.Errorf("the clone: %v", namesOf(keys))
	}
	secret := v.WithID([]byte("2"))[0].Objects()
	other := secret[0]
	other.Handle += 100
	if v.Clone().Update([]Object{other}, nil) {
		t.Error("an object that shows nothing is found under another handle")
	}
	if !v.Update(secret, nil) || len(v.WithID([]byte("2"))) != 0 {
		t.Error("a destroyed secret key is still there")
	}
}

func TestChooseTakesTheOneThatIsMeant(t *testing.T) {
	s := &shelf{t: t}
	s.pair("1", "a", true, both...).pair("1", "b", true, both...).secret("1", "s", []byte{1, 2, 3})
	v := NewInventory(s.objects)
	as := func(k Key) (Key, error) { return k, nil }
	if _, err := v.Choose(Ref{ID: []byte("1")}, as); !errors.Is(err, ErrAmbiguous) {
		t.Errorf("two pairs: %v", err)
	}
	for _, key := range v.WithID([]byte("1")) {
		ref := Ref{Type: key.Type, ID: key.ID, Fingerprint: key.Fingerprint()}
		if got, err := v.Choose(ref, as); err != nil || got.Label != key.Label {
			t.Errorf("%s: %v, %v", key.Label, got.Label, err)
		}
	}
	if got, err := v.Choose(Ref{Type: Secret, ID: []byte("1")}, as); err != nil || got.Label != "s" {
		t.Errorf("the secret key: %v", err)
	}
	if _, err := v.Choose(Ref{ID: []byte("2")}, as); !errors.Is(err, ErrNotFound) {
		t.Errorf("nothing: %v", err)
	}
	one := NewInventory((&shelf{t: t}).secret("1", "s", nil).objects)
	if _, err := one.Choose(Ref{ID: []byte("1")}, as); !errors.Is(err, ErrNotFound) {
		t.Errorf("a secret key passes for a pair: %v", err)
	}
}

// BenchmarkChoose looks keys up that were matched before.
func BenchmarkChoose(b *testing.B) {
	s := &shelf{}
	for i := range 1000 {
		s.secret(string(binary.BigEndian.AppendUint32(nil, uint32(i))), "l", []byte{1, 2, 3})
	}
	v := NewInventory(s.objects)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		id := binary.BigEndian.AppendUint32(nil, uint32(i%1000))
		if _, err := v.Choose(Ref{Type: Secret, ID: id}, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// TestWhatIsWrittenBesideALookIsSeen updates an inventory while others look into it.
func TestWhatIsWrittenBesideALookIsSeen(t *testing.T) {
	s := &shelf{t: t}
	for i := range 200 {
		s.secret(fmt.Sprintf("old %d", i), "l", []byte{1, 2, byte(i)})
	}
	v := NewInventory(s.objects)
	ctx, stop := context.WithCancel(context.Background())
	var lookers sync.WaitGroup
	for range 2 {
		lookers.Go(func() {
			for ctx.Err() == nil {
				v.Keys()
			}
		})
	}
	for i := range 200 {
		id := fmt.Sprintf("new %d", i)
		v.Update(nil, s.secret(id, id, []byte{3, 4, byte(i)}).objects[200+i:])
		time.Sleep(100 * time.Microsecond) // whoever looks has begun before, and ends by now
		if found := v.Labelled(id); len(found) != 1 {
			t.Fatalf("%s is there %d times", id, len(found))
		}
	}
	stop()
	lookers.Wait()
}

// TestThousandsOfOneNameAreMatchedInTime has the halves of pairs with one ID, or with none, as anyone may make them.
func TestThousandsOfOneNameAreMatchedInTime(t *testing.T) {
	for _, c := range []struct {
		name      string // a sentence
		id, label func(int) string
		shows     bool
		whole     int
	}{
		{"no ID and one label", func(int) string { return "" }, func(int) string { return "l" }, false, 0},
		{"no ID and many labels", func(int) string { return "" }, func(i int) string { return fmt.Sprint(i) }, false, 5_000},
		{"one ID, and nothing shown", func(int) string { return "1" }, func(int) string { return "l" }, false, 0},
		{"one ID, and the key shown", func(int) string { return "1" }, func(int) string { return "l" }, true, 5_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &shelf{t: t}
			for i := range 5_000 {
				modulus := binary.BigEndian.AppendUint64(nil, uint64(1)<<63|uint64(2*i+1))
				modulus = append(modulus, make([]byte, 120)...)
				modulus[127] = 1
				for _, class := range both {
					a := cryptoki.Attributes{
						cryptoki.CKA_CLASS: ulong(class), cryptoki.CKA_KEY_TYPE: ulong(cryptoki.CKK_RSA),
						cryptoki.CKA_ID: []byte(c.id(i)), cryptoki.CKA_LABEL: []byte(c.label(i)),
					}
					if class == cryptoki.CKO_PUBLIC_KEY || c.shows {
						a[cryptoki.CKA_MODULUS], a[cryptoki.CKA_PUBLIC_EXPONENT] = modulus, []byte{1, 0, 1}
					}
					s.put(a)
				}
			}
			start := time.Now()
			keys, broken := NewInventory(s.objects).Keys()
			if len(keys) != c.whole || (len(broken) == 0) != (c.whole > 0) {
				t.Errorf("%d keys, %d broken", len(keys), len(broken))
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestAnRSAPairOutsideOfTheLimitsIsNotMalformed(t *testing.T) {
	modulus := func(bits int) []byte {
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		return n.SetBit(n, 0, 1).Bytes()
	}
	const kind = "RSA, of which CKA_"
	for name, c := range map[string]struct {
		modulus, exponent []byte
		kind              string // "" for what is not unsupported
	}{
		"a large exponent": {modulus(1024), []byte{1, 0, 0, 0, 1},
			kind + "PUBLIC_EXPONENT has 5 bytes, but at most 31 bits are supported"},
		"a small modulus":  {modulus(384), []byte{1, 0, 1}, kind + "MODULUS has 384 bits, but at least 512 are needed"},
		"an even exponent": {modulus(1024), []byte{1, 0, 0, 0, 2}, ""},
		"a sound key":      {modulus(1024), []byte{1, 0, 1}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := &shelf{t: t}
			for _, class := range []uint{cryptoki.CKO_PRIVATE_KEY, cryptoki.CKO_PUBLIC_KEY} {
				s.put(cryptoki.Attributes{
					cryptoki.CKA_CLASS: ulong(class), cryptoki.CKA_KEY_TYPE: ulong(cryptoki.CKK_RSA), cryptoki.CKA_ID: []byte("1"),
					cryptoki.CKA_LABEL: []byte("a"), cryptoki.CKA_MODULUS: c.modulus, cryptoki.CKA_PUBLIC_EXPONENT: c.exponent,
				})
			}
			v := NewInventory(s.objects)
			have := ""
			for _, pair := range v.Unsupported() {
				have += pair.Kind
			}
			_, broken := v.Keys()
			if have != c.kind || (len(broken) > 0) != (name == "an even exponent") {
				t.Errorf("unsupported is %q, and broken is %v", have, broken)
			}
		})
	}
}
