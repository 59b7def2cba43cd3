package hsm_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// onSoftHSM skips a test that looks into SoftHSM's files, or is about what SoftHSM alone does.
func onSoftHSM(t *testing.T) {
	t.Helper()
	if hsmtest.ThisMake(t).Name != "softhsm" {
		t.Skip("this is about SoftHSM")
	}
}

// files are those of all of SoftHSM's objects.
func files(t *testing.T) (paths []string) {
	t.Helper()
	conf, err := os.ReadFile(os.Getenv("SOFTHSM2_CONF"))
	if err != nil {
		t.Fatal(err)
	}
	var folder string
	if _, err := fmt.Sscanf(string(conf), "directories.tokendir = %s", &folder); err != nil {
		t.Fatal(err)
	}
	paths, err = filepath.Glob(filepath.Join(folder, "*", "*.object"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no objects in %s: %v", folder, err)
	}
	return paths
}

// tear removes an attribute from an object's file, if the object is of the class, as SoftHSM 2.6.1 does if a search
// reads the file while it is written. The file has the number of its version, then for each attribute its type, its
// form and its value. All numbers have 8 bytes.
func tear(t *testing.T, path string, class uint, attribute cryptoki.AttributeType) bool {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	number := func(at int) int { return int(binary.BigEndian.Uint64(file[at:])) }
	from, to, isClass := 0, 0, false
	for at := 8; at < len(file); {
		size := 8
		switch form := number(at + 8); form {
		case 1:
			size = 1
		case 3, 4:
			size = 8 + number(at+16)
		case 5:
			size = 8 + 8*number(at+16)
		}
		what := cryptoki.AttributeType(number(at))
		isClass = isClass || what == cryptoki.CKA_CLASS && number(at+16) == int(class)
		if what == attribute {
			from, to = at, at+16+size
		}
		at += 16 + size
	}
	if !isClass {
		return false
	}
	if from == 0 {
		t.Fatalf("%s has no %s", path, attribute)
	}
	file = slices.Delete(file, from, to)
	binary.BigEndian.PutUint64(file, uint64(number(0))+1)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return true
}

// tearNew tears the objects of which the files are not among those before, and says how many there were.
func tearNew(t *testing.T, before []string, class uint, attribute cryptoki.AttributeType) (torn int) {
	t.Helper()
	for _, path := range files(t) {
		if !slices.Contains(before, path) && tear(t, path, class, attribute) {
			torn++
		}
	}
	return torn
}

var classesOf = map[int][]uint{2: {cryptoki.CKO_PRIVATE_KEY, cryptoki.CKO_PUBLIC_KEY}, 1: {cryptoki.CKO_SECRET_KEY}}

// TestATornKeyIsMadeAgain has an object of a new key lose one of its attributes.
func TestATornKeyIsMadeAgain(t *testing.T) {
	onSoftHSM(t)
	for _, name := range []string{"RSA", "AES"} {
		kind := kindNamed(name)
		for _, class := range classesOf[kind.objects()] {
			for _, attribute := range []cryptoki.AttributeType{cryptoki.CKA_CLASS, cryptoki.CKA_KEY_TYPE, cryptoki.CKA_ID, cryptoki.CKA_LABEL, cryptoki.CKA_TOKEN} {
				for _, id := range []string{"the ID", ""} {
					t.Run(fmt.Sprintf("%s, class %d, %s, ID %q", name, class, attribute, id), func(t *testing.T) {
						k := hsmtest.New(t)
						faults := &hsmtest.Faults{}
						token := openWith(t, k, k.PIN, faults)
						before := files(t)
						torn := 0
						damage := func(_ context.Context, _ *cryptoki.Call, next func() error) error {
							err := next()
							torn += tearNew(t, before, class, attribute)
							return err
						}
						faults.Inject(hsmtest.Fault{Function: "C_GenerateKeyPair", Nth: 1, Do: damage})
						faults.Inject(hsmtest.Fault{Function: "C_GenerateKey", Nth: 1, Do: damage})
						made, err := token.Generate(context.Background(), kind.template(id, "label"))
						if err != nil {
							t.Fatal(err)
						}
						if torn != 1 {
							t.Errorf("%d objects were torn", torn)
						}
						if n := objects(t, k); n != kind.objects() {
							t.Errorf("%d objects are left of one key", n)
						}
						if found, err := open(t, k).Key(context.Background(), object.Ref{Type: kind.tmpl.Type, ID: made.ID}); err != nil || describe(found) != describe(made) {
							t.Errorf("%v: %v", found, err)
						}
					})
				}
			}
		}
	}
}

// TestATornKeyThatIsNotClearedAway has the destruction of a new, torn object fail, once and for good.
func TestATornKeyThatIsNotClearedAway(t *testing.T) {
	onSoftHSM(t)
	for _, name := range []string{"RSA", "AES"} {
		kind := kindNamed(name)
		for _, id := range []string{"the ID", ""} {
			for _, function := range []string{"C_DestroyObject", "C_GetAttributeValue"} {
				for _, onwards := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s, ID %q, %s, onwards %t", name, id, function, onwards), func(t *testing.T) {
						k := hsmtest.New(t)
						faults := &hsmtest.Faults{}
						token := openWith(t, k, k.PIN, faults)
						before, torn := files(t), 0
						damage := func(_ context.Context, _ *cryptoki.Call, next func() error) error {
							err := next()
							torn += tearNew(t, before, classesOf[kind.objects()][0], cryptoki.CKA_CLASS)
							faults.Inject(hsmtest.Fault{Function: function, Nth: 1, Onwards: onwards, Code: cryptoki.CKR_DEVICE_ERROR})
							return err
						}
						faults.Inject(hsmtest.Fault{Function: "C_GenerateKeyPair", Nth: 1, Do: damage})
						faults.Inject(hsmtest.Fault{Function: "C_GenerateKey", Nth: 1, Do: damage})
						_, err := token.Generate(context.Background(), kind.template(id, "label"))
						n, failed := objects(t, k), (*hsm.OperationError)(nil)
						left := kind.objects()
						if id == "" && function == "C_GetAttributeValue" {
							left = 0 // objects with a random ID of ours are destroyed unread
						}
						switch {
						case torn != 1:
							t.Errorf("%d objects were torn", torn)
						case !onwards && (err != nil || n != kind.objects()):
							t.Errorf("%d objects of one key: %v", n, err)
						case onwards && (!errors.As(err, &failed) || failed.Holds != hsm.HoldsUnknown || n != left):
							t.Errorf("%d objects: %v", n, err)
						}
					})
				}
			}
		}
	}
}

