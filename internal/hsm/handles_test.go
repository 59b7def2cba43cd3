package hsm_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki/cryptokitest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// stranger makes two objects of somebody else's, which a handle may come to mean. They have the label of the key that
// the operations are about.
type stranger struct {
	name string
	id   string // "": none
	make func(ctx context.Context, s *cryptoki.Session, name []cryptoki.Attribute, kind kind) ([]cryptoki.Object, error)
}

var strangers = []stranger{
	{"an EC pair without an ID", "", strangePair(kindNamed("P-256"))},
	{"a pair of the same type without an ID", "", strangePair(kindNamed("RSA"))},
	{"a pair of another ID", "theirs", strangePair(kindNamed("P-256"))},
	{"secret keys without an ID", "", strangeSecrets},
	{"secret keys of another ID", "theirs", strangeSecrets},
}

func strangePair(other kind) func(context.Context, *cryptoki.Session, []cryptoki.Attribute, kind) ([]cryptoki.Object, error) {
	return func(ctx context.Context, s *cryptoki.Session, name []cryptoki.Attribute, _ kind) ([]cryptoki.Object, error) {
		mechanism, public := cryptoki.Mechanism{Type: cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN}, []cryptoki.Attribute{
			cryptoki.ULong(cryptoki.CKA_MODULUS_BITS, 1024), cryptoki.Bytes(cryptoki.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}),
		}
		if other.tmpl.Curve != "" {
			params, _ := publickey.ECParams(other.tmpl.Curve)
			mechanism, public = cryptoki.Mechanism{Type: cryptoki.CKM_EC_KEY_PAIR_GEN}, []cryptoki.Attribute{
				cryptoki.Bytes(cryptoki.CKA_EC_PARAMS, params),
			}
		}
		pair, err := s.GenerateKeyPair(ctx, mechanism, slices.Concat(name, public), name)
		return []cryptoki.Object{pair.Private, pair.Public}, err
	}
}

func strangeSecrets(ctx context.Context, s *cryptoki.Session, name []cryptoki.Attribute, _ kind) (made []cryptoki.Object, err error) {
	for range 2 {
		key, err := s.GenerateKey(ctx, cryptoki.Mechanism{Type: cryptoki.CKM_AES_KEY_GEN}, append(slices.Clone(name), cryptoki.ULong(cryptoki.CKA_VALUE_LEN, 16)))
		if err != nil {
			return nil, err
		}
		made = append(made, key)
	}
	return made, nil
}

// proving is an operation of who reads a key and proves that its halves belong together.
var proving = operation{name: "prove", reads: true, prepare: withKey, converge: unchanged, run: func(ctx context.Context, w *world, token *hsm.Token) error {
	key, err := token.Key(ctx, w.ref())
	if err == nil && w.kind.objects() > 1 {
		_, err = token.Prove(ctx, key)
	}
	if err == nil {
		_, err = token.Fingerprinted(ctx, key)
	}
	return err
}}

// TestABrokenConnectionNumbersObjectsAnew breaks the connection to the token after each call of each operation. Then the
// handles of our key mean somebody else's objects. Nobody destroys, changes, adopts or uses those, the operation or the
// next run has its way, and no error speaks of others. Without HSMTEST_FAULTS, it is one break of many.
func TestABrokenConnectionNumbersObjectsAnew(t *testing.T) {
	onSoftHSM(t)
	every := map[hsmtest.Extent]int{hsmtest.Sample: 40, hsmtest.Matrix: 40, hsmtest.All: 1}[hsmtest.ThisExtent(t)]
	for _, name := range []string{"RSA", "P-256", "AES"} {
		kind := kindNamed(name)
		for _, op := range append(slices.Clone(operations), proving) {
			if op.reads && op.name != proving.name && op.name != signing.name || !kind.allows(op) {
				continue
			}
			t.Run(kind.name+": "+op.name, func(t *testing.T) {
				t.Parallel()
				op.spare(t)
				k := hsmtest.New(t)
				b := breaking{
					world: &world{t: t, kind: kind, token: k, witness: open(t, k)}, op: op,
					liar: cryptokitest.NewLiar(t, k.Library, false),
				}
				_, _ = b.witness.Key(context.Background(), object.Ref{ID: []byte("warm")}) // its login keeps the objects' handles
				picker, broken, calls := hsmtest.Pick(t, every), 0, uint(1000)
				// The first rounds show how many calls the operation makes.
				for nth := uint(1); nth <= calls; nth++ {
					for i, stranger := range strangers {
						for j, make := range []string{"SoftHSM project", "somebody"} {
							if first := nth == 1 && i+j == 0; !first && !picker.Takes() {
								continue
							}
							if b.after(nth, make, stranger) {
								broken++
							} else {
								calls = min(calls, nth+breaksMayMiss)
							}
							if t.Failed() {
								t.Fatalf("%s, make %q: the connection broke after call %d", stranger.name, make, nth)
							}
						}
					}
				}
				t.Logf("the connection broke %d times", broken)
				if broken == 0 {
					t.Error("the connection never broke")
				}
			})
		}
	}
}

