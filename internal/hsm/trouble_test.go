package hsm_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki/cryptokitest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

func config(k *hsmtest.Token, pin string, faults *hsmtest.Faults) hsm.Config {
	c := k.Config(faults.Hook)
	c.PIN = hsm.NewPIN(pin)
	return c
}

// openWith opens a token with another PIN, and sees it closed.
func openWith(t *testing.T, k *hsmtest.Token, pin string, faults *hsmtest.Faults) *hsm.Token {
	t.Helper()
	return openConfig(t, config(k, pin, faults))
}

// openHooked opens a token with hooks around its calls, the last one outermost, and sees it closed.
func openHooked(t *testing.T, k *hsmtest.Token, hooks ...hsm.Hook) *hsm.Token {
	t.Helper()
	return openConfig(t, k.Config(hooks...))
}

func openConfig(t *testing.T, c hsm.Config) *hsm.Token {
	t.Helper()
	token, err := hsm.Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = token.Close() })
	return token
}

func TestAWrongPINIsSentOnce(t *testing.T) {
	k := hsmtest.New(t)
	faults := &hsmtest.Faults{}
	token := openWith(t, k, "wrong", faults)
	another := openWith(t, k, "wrong", faults) // as by a provider alias
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			_, err := []*hsm.Token{token, another}[i%2].Key(context.Background(), object.Ref{ID: []byte{byte(i)}})
			if !errors.Is(err, hsm.ErrPINIncorrect) || !errors.Is(err, cryptoki.CKR_PIN_INCORRECT) {
				t.Errorf("got %v", err)
			}
			if strings.Contains(fmt.Sprint(err), "wrong,") {
				t.Errorf("the PIN is in the error: %v", err)
			}
		})
	}
	group.Wait()
	if n := faults.Count("C_Login"); n != 1 {
		t.Errorf("%d calls of C_Login, want 1", n)
	}
	_, err := openWith(t, k, k.PIN, faults).Key(context.Background(), object.Ref{ID: []byte("x")})
	if !errors.Is(err, object.ErrNotFound) {
		t.Errorf("the right PIN after the wrong one: %v", err)
	}
	_, err = token.Key(context.Background(), object.Ref{ID: []byte("x")})
	if !errors.Is(err, hsm.ErrPINIncorrect) || faults.Count("C_Login") != 2 {
		t.Errorf("the wrong PIN once more, with %d logins: %v", faults.Count("C_Login"), err)
	}
}

func TestOneLoginForAll(t *testing.T) {
	k := hsmtest.New(t)
	faults := &hsmtest.Faults{}
	tokens := []*hsm.Token{openWith(t, k, k.PIN, faults), openWith(t, k, k.PIN, faults)}
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			if _, err := tokens[i%2].Key(context.Background(), object.Ref{ID: []byte{byte(i)}}); !errors.Is(err, object.ErrNotFound) {
				t.Errorf("got %v", err)
			}
		})
	}
	group.Wait()
	if n := faults.Count("C_Login"); n != 1 {
		t.Errorf("%d calls of C_Login, want 1", n)
	}
}