// TestATornKeyIsNotGone tears a key that was there before. The key counts neither as absent nor as half a pair, and
// nobody destroys it.
func TestATornKeyIsNotGone(t *testing.T) {
	onSoftHSM(t)
	for _, name := range []string{"RSA", "AES"} {
		kind := kindNamed(name)
		for _, class := range classesOf[kind.objects()] {
			t.Run(fmt.Sprintf("%s, class %d", name, class), func(t *testing.T) {
				k := hsmtest.New(t)
				before := files(t)
				key := generate(t, open(t, k), kind.template("the ID", "label"))
				if tearNew(t, before, class, cryptoki.CKA_CLASS) != 1 {
					t.Fatal("nothing was torn")
				}
				token, ctx := open(t, k), context.Background()
				ref := object.Ref{Type: kind.tmpl.Type, ID: key.ID, Fingerprint: key.Fingerprint()}
				label := "another"
				_, read := token.Key(ctx, ref)
				_, changed := token.Change(ctx, ref, object.Change{Label: &label})
				_, destroyed := token.Destroy(ctx, ref)
				for _, err := range []error{read, changed, destroyed} {
					malformed, ok := errors.AsType[*object.MalformedError](err)
					if !ok || !malformed.Unclassified() || !bytes.Equal(malformed.Object.ID, key.ID) {
						t.Errorf("got %v", err)
					}
				}
				if _, err := token.Generate(ctx, kind.template("the ID", "label")); !errors.Is(err, object.ErrExists) {
					t.Errorf("made again: %v", err)
				}
				if n := objects(t, k); n != kind.objects() {
					t.Errorf("%d objects are left", n)
				}
			})
		}
	}
}