// breaksMayMiss is by how many calls an operation on one make is longer than the same on another make.
const breaksMayMiss = 8

// breaking is an operation over a connection that breaks.
type breaking struct {
	*world
	op   operation
	liar *cryptokitest.Liar
}

// after breaks the connection after the call of that number, and says whether there was such a call.
func (b *breaking) after(nth uint, make string, other stranger) (broke bool) {
	b.op.prepare(b.world)
	b.made = object.Key{}
	theirs := b.strange(other)
	var swaps []cryptokitest.Swap
	for i, handle := range theirs[:b.kind.objects()] {
		swap := cryptokitest.Swap{Foreign: uint(handle)}
		if b.key.ID != nil {
			swap.Own = uint(b.key.Objects()[i].Handle)
		}
		swaps = append(swaps, swap)
	}
	before := b.shows(theirs)
	c := b.token.Config(as(make))
	c.Library = b.liar.Path
	token, err := hsm.Open(context.Background(), c)
	if err != nil {
		b.t.Fatal(err)
	}
	code := []cryptoki.RV{cryptoki.CKR_SESSION_HANDLE_INVALID, cryptoki.CKR_DEVICE_ERROR}[nth%2]
	b.liar.Tell(b.t, cryptokitest.Lie{Function: cryptokitest.Any, Kind: cryptokitest.Break, Number: uint(code), Nth: nth, Swaps: swaps})
	already := len(b.liar.Journal(b.t))
	b.err = b.op.run(context.Background(), b.world, token)
	for _, line := range b.liar.Journal(b.t)[already:] {
		broke = broke || line == cryptokitest.Broken
		if function, is := strings.CutPrefix(line, cryptokitest.Foreign); is {
			b.t.Errorf("%s of somebody else's object", function)
		}
	}
	b.liar.Repent(b.t)
	_ = token.Close()
	if after := b.shows(theirs); after != before {
		b.t.Errorf("somebody else's objects were\n%s\nand are\n%s", before, after)
	}
	b.clearAway(theirs)
	if b.err != nil {
		if strings.Contains(b.err.Error(), "someone else") {
			b.t.Errorf("nobody else made a key of that ID: %v", b.err)
		}
		b.holdsAsSaid(b.err, false)
	}
	b.convergeAfter(b.op, b.err)
	return broke
}

func (b *breaking) session(f func(context.Context, *cryptoki.Session) error) {
	b.t.Helper()
	if err := b.token.Session(f); err != nil {
		b.t.Fatal(err)
	}
}

func (b *breaking) strange(other stranger) (theirs []cryptoki.Object) {
	b.t.Helper()
	name := []cryptoki.Attribute{
		cryptoki.Bool(cryptoki.CKA_TOKEN, true), cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(oldLabel)),
		cryptoki.Bytes(cryptoki.CKA_ID, []byte(other.id)),
	}
	b.session(func(ctx context.Context, s *cryptoki.Session) (err error) {
		theirs, err = other.make(ctx, s, name, b.kind)
		return err
	})
	return theirs
}

// shows is what objects show of themselves.
func (b *breaking) shows(objects []cryptoki.Object) string {
	b.t.Helper()
	var text strings.Builder
	b.session(func(ctx context.Context, s *cryptoki.Session) error {
		for _, handle := range objects {
			shown, err := s.GetAttributeValue(ctx, handle, []cryptoki.AttributeType{
				cryptoki.CKA_CLASS, cryptoki.CKA_ID, cryptoki.CKA_LABEL, cryptoki.CKA_SIGN, cryptoki.CKA_VERIFY, cryptoki.CKA_ENCRYPT,
				cryptoki.CKA_DECRYPT, cryptoki.CKA_DERIVE, cryptoki.CKA_EC_POINT, cryptoki.CKA_MODULUS, cryptoki.CKA_CHECK_VALUE,
			})
			fmt.Fprintf(&text, "%d: %v %v\n", handle, shown, err)
		}
		return nil
	})
	return text.String()
}

func (b *breaking) clearAway(objects []cryptoki.Object) {
	b.t.Helper()
	b.session(func(ctx context.Context, s *cryptoki.Session) error {
		for _, handle := range objects {
			if err := s.DestroyObject(ctx, handle); err != nil {
				return err
			}
		}
		return nil
	})
}