func TestStatesOfThePIN(t *testing.T) {
	hsmtest.Needs(t, hsmtest.OwnToken)
	k := hsmtest.New(t)
	k.Spoil()
	for name, c := range hsmtest.InOrder(map[string]struct {
		set, unset uint // flags of the token
		login      cryptoki.RV
		want       error
		logins     int
	}{
		"locked":                         {set: cryptoki.CKF_USER_PIN_LOCKED, want: hsm.ErrPINLocked},
		"final try":                      {set: cryptoki.CKF_USER_PIN_FINAL_TRY, want: hsm.ErrPINFinalTry},
		"to be changed":                  {set: cryptoki.CKF_USER_PIN_TO_BE_CHANGED, want: hsm.ErrPINExpired},
		"not set":                        {unset: cryptoki.CKF_USER_PIN_INITIALIZED, want: hsm.ErrPINNotSet},
		"locked, says C_Login":           {login: cryptoki.CKR_PIN_LOCKED, want: hsm.ErrPINLocked, logins: 1},
		"expired, says C_Login":          {login: cryptoki.CKR_PIN_EXPIRED, want: hsm.ErrPINExpired, logins: 1},
		"wrong, and few tries left":      {set: cryptoki.CKF_USER_PIN_COUNT_LOW, login: cryptoki.CKR_PIN_INCORRECT, want: hsm.ErrPINIncorrect, logins: 1},
		"too long":                       {login: cryptoki.CKR_PIN_LEN_RANGE, want: hsm.ErrPINIncorrect, logins: 1},
		"refused without a word of PINs": {login: cryptoki.CKR_GENERAL_ERROR, want: cryptoki.CKR_GENERAL_ERROR, logins: 2},
	}) {
		t.Run(name, func(t *testing.T) {
			faults := &hsmtest.Faults{}
			faults.Inject(hsmtest.Fault{Function: "C_GetTokenInfo", Do: func(_ context.Context, call *cryptoki.Call, next func() error) error {
				err := next()
				info := call.Result.(*cryptoki.TokenInfo)
				info.Flags = info.Flags&^c.unset | c.set
				return err
			}})
			if c.login != 0 {
				faults.Inject(hsmtest.Fault{Function: "C_Login", Code: c.login})
			}
			// Of another PIN, the process knows nothing yet.
			token := openWith(t, k, hsmtest.RandomPIN(), faults)
			for range 3 {
				if _, err := token.Key(context.Background(), object.Ref{ID: []byte("x")}); !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
			}
			if n := faults.Count("C_Login"); n != c.logins {
				t.Errorf("%d calls of C_Login, want %d", n, c.logins)
			}
		})
	}
}

func TestNoPIN(t *testing.T) {
	faults := &hsmtest.Faults{}
	token := openWith(t, hsmtest.New(t), "", faults)
	if _, err := token.Key(context.Background(), object.Ref{ID: []byte("x")}); !errors.Is(err, hsm.ErrNoPIN) || faults.Count("C_Login") != 0 {
		t.Errorf("got %v after %d logins", err, faults.Count("C_Login"))
	}
}

// lossy opens a token whose module can be made to lose all of its sessions, for real. SoftHSM does not stand that
// while it is at work, so the loss waits until no call is inside it. The hooks stand nearer to the module.
func lossy(t *testing.T, k *hsmtest.Token, hooks ...cryptoki.Hook) (
	token *hsm.Token, faults *hsmtest.Faults, lose func(nth int, after bool),
) {
	t.Helper()
	hsmtest.Needs(t, hsmtest.SessionLoss)
	var inside sync.RWMutex
	faults = &hsmtest.Faults{}
	c := config(k, k.PIN, faults)
	c.Hooks = append([]cryptoki.Hook{func(_ context.Context, _ *cryptoki.Call, next func() error) error {
		inside.RLock()
		defer inside.RUnlock()
		return next()
	}}, append(c.Hooks, hooks...)...)
	token, err := hsm.Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = token.Close() })
	closeAll := func() error {
		inside.Lock()
		defer inside.Unlock()
		return hsmtest.Apart(func() error { return cryptokitest.CloseAllSessions(k.Library, k.Label) })
	}
	return token, faults, func(nth int, after bool) {
		faults.Inject(hsmtest.Fault{Nth: nth, Do: func(_ context.Context, _ *cryptoki.Call, next func() error) error {
			if after {
				return errors.Join(next(), closeAll())
			}
			return errors.Join(closeAll(), next())
		}})
	}
}