// TestChangingBesideSearches changes keys, several at a time, while others search the token all the time: without its gate,
// SoftHSM 2.6.1 loses sight of a key within seconds.
func TestChangingBesideSearches(t *testing.T) {
	hsmtest.Needs(t, hsmtest.ManyKeys)
	const each, atATime = 20, 4
	for _, c := range []struct {
		name          string
		sample, whole int // rounds, without HSMTEST_FAULTS and with it
	}{{"RSA", 3, 10}, {"AES", 30, 120}} {
		rounds := c.whole
		switch {
		case hsmtest.ThisMake(t).Name != "softhsm":
			rounds = 2
		case hsmtest.ThisExtent(t) == hsmtest.Sample:
			rounds = c.sample
		}
		kind := kindNamed(c.name)
		t.Run(c.name, func(t *testing.T) {
			kind.needs(t)
			k := hsmtest.New(t)
			w := &world{t: t, kind: kind, token: k, witness: open(t, k)}
			token := open(t, k)
			fingerprints := map[string]bool{}
			for i := range each {
				fingerprints[generate(t, token, kind.template(fmt.Sprint("key ", i), "label")).Fingerprint()] = true
			}
			searching, stop := context.WithCancel(context.Background())
			defer stop()
			searches, ctx := errgroup.WithContext(searching)
			for range atATime {
				searches.Go(func() error {
					for searching.Err() == nil {
						if _, err := token.Key(ctx, object.Ref{ID: []byte("nothing")}); !errors.Is(err, object.ErrNotFound) && searching.Err() == nil {
							return err
						}
					}
					return nil
				})
			}
			for round := range rounds {
				label := fmt.Sprint("label ", round)
				group, ctx := errgroup.WithContext(context.Background())
				group.SetLimit(atATime)
				for i := range each {
					group.Go(func() error {
						_, err := token.Change(ctx, object.Ref{Type: kind.tmpl.Type, ID: fmt.Append(nil, "key ", i)}, object.Change{Label: &label})
						return err
					})
				}
				if err := group.Wait(); err != nil {
					t.Fatalf("round %d: %v", round, err)
				}
			}
			stop()
			if err := searches.Wait(); err != nil {
				t.Error(err)
			}
			keys := w.keys()
			for _, key := range keys {
				if key.Label != fmt.Sprint("label ", rounds-1) || !fingerprints[key.Fingerprint()] {
					t.Errorf("%s %q is not what it was", key.ID, key.Label)
				}
			}
			if len(keys) != each {
				t.Errorf("%d keys are left of %d", len(keys), each)
			}
		})
	}
}