func TestSessionsAreLostAmongReads(t *testing.T) {
	k := hsmtest.New(t)
	maker := open(t, k)
	var pairs []object.Key
	for i := range 50 {
		pairs = append(pairs, generate(t, maker, small(fmt.Sprint("key ", i), "label")))
	}
	losses, ended := 0, false
	for nth := 5; !ended; nth += 13 {
		token, faults, lose := lossy(t, k)
		if _, err := token.Key(context.Background(), object.Ref{ID: pairs[0].ID}); err != nil {
			t.Fatal(err)
		}
		before, calls := faults.Count("C_Login"), faults.Count("")
		lose(nth, nth%2 == 0)
		group, ctx := errgroup.WithContext(context.Background())
		group.SetLimit(10)
		for _, pair := range pairs {
			group.Go(func() error {
				found, err := token.Key(ctx, object.Ref{Type: object.RSA, ID: pair.ID})
				if err == nil && describe(found) != describe(pair) {
					t.Errorf("found %s", describe(found))
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Errorf("sessions lost at call %d: %v", nth, err)
		}
		if n := faults.Count("C_Login") - before; n > 1 {
			t.Errorf("sessions lost at call %d: %d logins more", nth, n)
		}
		losses, ended = losses+faults.Injected(), lost(t, faults, nth, calls)
	}
	if losses < 5 { // even where all keys are read at once, each is read
		t.Errorf("sessions were lost %d times", losses)
	}
}

// lost says that there was no call of that number since the first ones, so that no sessions were lost.
func lost(t *testing.T, faults *hsmtest.Faults, nth, before int) (ended bool) {
	t.Helper()
	calls := faults.Count("") - before
	if faults.Injected() != 1 && calls >= nth {
		t.Errorf("sessions were lost %d times at call %d of %d", faults.Injected(), nth, calls)
	}
	return calls < nth
}

func TestSessionsAreLostAmongCreations(t *testing.T) {
	k := hsmtest.New(t)
	w := &world{t: t, kind: kinds[0], token: k, witness: open(t, k)}
	losses, ended := 0, false
	for nth := 8; !ended && nth < 180; nth += 17 {
		w.clear()
		token, faults, lose := lossy(t, k)
		_, _ = token.Key(context.Background(), object.Ref{ID: []byte("first")}) // logs in
		before, calls := faults.Count("C_Login"), faults.Count("")
		lose(nth, nth%2 == 0)
		group, ctx := errgroup.WithContext(context.Background())
		group.SetLimit(10)
		for i := range 20 {
			group.Go(func() error {
				_, err := token.Generate(ctx, small(fmt.Sprint("key ", i), "label"))
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Errorf("sessions lost at call %d: %v", nth, err)
		}
		if n := faults.Count("C_Login") - before; n > 1 {
			t.Errorf("sessions lost at call %d: %d logins more", nth, n)
		}
		if pairs := w.keys(); len(pairs) != 20 {
			t.Errorf("sessions lost at call %d: %d pairs", nth, len(pairs))
		}
		losses, ended = losses+faults.Injected(), lost(t, faults, nth, calls)
	}
	if losses < 10 {
		t.Errorf("sessions were lost %d times", losses)
	}
}

// TestSessionsAreLostInEachOperation loses all sessions before or after each call of each operation on each kind of key,
// which then goes on with new handles. Secret keys that are to be destroyed show nothing of themselves, as on tokens without
// CKA_CHECK_VALUE. Without HSMTEST_FAULTS, it is one call of three.
func TestSessionsAreLostInEachOperation(t *testing.T) {
	everyOperation(t, func(t *testing.T, kind kind, op operation) {
		op.spare(t)
		k := hsmtest.New(t)
		w := &world{t: t, kind: kind, token: k, witness: open(t, k)}
		every := 1
		if hsmtest.ThisExtent(t) == hsmtest.Sample {
			every = 3
		}
		picker := hsmtest.Pick(t, every)
		for nth, calls := 1, every; nth <= calls; nth++ { // the first one that is taken says how many there are
			if !picker.Takes() {
				continue
			}
			op.prepare(w)
			w.made = object.Key{}
			lies := &hsmtest.Faults{}
			token, faults, lose := lossy(t, k, lies.Hook)
			_, _ = token.Key(context.Background(), object.Ref{ID: []byte("warm")})
			before := faults.Count("")
			if op.name == deleting {
				lies.Inject(lie(cryptoki.CKO_SECRET_KEY, without(cryptoki.CKA_CHECK_VALUE)))
			}
			lose(nth, nth%2 == 0)
			w.err = op.run(context.Background(), w, token)
			calls = max(calls, faults.Count("")-before)
			if lost(t, faults, nth, before) && nth <= every {
				t.Error("no sessions were lost")
			}
			_ = token.Close()
			if w.err != nil {
				w.holdsAsSaid(w.err, false)
			}
			w.convergeAfter(op, w.err)
			if t.Failed() {
				t.Fatalf("sessions were lost at call %d (after it: %t) of %v", nth, nth%2 == 0, faults.Calls())
			}
		}
	})
}

// hang makes a call never return until the test ends.
func hang(t *testing.T, function string, nth int, entered chan<- string) hsmtest.Fault {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	return hsmtest.Fault{Function: function, Nth: nth, Do: func(_ context.Context, c *cryptoki.Call, _ func() error) error {
		entered <- c.Function
		<-release
		return &cryptoki.Error{Function: function, Code: cryptoki.CKR_GENERAL_ERROR}
	}}
}

// TestAModuleThatHangs hangs each call of each operation in turn, and interrupts the operation. For kinds of key other
// than the first, it hangs the vital calls only.
func TestAModuleThatHangs(t *testing.T) {
	everyOperation(t, func(t *testing.T, kind kind, op operation) {
		op.spare(t)
		if strings.HasPrefix(op.name, "change the ID") {
			hsmtest.Needs(t, hsmtest.OtherEyes)
		}
		k := hsmtest.New(t)
		w := &world{t: t, kind: kind, token: k, witness: open(t, k)}
		recorded := &hsmtest.Faults{}
		op.prepare(w)
		if _, err := wholeKeys(context.Background(), w.witness); err != nil { // the process is logged in from here on
			t.Fatal(err)
		}
		token := openWith(t, k, k.PIN, recorded)
		recorded.Clear()
		if err := op.run(context.Background(), w, token); err != nil {
			t.Fatal(err)
		}
		calls := recorded.Calls()
		tries, hangs := 0, 0
		for nth, function := range calls {
			if function == "C_CloseSession" || kind.name != kinds[0].name && !slices.Contains(vital, function) {
				continue
			}
			tries++
			op.prepare(w)
			w.made = object.Key{}
			faults := &hsmtest.Faults{}
			token, err := hsm.Open(context.Background(), config(k, k.PIN, faults))
			if err != nil {
				t.Fatal(err)
			}
			entered := make(chan string, 100)
			ofThem := 0
			for _, earlier := range calls[:nth+1] {
				if earlier == function {
					ofThem++
				}
			}
			faults.Inject(hang(t, function, ofThem, entered))
			ctx, cancel := context.WithCancel(context.Background())
			interrupted := make(chan time.Time, 1)
			go func() {
				select {
				case <-entered:
					interrupted <- time.Now()
					cancel()
				case <-ctx.Done():
					close(interrupted)
				}
			}()
			err = op.run(ctx, w, token)
			w.err = err
			cancel()
			at, hung := <-interrupted
			if !hung { // with a login at hand it makes fewer calls
				if slices.Contains(vital, function) {
					t.Errorf("there was no %s number %d", function, ofThem)
				}
				continue
			}
			hangs++
			took := time.Since(at)
			switch {
			case took > 5*time.Second: // it hangs for good: so long is only for a busy machine
				t.Errorf("%s hangs, and the operation goes on for %s", function, took)
			case err != nil && !strings.Contains(err.Error(), function):
				t.Errorf("%s hangs, and the error does not name it: %v", function, err)
			case err == nil && w.made.ID == nil && op.name != deleting:
				t.Errorf("%s hangs, and the operation ends well", function)
			}
			if err != nil {
				w.holdsAsSaid(err, true)
			}
			// The rest of the process is as if the hanging call were not there.
			w.convergeAfter(op, err)
			if t.Failed() {
				t.Fatalf("call %d of %v", nth+1, calls)
			}
		}
		if hangs < (tries+1)/2 {
			t.Errorf("%d of %d calls hung", hangs, tries)
		}
	})
}

func TestOthersGoOnBesideAHangingCall(t *testing.T) {
	hsmtest.Needs(t, hsmtest.TwoSessions)
	k := hsmtest.New(t)
	faults := &hsmtest.Faults{}
	token := openWith(t, k, k.PIN, faults)
	pair := generate(t, token, small("a", "a"))
	entered := make(chan string, 1)
	faults.Inject(hang(t, "C_FindObjectsInit", 1, entered))
	ctx := t.Context()
	go func() { _, _ = token.Key(ctx, object.Ref{ID: []byte("b")}) }()
	<-entered
	soon, stop := context.WithTimeout(context.Background(), 8*time.Second)
	defer stop()
	if _, err := token.Key(soon, object.Ref{ID: pair.ID}); err != nil {
		t.Errorf("another read: %v", err)
	}
	if _, err := token.Generate(soon, small("c", "c")); err != nil {
		t.Errorf("a creation: %v", err)
	}
}

// lie changes what C_GetAttributeValue gives for one class of object.
func lie(class uint, change func(cryptoki.Attributes)) hsmtest.Fault {
	return hsmtest.Fault{Function: "C_GetAttributeValue", Do: func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if reading, ok := c.Result.(*cryptoki.Reading); ok {
			if have, _, _ := reading.Attributes.ULong(cryptoki.CKA_CLASS); have == class {
				change(reading.Attributes)
			}
		}
		return err
	}}
}

func set(attribute cryptoki.AttributeType, value []byte) func(cryptoki.Attributes) {
	return func(a cryptoki.Attributes) { a[attribute] = value }
}

func without(attribute cryptoki.AttributeType) func(cryptoki.Attributes) {
	return func(a cryptoki.Attributes) { delete(a, attribute) }
}

// TestAModuleThatLies reads a good pair, or a secret key, through a module that changes its answers.
func TestAModuleThatLies(t *testing.T) {
	const strangers = "belongs to none of the other halves"
	k := hsmtest.New(t)
	witness := open(t, k)
	pair := generate(t, witness, small("a", "a"))
	foreign := generate(t, witness, small("b", "b"))
	_ = foreign
	box := kindNamed("AES")
	if hsmtest.Has(t, hsmtest.SecretKeys) {
		generate(t, witness, box.template("s", "s"))
	}
	even := func(a cryptoki.Attributes) {
		n := append([]byte{}, a[cryptoki.CKA_MODULUS]...)
		if len(n) > 0 {
			n[len(n)-1] &^= 1
			a[cryptoki.CKA_MODULUS] = n
		}
	}
	const public, private, secret = cryptoki.CKO_PUBLIC_KEY, cryptoki.CKO_PRIVATE_KEY, cryptoki.CKO_SECRET_KEY
	for name, c := range hsmtest.InOrder(map[string]struct {
		class  uint
		change func(cryptoki.Attributes)
		names  string // what the error names
	}{
		"an even modulus":                     {public, even, "CKA_MODULUS"},
		"a modulus of three bytes":            {public, set(cryptoki.CKA_MODULUS, []byte{7, 7, 7}), "CKA_MODULUS"},
		"no modulus":                          {public, without(cryptoki.CKA_MODULUS), "CKA_MODULUS"},
		"an endless modulus":                  {public, set(cryptoki.CKA_MODULUS, make([]byte, 1<<20)), "CKA_MODULUS"},
		"exponent 1":                          {public, set(cryptoki.CKA_PUBLIC_EXPONENT, []byte{1}), "CKA_PUBLIC_EXPONENT"},
		"an even exponent":                    {public, set(cryptoki.CKA_PUBLIC_EXPONENT, []byte{4}), "CKA_PUBLIC_EXPONENT"},
		"no exponent":                         {public, without(cryptoki.CKA_PUBLIC_EXPONENT), "CKA_PUBLIC_EXPONENT"},
		"a huge exponent":                     {public, set(cryptoki.CKA_PUBLIC_EXPONENT, new(big.Int).Lsh(big.NewInt(1), 90).Bytes()), "CKA_PUBLIC_EXPONENT"},
		"a flag of two bytes":                 {private, set(cryptoki.CKA_SIGN, []byte{1, 0}), "CKA_SIGN"},
		"an empty flag":                       {private, set(cryptoki.CKA_EXTRACTABLE, []byte{}), "CKA_EXTRACTABLE"},
		"a class of four bytes":               {private, set(cryptoki.CKA_CLASS, []byte{3, 0, 0, 0}), "CKA_CLASS"},
		"no class":                            {private, without(cryptoki.CKA_CLASS), "CKA_CLASS"},
		"no key type":                         {public, without(cryptoki.CKA_KEY_TYPE), "CKA_KEY_TYPE"},
		"a key type of nine bytes":            {public, set(cryptoki.CKA_KEY_TYPE, make([]byte, 9)), "CKA_KEY_TYPE"},
		"no ID":                               {public, without(cryptoki.CKA_ID), "CKA_ID"},
		"another ID than was searched":        {public, set(cryptoki.CKA_ID, []byte("zzz")), "CKA_ID"},
		"the private half of someone else":    {private, set(cryptoki.CKA_MODULUS, append([]byte{1}, make([]byte, 127)...)), strangers},
		"both halves of one class":            {private, set(cryptoki.CKA_CLASS, cryptoki.ULong(cryptoki.CKA_CLASS, public).Value), "missing"},
		"a public half that is no key at all": {public, set(cryptoki.CKA_CLASS, cryptoki.ULong(cryptoki.CKA_CLASS, 0).Value), "missing"},
		"a secret key's flag of two bytes":    {secret, set(cryptoki.CKA_ENCRYPT, []byte{1, 0}), "CKA_ENCRYPT"},
		"a secret key's length of a byte":     {secret, set(cryptoki.CKA_VALUE_LEN, []byte{16}), "CKA_VALUE_LEN"},
		"a secret key of no class":            {secret, without(cryptoki.CKA_CLASS), "CKA_CLASS"},
		"a secret key of no type":             {secret, without(cryptoki.CKA_KEY_TYPE), "CKA_KEY_TYPE"},
		"a secret key of no ID":               {secret, without(cryptoki.CKA_ID), "CKA_ID"},
		"a secret key of another ID":          {secret, set(cryptoki.CKA_ID, []byte("zzz")), "CKA_ID"},
	}) {
		t.Run(name, func(t *testing.T) {
			ref := object.Ref{Type: object.RSA, ID: pair.ID}
			if c.class == secret {
				box.needs(t)
				ref = object.Ref{Type: object.Secret, ID: []byte("s")}
			}
			faults := &hsmtest.Faults{}
			token := openWith(t, k, k.PIN, faults)
			faults.Inject(lie(c.class, c.change))
			got, err := token.Key(context.Background(), ref)
			if err == nil {
				t.Fatalf("it was taken for %s", describe(got))
			}
			if errors.Is(err, object.ErrNotFound) {
				t.Errorf("it was taken for gone: %v", err)
			}
			if !strings.Contains(err.Error(), c.names) {
				t.Errorf("the error does not name %s: %v", c.names, err)
			}
			count, _ := unclassified(context.Background(), token)
			if _, err := wholeKeys(context.Background(), token); err == nil && count == 0 && c.names != "missing" &&
				c.names != strangers && !strings.Contains(name, "another ID") {
				t.Error("the set of all keys leaves it out silently")
			}
		})
	}
}

func TestAModuleThatLiesAboutSearches(t *testing.T) {
	k := hsmtest.New(t)
	witness := open(t, k)
	pair := generate(t, witness, small("a", "a"))
	var endless atomic.Uint64
	for name, c := range hsmtest.InOrder(map[string]struct {
		function string
		answer   func(*cryptoki.Call)
	}{
		"the same object twice": {"C_FindObjects", func(c *cryptoki.Call) {
			found := c.Result.(*[]cryptoki.Object)
			*found = append(*found, *found...)
		}},
		"a search that never ends": {"C_FindObjects", func(c *cryptoki.Call) {
			many := make([]cryptoki.Object, 4096)
			for i := range many {
				many[i] = cryptoki.Object(endless.Add(1))
			}
			*c.Result.(*[]cryptoki.Object) = many
		}},
		"objects that are not there": {"C_FindObjects", func(c *cryptoki.Call) {
			if found := c.Result.(*[]cryptoki.Object); len(*found) > 0 {
				*found = []cryptoki.Object{1 << 40}
			}
		}},
	}) {
		t.Run(name, func(t *testing.T) {
			faults := &hsmtest.Faults{}
			token := openWith(t, k, k.PIN, faults)
			faults.Inject(hsmtest.Fault{Function: c.function, Do: func(_ context.Context, call *cryptoki.Call, next func() error) error {
				err := next()
				c.answer(call)
				return err
			}})
			_, err := token.Key(context.Background(), object.Ref{ID: pair.ID})
			if err == nil || errors.Is(err, object.ErrNotFound) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestWhatDoesNotVerifyIsDestroyed makes keys through a module that lies about them from the moment when they are
// made.
func TestWhatDoesNotVerifyIsDestroyed(t *testing.T) {
	k := hsmtest.New(t)
	w := &world{t: t, kind: kinds[0], token: k, witness: open(t, k)}
	for name, fault := range hsmtest.InOrder(map[string]hsmtest.Fault{
		"extractable":              lie(cryptoki.CKO_PRIVATE_KEY, set(cryptoki.CKA_EXTRACTABLE, []byte{1})),
		"not sensitive":            lie(cryptoki.CKO_PRIVATE_KEY, set(cryptoki.CKA_SENSITIVE, []byte{0})),
		"sensitivity is not told":  lie(cryptoki.CKO_PRIVATE_KEY, without(cryptoki.CKA_SENSITIVE)),
		"may decrypt":              lie(cryptoki.CKO_PRIVATE_KEY, set(cryptoki.CKA_DECRYPT, []byte{1})),
		"another label":            lie(cryptoki.CKO_PUBLIC_KEY, set(cryptoki.CKA_LABEL, []byte("another"))),
		"another exponent":         lie(cryptoki.CKO_PUBLIC_KEY, set(cryptoki.CKA_PUBLIC_EXPONENT, []byte{3})),
		"a malformed private half": lie(cryptoki.CKO_PRIVATE_KEY, set(cryptoki.CKA_SIGN, []byte{})),
		"a wrong signature": {Function: "C_Sign", Do: func(_ context.Context, c *cryptoki.Call, next func() error) error {
			err := next()
			if s := *c.Result.(*[]byte); len(s) > 0 {
				s[0] ^= 1
			}
			return err
		}},
	}) {
		for _, id := range []string{"chosen", ""} {
			t.Run(name+", ID "+id, func(t *testing.T) {
				w.t = t
				w.clear()
				faults := &hsmtest.Faults{}
				token := openWith(t, k, k.PIN, faults)
				faults.Inject(fault)
				_, err := token.Generate(context.Background(), small(id, "label"))
				failed, ok := errors.AsType[*hsm.OperationError](err)
				if !ok {
					t.Fatalf("got %v", err)
				}
				w.holdsAsSaid(err, false)
				if failed.Holds != hsm.HoldsNothing && name != "another label" && name != "a malformed private half" && name != "another exponent" {
					t.Errorf("holds: %s", failed.Holds)
				}
			})
		}
	}
}

// TestGeneratingInParallel makes keys with ten at a time: 200 of the first kind, and 50 of each other, and on other
// makes of token. With HSMTEST_FAULTS, it is 200 of each, and five times so of the first.
func TestGeneratingInParallel(t *testing.T) {
	hsmtest.Needs(t, hsmtest.ManyKeys)
	for i, kind := range kinds {
		rounds, keys := 1, 200
		switch {
		case hsmtest.ThisExtent(t) == hsmtest.Sample && (i > 0 || hsmtest.ThisMake(t).Name != "softhsm"):
			keys = 50
		case hsmtest.ThisExtent(t) != hsmtest.Sample && i == 0 && hsmtest.ThisMake(t).Name == "softhsm":
			rounds = 5
		}
		t.Run(kind.name, func(t *testing.T) {
			kind.needs(t)
			k := hsmtest.New(t)
			w := &world{t: t, kind: kind, token: k, witness: open(t, k)}
			for range rounds {
				w.clear()
				token := open(t, k)
				group, ctx := errgroup.WithContext(context.Background())
				group.SetLimit(10)
				for i := range keys {
					group.Go(func() error {
						_, err := token.Generate(ctx, kind.template(fmt.Sprint("key ", i), "label"))
						return err
					})
				}
				if err := group.Wait(); err != nil {
					t.Fatal(err)
				}
				pairs := w.keys()
				fingerprints := map[string]bool{}
				for _, pair := range pairs {
					fingerprints[pair.Fingerprint()] = true
				}
				// Check values, which have 24 bits, are the same now and then, and some tokens show none.
				if len(pairs) != keys || len(fingerprints) != keys && kind.tmpl.Type != object.Secret {
					t.Errorf("%d pairs, %d keys", len(pairs), len(fingerprints))
				}
			}
		})
	}
}

func TestAReadOnlyToken(t *testing.T) {
	k := hsmtest.New(t)
	witness := open(t, k)
	pair := generate(t, witness, small("a", "a"))
	faults := &hsmtest.Faults{}
	faults.Inject(hsmtest.Fault{Function: "C_GetTokenInfo", Do: func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		c.Result.(*cryptoki.TokenInfo).Flags |= cryptoki.CKF_WRITE_PROTECTED
		return err
	}})
	token := openWith(t, k, k.PIN, faults)
	ctx := context.Background()
	ref := object.Ref{ID: pair.ID}
	if _, err := token.Key(ctx, ref); err != nil {
		t.Errorf("reading: %v", err)
	}
	label := "b"
	_, made := token.Generate(ctx, small("b", "b"))
	_, changed := token.Change(ctx, ref, object.Change{Label: &label})
	_, destroyed := token.Destroy(ctx, ref)
	for _, err := range []error{made, changed, destroyed} {
		if !errors.Is(err, hsm.ErrReadOnly) {
			t.Errorf("got %v", err)
		}
	}
	if found, err := witness.Key(ctx, ref); err != nil || describe(found) != describe(pair) {
		t.Errorf("the key has changed: %v", err)
	}
}

func TestATokenThatIsExchanged(t *testing.T) {
	hsmtest.Needs(t, hsmtest.TwoTokens)
	k, other := hsmtest.New(t), hsmtest.New(t)
	faults := &hsmtest.Faults{}
	token := openWith(t, k, k.PIN, faults)
	faults.Inject(hsmtest.Fault{Function: "C_GetTokenInfo", Do: func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		c.Result.(*cryptoki.TokenInfo).Label = other.Label
		return err
	}})
	_, err := token.Key(context.Background(), object.Ref{ID: []byte("a")})
	if !errors.Is(err, hsm.ErrNoToken) || faults.Count("C_Login") != 0 {
		t.Errorf("after %d logins: %v", faults.Count("C_Login"), err)
	}
}

func TestACommandOpensTheTokenItIsFor(t *testing.T) {
	hsmtest.Needs(t, hsmtest.TwoTokens)
	k, _ := hsmtest.New(t), hsmtest.New(t)
	slot := open(t, k).Info().Slot
	for name, c := range map[string]struct {
		others string // how the labels of the other tokens begin
		slot   bool
	}{
		"a longer label begins with this one":   {k.Label + "9", true},
		"another token has the same label":      {k.Label, true},
		"a shorter label begins as this does":   {k.Label[:3], false},
		"a label differs in its capital letter": {strings.ToUpper(k.Label), false},
	} {
		t.Run(name, func(t *testing.T) {
			faults := &hsmtest.Faults{}
			rename := func(_ context.Context, call *cryptoki.Call, next func() error) error {
				err := next()
				if info := call.Result.(*cryptoki.TokenInfo); info.Label != k.Label {
					info.Label = c.others
				}
				return err
			}
			faults.Inject(hsmtest.Fault{Function: "C_GetTokenInfo", Do: rename})
			module := config(k, k.PIN, faults)
			module.Selector = hsm.Selector{Slot: &slot}
			token, err := hsm.Open(context.Background(), module)
			if err != nil {
				t.Fatal(err)
			}
			defer token.Close()
			want := "--token-label " + k.Label
			if c.slot {
				want = fmt.Sprintf("--slot %d", slot)
			}
			line := hsm.Command("pkcs11-tool", "--module", k.Library) + " " + want + " --login --list-objects"
			if have := token.Command("--list-objects"); have != line {
				t.Errorf("the command is %s, not %s", have, line)
			}
		})
	}
}