// TestRSAPairsMadeBesideSearches makes pairs while others search the token all the time, and has another process count
// what is there: without its gate, SoftHSM 2.6.1 leaves objects that nobody asked for.
func TestRSAPairsMadeBesideSearches(t *testing.T) {
	onSoftHSM(t)
	pairs, rounds := 150, 2
	if hsmtest.ThisExtent(t) == hsmtest.Sample {
		pairs, rounds = 100, 1
	}
	for range rounds {
		k := hsmtest.New(t)
		token := open(t, k)
		searching, stop := context.WithCancel(context.Background())
		defer stop()
		var searches sync.WaitGroup
		for range 3 {
			searches.Go(func() {
				for searching.Err() == nil {
					if _, err := token.Key(searching, object.Ref{ID: []byte("nothing")}); !errors.Is(err, object.ErrNotFound) && searching.Err() == nil {
						t.Error(err)
					}
				}
			})
		}
		group, ctx := errgroup.WithContext(context.Background())
		group.SetLimit(8)
		for i := range pairs {
			group.Go(func() error {
				_, err := token.Generate(ctx, kindNamed("RSA").template(fmt.Sprint("key ", i), "label"))
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		stop()
		searches.Wait()
		if n := strings.Count(k.Tool(t, "--list-objects"), " Object"); n != 2*pairs {
			t.Errorf("another process sees %d objects of %d pairs", n, pairs)
		}
	}
}

// TestADestructionStopsAtWhatIsTorn has the private half lose its class while it is destroyed.
func TestADestructionStopsAtWhatIsTorn(t *testing.T) {
	onSoftHSM(t)
	kind := kindNamed("RSA")
	for _, fault := range []hsmtest.Fault{
		{Function: "C_DestroyObject", Nth: 1, Code: cryptoki.CKR_DEVICE_ERROR},
		{Function: "C_DestroyObject", Nth: 1, Code: cryptoki.CKR_OBJECT_HANDLE_INVALID},
	} {
		k := hsmtest.New(t)
		before := files(t)
		key := generate(t, open(t, k), kind.template("the ID", "label"))
		faults := &hsmtest.Faults{}
		token := openWith(t, k, k.PIN, faults)
		code := fault.Code
		fault.Do = func(_ context.Context, c *cryptoki.Call, _ func() error) error {
			tearNew(t, before, cryptoki.CKO_PRIVATE_KEY, cryptoki.CKA_CLASS)
			return &cryptoki.Error{Function: c.Function, Code: code}
		}
		faults.Inject(fault)
		left, err := token.Destroy(context.Background(), object.Ref{Type: object.RSA, ID: key.ID, Fingerprint: key.Fingerprint()})
		if failed, ok := errors.AsType[*hsm.OperationError](err); !ok || failed.Holds != hsm.HoldsUnknown {
			t.Errorf("%s: left %v, %v", code, left, err)
		}
		if n := objects(t, k); n != 2 {
			t.Errorf("%s: %d objects are left", code, n)
		}
	}
}

// TestHandlesOfAnotherKeyAreNotOurs has the token give another pair's handles for those of the new one, as after a new
// login that numbers objects anew.
func TestHandlesOfAnotherKeyAreNotOurs(t *testing.T) {
	for _, id := range []string{"the ID", ""} {
		k := hsmtest.New(t)
		kind := kindNamed("RSA")
		generate(t, open(t, k), kind.template("foreign", "foreign"))
		faults := &hsmtest.Faults{}
		token := openWith(t, k, k.PIN, faults)
		foreign := map[uint]cryptoki.Object{}
		for class := range map[uint]bool{cryptoki.CKO_PRIVATE_KEY: true, cryptoki.CKO_PUBLIC_KEY: true} {
			err := k.Session(func(ctx context.Context, s *cryptoki.Session) error {
				found, err := s.FindObjects(ctx, []cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_ID, []byte("foreign")), cryptoki.ULong(cryptoki.CKA_CLASS, class)})
				if err == nil && len(found) == 1 {
					foreign[class] = found[0]
				}
				return err
			})
			if err != nil || foreign[class] == 0 {
				t.Fatal(err)
			}
		}
		faults.Inject(hsmtest.Fault{Function: "C_GenerateKeyPair", Nth: 1, Do: func(_ context.Context, c *cryptoki.Call, next func() error) error {
			err := next()
			*c.Result.(*cryptoki.Pair) = cryptoki.Pair{Private: foreign[cryptoki.CKO_PRIVATE_KEY], Public: foreign[cryptoki.CKO_PUBLIC_KEY]}
			return err
		}})
		if _, err := token.Generate(context.Background(), kind.template(id, "label")); err != nil {
			t.Errorf("ID %q: %v", id, err)
		}
		keys, err := wholeKeys(context.Background(), open(t, k))
		if err != nil || len(keys) != 2 || objects(t, k) != 4 {
			t.Errorf("ID %q: %d keys of %d objects: %v", id, len(keys), objects(t, k), err)
		}
	}
}

// TestNoSearchIsBelievedAlone has searches overlook objects of a key that is there all the time.
func TestNoSearchIsBelievedAlone(t *testing.T) {
	onSoftHSM(t)
	kind := kindNamed("RSA")
	for name, show := range hsmtest.InOrder(map[string][]int{"half, then nothing": {1, 0}, "nothing, then half": {0, 1}, "nothing": {0}, "half": {1}}) {
		for operation, run := range hsmtest.InOrder(map[string]func(*hsm.Token, object.Ref) (gone bool, err error){
			"read": func(token *hsm.Token, ref object.Ref) (bool, error) {
				_, err := token.Key(context.Background(), ref)
				return false, err
			},
			"destroy": func(token *hsm.Token, ref object.Ref) (bool, error) {
				_, err := token.Destroy(context.Background(), ref)
				return true, err
			},
		}) {
			t.Run(operation+": "+name, func(t *testing.T) {
				k := hsmtest.New(t)
				key := generate(t, open(t, k), kind.template("the ID", "label"))
				faults := &hsmtest.Faults{}
				token := openWith(t, k, k.PIN, faults)
				if _, err := token.Key(context.Background(), object.Ref{ID: []byte("nothing")}); !errors.Is(err, object.ErrNotFound) {
					t.Fatal(err)
				}
				left := slices.Clone(show)
				faults.Inject(hsmtest.Fault{Function: "C_FindObjects", Do: func(_ context.Context, c *cryptoki.Call, next func() error) error {
					err := next()
					if found := c.Result.(*[]cryptoki.Object); len(*found) == 2 && len(left) > 0 {
						*found, left = (*found)[:left[0]], left[1:]
					}
					return err
				}})
				gone, err := run(token, object.Ref{Type: object.RSA, ID: key.ID, Fingerprint: key.Fingerprint()})
				if err != nil {
					t.Error(err)
				}
				if n := objects(t, k); gone != (n == 0) || n == 1 {
					t.Errorf("%d objects are left", n)
				}
				if len(left) > 0 {
					t.Error("nothing was overlooked")
				}
			})
		}
	}
}
