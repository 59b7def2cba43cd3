package hsm_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki/cryptokitest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// gives has C_Sign give something else, from the call of that number on.
func gives(f func(sig []byte) []byte) hsmtest.Fault {
	return hsmtest.Fault{Function: "C_Sign", Do: func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if sig, ok := c.Result.(*[]byte); ok && err == nil {
			*sig = f(*sig)
		}
		return err
	}}
}

// TestALyingTokensSignatureIsNeverGiven of any kind of key: wrong, another key's, of another length, in pieces.
func TestALyingTokensSignatureIsNeverGiven(t *testing.T) {
	for name, tmpl := range hsmtest.InOrder(signingKinds()) {
		t.Run(name, func(t *testing.T) {
			needsKind(t, tmpl)
			hsmtest.Needs(t, hsmtest.TwoSessions)
			k, faults := hsmtest.New(t), &hsmtest.Faults{}
			maker := open(t, k)
			tmpl.ID, tmpl.Label = []byte("signer"), "signer"
			made := generate(t, maker, tmpl)
			tmpl.ID, tmpl.Label = []byte("another"), "another"
			other := signerOf(t, maker, generate(t, maker, tmpl).PublicKey)
			token := openHooked(t, k, faults.Hook)
			signer := signerOf(t, token, made.PublicKey)
			message := []byte("what is signed")
			for _, s := range signaturesOf(made.PublicKey) {
				another, err := other.SignMessage(nil, message, s.opts)
				if err != nil {
					t.Fatal(err)
				}
				was, err := signer.SignMessage(nil, []byte("another message"), s.opts)
				if err != nil {
					t.Fatal(err)
				}
				for lie, change := range map[string]func(sig []byte) []byte{
					"a bit is wrong":          func(sig []byte) []byte { sig[len(sig)/2] ^= 1; return sig },
					"another key's":           func([]byte) []byte { return another },
					"of another message":      func([]byte) []byte { return was },
					"a byte too long":         func(sig []byte) []byte { return append(sig, 0) },
					"a byte too short":        func(sig []byte) []byte { return sig[:len(sig)-1] },
					"half of it":              func(sig []byte) []byte { return sig[:len(sig)/2] },
					"twice":                   func(sig []byte) []byte { return append(bytes.Clone(sig), sig...) },
					"empty":                   func([]byte) []byte { return []byte{} },
					"nothing":                 func([]byte) []byte { return nil },
					"zeros":                   func(sig []byte) []byte { return make([]byte, len(sig)) },
					"what nobody can hold":    func([]byte) []byte { return bytes.Repeat([]byte{0x30}, 1<<20) },
					"the message":             func([]byte) []byte { return message },
					"an empty sequence of it": func([]byte) []byte { return []byte{0x30, 0} },
				} {
					faults.Clear()
					faults.Inject(gives(change))
					var wrong *hsm.SignatureError
					sig, err := signer.SignMessage(nil, message, s.opts)
					if sig != nil || !errors.As(err, &wrong) || wrong.Key.Label != "signer" {
						t.Errorf("%s, %s: %x, %v", s.name, lie, sig, err)
					}
					if n := faults.Count("C_Sign"); n != 1 {
						t.Errorf("%s, %s: signed %d times", s.name, lie, n)
					}
				}
				faults.Clear()
				faults.Inject(gives(func(sig []byte) []byte { sig[0] ^= 1; was = bytes.Clone(sig); return sig }))
				if _, err := signer.SignMessage(nil, message, s.opts); err == nil ||
					strings.Contains(err.Error(), hex.EncodeToString(was)) {
					t.Errorf("%s: the error has the signature: %v", s.name, err)
				}
				faults.Clear()
				if sig, err := signer.SignMessage(nil, message, s.opts); err != nil ||
					!verifies(made.PublicKey, s.opts, message, sig) {
					t.Errorf("%s, after the lies: %v", s.name, err)
				}
			}
		})
	}
}

// TestALiarBehindTheModule lies about C_Sign in C: of lengths that are none, and buffers that are not written.
func TestALiarBehindTheModule(t *testing.T) {
	onSoftHSM(t)
	for name, kind := range map[string]kind{"RSA": kindNamed("RSA"), "Ed25519": kindNamed("Ed25519"),
		"P-256": kindNamed("P-256")} {
		k := hsmtest.New(t)
		liar := cryptokitest.NewLiar(t, k.Library, false)
		made := generate(t, open(t, k), kind.template("a", "a"))
		c := k.Config()
		c.Library = liar.Path
		signer, message := signerOf(t, openConfig(t, c), made.PublicKey), []byte("m")
		opts := signaturesOf(made.PublicKey)[0].opts
		for _, l := range []cryptokitest.Lie{
			{Kind: cryptokitest.Nothing}, {Kind: cryptokitest.Length, Number: 0},
			{Kind: cryptokitest.Length, Number: 1 << 31},
			{Kind: cryptokitest.Length, Number: 63}, {Kind: cryptokitest.Length, Number: 144},
			{Kind: cryptokitest.Length, Number: ^uint(0)},
			{Kind: cryptokitest.Write, Number: 64}, {Kind: cryptokitest.Write, Number: 128},
			{Kind: cryptokitest.Write, Number: 1 << 13},
			{Kind: cryptokitest.Small, Number: 64}, {Kind: cryptokitest.Small, Number: 1 << 40},
			{Kind: cryptokitest.Code, Number: uint(cryptoki.CKR_GENERAL_ERROR)},
		} {
			l.Function = "C_Sign"
			liar.Tell(t, l)
			if sig, err := signer.SignMessage(nil, message, opts); err == nil || sig != nil {
				t.Errorf("%s: %s %d: %x, %v", name, l.Kind, l.Number, sig, err)
			}
			liar.Repent(t)
			if sig, err := signer.SignMessage(nil, message, opts); err != nil ||
				!verifies(made.PublicKey, opts, message, sig) {
				t.Errorf("%s: after %s %d: %v", name, l.Kind, l.Number, err)
			}
		}
	}
}

// TestSessionsAreLostBehindASigner at each call of a signature, before and after it: the signature is made.
func TestSessionsAreLostBehindASigner(t *testing.T) {
	for _, name := range []string{"RSA", "P-256", "Ed25519"} {
		kind := kindNamed(name)
		kind.needs(t)
		k := hsmtest.New(t)
		made := generate(t, open(t, k), kind.template("a", "a"))
		opts, message := signaturesOf(made.PublicKey)[0].opts, []byte("m")
		for nth := 1; nth <= 3; nth++ {
			for _, after := range []bool{false, true} {
				token, faults, lose := lossy(t, k)
				signer := signerOf(t, token, made.PublicKey)
				if _, err := signer.SignMessage(nil, message, opts); err != nil {
					t.Fatal(err)
				}
				faults.Clear()
				lose(nth, after)
				sig, err := signer.SignMessage(nil, message, opts)
				if err != nil || !verifies(made.PublicKey, opts, message, sig) || faults.Injected() != 1 {
					t.Errorf("%s: lost at call %d, after it: %t: %v, by the calls %v", name, nth, after, err,
						faults.Calls())
				}
			}
		}
	}
}

// TestManySignAtATime with one signer and with several.
func TestManySignAtATime(t *testing.T) {
	hsmtest.Needs(t, hsmtest.TwoSessions)
	k := hsmtest.New(t)
	made := generate(t, open(t, k), small("a", "a"))
	token := openHooked(t, k)
	shared := signerOf(t, token, made.PublicKey)
	var wait sync.WaitGroup
	var good atomic.Int64
	for i := range 8 {
		wait.Go(func() {
			signer := shared
			if i%2 == 0 {
				var err error
				if signer, err = token.Signer(context.Background(), made.PublicKey); err != nil {
					t.Error(err)
					return
				}
			}
			for j := range 10 {
				message := fmt.Append(nil, "message ", i, j)
				for _, s := range signaturesOf(made.PublicKey)[:2] {
					sig, err := signer.SignMessage(nil, message, s.opts)
					if err != nil || !verifies(made.PublicKey, s.opts, message, sig) {
						t.Errorf("%s: %v", s.name, err)
						return
					}
					good.Add(1)
				}
			}
		})
	}
	wait.Wait()
	if good.Load() != 160 {
		t.Errorf("%d signatures", good.Load())
	}
}

// TestASignatureThatFailsIsMadeOnceMore where the token failed, and not where it refused.
func TestASignatureThatFailsIsMadeOnceMore(t *testing.T) {
	onSoftHSM(t)
	k, faults := hsmtest.New(t), &hsmtest.Faults{}
	made := generate(t, open(t, k), small("a", "a"))
	signer := signerOf(t, openHooked(t, k, faults.Hook), made.PublicKey)
	for _, function := range []string{"C_SignInit", "C_Sign"} {
		for _, c := range []struct {
			code   cryptoki.RV
			always bool
			tries  int // calls of the function until it ends
		}{
			{cryptoki.CKR_DEVICE_ERROR, false, 2}, {cryptoki.CKR_DEVICE_ERROR, true, 2},
			{cryptoki.CKR_SESSION_HANDLE_INVALID, false, 2}, {cryptoki.CKR_USER_NOT_LOGGED_IN, false, 2},
			{cryptoki.CKR_USER_NOT_LOGGED_IN, true, 2}, {cryptoki.CKR_GENERAL_ERROR, true, 2},
		} {
			faults.Clear()
			fault := hsmtest.Fault{Function: function, Nth: 1, Code: c.code}
			if c.always {
				fault.Nth = 0
			}
			faults.Inject(fault)
			sig, err := signer.SignMessage(nil, []byte("m"), crypto.SHA256)
			if n := faults.Count(function); n != c.tries || c.always != errors.Is(err, c.code) ||
				!c.always && err != nil {
				t.Errorf("%s, %s: %d tries, %x, %v", function, c.code, n, sig, err)
			}
		}
	}
	faults.Clear()
	if _, err := signer.SignMessage(nil, []byte("m"), crypto.SHA256); err != nil {
		t.Errorf("after the failures: %v", err)
	}
}

// TestASignerEndsWithItsContext: nothing is signed after that.
func TestASignerEndsWithItsContext(t *testing.T) {
	onSoftHSM(t)
	k, faults := hsmtest.New(t), &hsmtest.Faults{}
	token := openHooked(t, k, faults.Hook)
	made := generate(t, token, small("a", "a"))
	ctx, cancel := context.WithCancel(context.Background())
	signer, err := token.Signer(ctx, made.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	faults.Clear()
	if sig, err := signer.SignMessage(nil, []byte("m"), crypto.SHA256); !errors.Is(err, context.Canceled) ||
		sig != nil || faults.Count("C_Sign") > 0 {
		t.Errorf("signed after its end: %v", err)
	}
}

// eachUse makes a pair that wants the PIN for each use, of another program.
func eachUse(t *testing.T, k *hsmtest.Token, kind string) {
	t.Helper()
	k.Tool(t, "--keypairgen", "--key-type", kind, "--id", "01", "--label", "always", "--usage-sign", "--always-auth")
}

// alwaysAuth opens a token of a pair of eachUse, and gives its signer.
func alwaysAuth(t *testing.T, k *hsmtest.Token, hooks ...cryptoki.Hook) *hsm.Signer {
	t.Helper()
	token := openHooked(t, k, hooks...)
	key, err := token.Key(t.Context(), object.Ref{ID: []byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	if key.AlwaysAuthenticate == nil || !*key.AlwaysAuthenticate {
		t.Fatal("the pair wants no PIN for each use")
	}
	return signerOf(t, token, key.PublicKey)
}

// contextLogins are the calls of C_Login for one use of a key.
type contextLogins struct{ n atomic.Int64 }

func (l *contextLogins) hook(code cryptoki.RV) cryptoki.Hook {
	return func(_ context.Context, c *cryptoki.Call, next func() error) error {
		if c.Function != "C_Login" || c.User != cryptoki.CKU_CONTEXT_SPECIFIC {
			return next()
		}
		l.n.Add(1)
		if code != 0 {
			return &cryptoki.Error{Function: c.Function, Code: code}
		}
		return next()
	}
}

// TestAPINForEachUse: the token itself wants it, between the two calls of each signature.
func TestAPINForEachUse(t *testing.T) {
	onSoftHSM(t)
	for _, kind := range []string{"rsa:2048", "EC:prime256v1"} {
		k, faults, logins := hsmtest.New(t), &hsmtest.Faults{}, &contextLogins{}
		eachUse(t, k, kind)
		signer := alwaysAuth(t, k, faults.Hook, logins.hook(0))
		if logins.n.Load() > 0 || faults.Count("C_SignInit") > 0 {
			t.Errorf("a PIN was sent for a proof")
		}
		signs(t, signer)
		want := 2 * len(signaturesOf(signer.Public()))
		if n := logins.n.Load(); int(n) != want {
			t.Errorf("%d logins for %d signatures", n, want)
		}
		calls := slices.DeleteFunc(faults.Calls(), func(c string) bool { return c == "C_GetMechanismInfo" })
		last := calls[len(calls)-5:]
		if !slices.Equal(last, []string{"C_GetAttributeValue", "C_SignInit", "C_GetTokenInfo", "C_Login", "C_Sign"}) {
			t.Errorf("a signature makes the calls %v", last)
		}
	}
}

// TestSoftHSMWantsThePINForEachUse: without the login, the token signs nothing, so that the test above can fail.
func TestSoftHSMWantsThePINForEachUse(t *testing.T) {
	onSoftHSM(t)
	k := hsmtest.New(t)
	eachUse(t, k, "EC:prime256v1")
	signer := alwaysAuth(t, k, func(_ context.Context, c *cryptoki.Call, next func() error) error {
		if c.Function == "C_Login" && c.User == cryptoki.CKU_CONTEXT_SPECIFIC {
			return nil // nobody logs in
		}
		return next()
	})
	sig, err := signer.SignMessage(nil, []byte("m"), crypto.SHA256)
	if !errors.Is(err, cryptoki.CKR_USER_NOT_LOGGED_IN) || sig != nil {
		t.Errorf("signed: %v", err)
	}
}

// TestARefusedPINForEachUseIsNeverSentAgain, neither for a key nor for a session.
func TestARefusedPINForEachUseIsNeverSentAgain(t *testing.T) {
	onSoftHSM(t)
	for name, c := range map[string]struct {
		code  cryptoki.RV
		want  error
		sends int64 // in three signatures
	}{
		"refused":   {cryptoki.CKR_PIN_INCORRECT, hsm.ErrPINIncorrect, 1},
		"locked":    {cryptoki.CKR_PIN_LOCKED, hsm.ErrPINLocked, 1},
		"failing":   {cryptoki.CKR_GENERAL_ERROR, cryptoki.CKR_GENERAL_ERROR, 2},
		"no login":  {cryptoki.CKR_FUNCTION_NOT_SUPPORTED, cryptoki.CKR_FUNCTION_NOT_SUPPORTED, 2}, // of no mechanism
		"unfit":     {cryptoki.CKR_ARGUMENTS_BAD, cryptoki.CKR_ARGUMENTS_BAD, 2},
		"no user":   {cryptoki.CKR_USER_TYPE_INVALID, nil, 3},
		"not begun": {cryptoki.CKR_OPERATION_NOT_INITIALIZED, nil, 3},
	} {
		t.Run(name, func(t *testing.T) {
			k, logins, faults := hsmtest.New(t), &contextLogins{}, &hsmtest.Faults{}
			k.Spoil()
			eachUse(t, k, "EC:prime256v1")
			signer := alwaysAuth(t, k, logins.hook(c.code), faults.Hook)
			for range 3 {
				sig, err := signer.SignMessage(nil, []byte("m"), crypto.SHA256)
				var cannot *hsm.CannotSignError
				if sig != nil || c.want != nil && !errors.Is(err, c.want) || c.want == nil && !errors.As(err, &cannot) {
					t.Errorf("got %v", err)
				}
				if err != nil && strings.Contains(err.Error(), k.PIN) {
					t.Error("the error has the PIN")
				}
			}
			if n := logins.n.Load(); n != c.sends {
				t.Errorf("the PIN was sent %d times", n)
			}
			if c.want == hsm.ErrPINIncorrect { //nolint:errorlint // the table's own value
				faults.Clear()
				_, err := openHooked(t, k, faults.Hook).Key(t.Context(), object.Ref{ID: []byte{2}})
				if faults.Count("C_Login") > 0 {
					t.Errorf("the PIN was sent for a session after that: %v", err)
				}
			}
		})
	}
}

// TestAPINThatWasNotSentIsNotRefused: the context ends while C_Login waits, as behind the gate, and so for two signers.
// The third one sends the PIN, and signs.
func TestAPINThatWasNotSentIsNotRefused(t *testing.T) {
	onSoftHSM(t)
	k := hsmtest.New(t)
	eachUse(t, k, "EC:prime256v1")
	var end atomic.Pointer[context.CancelFunc]
	waiting := func(ctx context.Context, c *cryptoki.Call, next func() error) error {
		cancel := end.Load()
		if c.Function != "C_Login" || c.User != cryptoki.CKU_CONTEXT_SPECIFIC || cancel == nil || !c.Wait() {
			return next()
		}
		(*cancel)()
		return c.NotCalled(ctx)
	}
	token := openHooked(t, k, waiting)
	key, err := token.Key(t.Context(), object.Ref{ID: []byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		signer, err := token.Signer(ctx, key.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		end.Store(&cancel)
		if sig, err := signer.SignMessage(nil, []byte("m"), crypto.SHA256); !errors.Is(err, context.Canceled) ||
			sig != nil {
			t.Errorf("signed without the PIN: %v", err)
		}
		end.Store(nil)
	}
	signs(t, signerOf(t, token, key.PublicKey))
}

// TestWhatIsNotSaidOfAWayIsNotKept: the same signer signs as soon as the token does, by the mechanism that comes first.
func TestWhatIsNotSaidOfAWayIsNotKept(t *testing.T) {
	onSoftHSM(t)
	long, short := make([]byte, 2000), []byte("m")
	always := func(function string, code cryptoki.RV, when func(*cryptoki.Call) bool) hsmtest.Fault {
		return hsmtest.Fault{Function: function, Do: refuses(function, code, when)}
	}
	any := func(*cryptoki.Call) bool { return true }
	for name, c := range hsmtest.InOrder(map[string]struct {
		kind  string
		fault hsmtest.Fault
		first []byte
		signs bool // the first message too
	}{
		"the private half is not read": {"P-256",
			always("C_GetAttributeValue", cryptoki.CKR_FUNCTION_NOT_SUPPORTED, any), short, false},
		"the message is too long for the token": {"Ed25519", always("C_Sign", cryptoki.CKR_DATA_LEN_RANGE,
			func(c *cryptoki.Call) bool { return len(c.Data) > 1000 }), long, false},
		"the session has lost its login": {"P-256", hsmtest.Fault{Function: "C_SignInit", Nth: 1,
			Do: func(ctx context.Context, c *cryptoki.Call, _ func() error) error {
				return cmp.Or(c.Behind().Logout(ctx),
					error(&cryptoki.Error{Function: c.Function, Code: cryptoki.CKR_KEY_FUNCTION_NOT_PERMITTED}))
			}}, short, true},
	}) {
		t.Run(name, func(t *testing.T) {
			k, faults := hsmtest.New(t), &hsmtest.Faults{}
			made := generate(t, open(t, k), kindNamed(c.kind).template("a", "a"))
			opts, by := crypto.SignerOpts(crypto.SHA256), cryptoki.CKM_ECDSA
			if c.kind == "Ed25519" {
				opts, by = crypto.Hash(0), cryptoki.CKM_EDDSA
			}
			var last atomic.Int64
			signer := signerOf(t,
				openHooked(t, k, faults.Hook, func(_ context.Context, call *cryptoki.Call, next func() error) error {
					if call.Function == "C_SignInit" {
						last.Store(int64(call.Mechanism))
					}
					return next()
				}), made.PublicKey)
			faults.Inject(c.fault)
			if sig, err := signer.SignMessage(nil, c.first, opts); (err == nil) != c.signs || (sig != nil) != c.signs {
				t.Errorf("the first signature: %x, %v", sig, err)
			}
			if faults.Injected() == 0 {
				t.Error("nothing was refused")
			}
			faults.Clear()
			if c.kind == "Ed25519" {
				faults.Inject(c.fault)
			}
			sig, err := signer.Sign(nil, digestOf(opts.HashFunc(), short), opts)
			if err != nil || !verifies(made.PublicKey, opts, short, sig) || cryptoki.MechanismType(last.Load()) != by {
				t.Errorf("after that: by %s, %v", cryptoki.MechanismType(last.Load()), err)
			}
		})
	}
}

// TestNoPINForEachUseWhereOneMoreWouldLock: the token's flags are looked at before each.
func TestNoPINForEachUseWhereOneMoreWouldLock(t *testing.T) {
	onSoftHSM(t)
	k, logins := hsmtest.New(t), &contextLogins{}
	eachUse(t, k, "EC:prime256v1")
	var final atomic.Bool
	signer := alwaysAuth(t, k, logins.hook(0), func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if info, ok := c.Result.(*cryptoki.TokenInfo); ok && final.Load() {
			info.Flags |= cryptoki.CKF_USER_PIN_FINAL_TRY
		}
		return err
	})
	if _, err := signer.SignMessage(nil, []byte("m"), crypto.SHA256); err != nil {
		t.Fatal(err)
	}
	final.Store(true)
	if _, err := signer.SignMessage(nil, []byte("m"), crypto.SHA256); !errors.Is(err, hsm.ErrPINFinalTry) ||
		logins.n.Load() != 1 {
		t.Errorf("%d logins, %v", logins.n.Load(), err)
	}
	final.Store(false)
	if _, err := signer.SignMessage(nil, []byte("m"), crypto.SHA256); err != nil {
		t.Errorf("after the right PIN was given elsewhere: %v", err)
	}
}

// TestAPairThatNothingProvesSigns where its signature verifies, and not where its public half is another key's.
func TestAPairThatNothingProvesSigns(t *testing.T) {
	onSoftHSM(t)
	k := hsmtest.New(t)
	stranger := hsmtest.NewStranger(t, k)
	eachUse(t, k, "EC:prime256v1")
	signs(t, alwaysAuth(t, k))
	stranger.SwapsPublicHalf(t, hsmtest.StrangerP256, "always", "01")
	var wrong *hsm.SignatureError
	if sig, err := alwaysAuth(t, k).SignMessage(nil, []byte("m"), crypto.SHA256); !errors.As(err, &wrong) ||
		sig != nil {
		t.Errorf("with the stranger's public half: %v", err)
	}
}

// TestRandom gives as many bytes as were asked for, and never the same.
func TestRandom(t *testing.T) {
	k, faults := hsmtest.New(t), &hsmtest.Faults{}
	token := openHooked(t, k, faults.Hook)
	seen := map[string]bool{}
	for _, n := range []int{1, 7, 8, 16, 32, 32, 32, 1000, hsm.MaxRandom} {
		random, err := token.Random(t.Context(), n)
		if err != nil || len(random) != n || n >= 16 && seen[string(random)] {
			t.Fatalf("%d bytes: %x, %v", n, random, err)
		}
		seen[string(random)] = true
	}
	for _, n := range []int{-1, 0, hsm.MaxRandom + 1} {
		if random, err := token.Random(t.Context(), n); err == nil || random != nil {
			t.Errorf("%d bytes: %x", n, random)
		}
	}
	for _, c := range []struct {
		code   cryptoki.RV
		always bool
		tries  int
		none   bool
	}{
		{cryptoki.CKR_DEVICE_ERROR, false, 2, false}, {cryptoki.CKR_DEVICE_ERROR, true, 2, false},
		{cryptoki.CKR_SESSION_CLOSED, false, 2, false},
		{cryptoki.CKR_RANDOM_NO_RNG, true, 1, true}, {cryptoki.CKR_FUNCTION_NOT_SUPPORTED, true, 1, true},
	} {
		faults.Clear()
		fault := hsmtest.Fault{Function: "C_GenerateRandom", Nth: 1, Code: c.code}
		if c.always {
			fault.Nth = 0
		}
		faults.Inject(fault)
		random, err := token.Random(t.Context(), 32)
		var none *hsm.NoGeneratorError
		if c.always == (err == nil) || c.always != errors.Is(err, c.code) || c.none != errors.As(err, &none) ||
			(random == nil) != c.always ||
			faults.Count("C_GenerateRandom") != c.tries {
			t.Errorf("%s: %x, %v, %d calls", c.code, random, err, faults.Count("C_GenerateRandom"))
		}
	}
	faults.Clear()
	short := gives(func(b []byte) []byte { return b[:len(b)-1] })
	short.Function = "C_GenerateRandom"
	faults.Inject(short)
	var answer *cryptoki.AnswerError
	if random, err := token.Random(t.Context(), 32); !errors.As(err, &answer) || random != nil {
		t.Errorf("a byte too few: %x, %v", random, err)
	}
}

// TestATokenWithoutAGenerator says so by its flags, and is not asked.
func TestATokenWithoutAGenerator(t *testing.T) {
	k, faults := hsmtest.New(t), &hsmtest.Faults{}
	token := openHooked(t, k, faults.Hook, func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if info, ok := c.Result.(*cryptoki.TokenInfo); ok {
			info.Flags &^= cryptoki.CKF_RNG
		}
		return err
	})
	var none *hsm.NoGeneratorError
	if random, err := token.Random(t.Context(), 32); !errors.As(err, &none) || random != nil ||
		faults.Count("C_GenerateRandom") > 0 {
		t.Errorf("%x, %v", random, err)
	}
}

// TestWhatCrashesTheModuleIsNotCalled: neither a signature nor a proof tries it, and PSS is made in the other way.
func TestWhatCrashesTheModuleIsNotCalled(t *testing.T) {
	onSoftHSM(t)
	calls := map[cryptoki.MechanismType]int{}
	refuse := []cryptoki.MechanismType{cryptoki.CKM_RSA_PKCS, cryptoki.CKM_SHA256_RSA_PKCS}
	token := openMadeUp(t, hsmtest.New(t), quirk.Differences{Unusable: []cryptoki.MechanismType{cryptoki.CKM_RSA_PKCS_PSS}},
		func(_ context.Context, c *cryptoki.Call, next func() error) error {
			if c.Function == "C_SignInit" {
				if calls[c.Mechanism]++; slices.Contains(refuse, c.Mechanism) { // so that the proof comes to PSS
					return &cryptoki.Error{Function: c.Function, Code: cryptoki.CKR_MECHANISM_INVALID}
				}
			}
			return next()
		})
	signer := signerOf(t, token, generate(t, token, small("a", "a")).PublicKey)
	if calls[cryptoki.CKM_RSA_PKCS] == 0 {
		t.Error("nothing was proven")
	}
	options, message := &rsa.PSSOptions{Hash: crypto.SHA256}, []byte("what is signed")
	digest := sha256.Sum256(message)
	sig, err := signer.SignMessage(nil, message, options)
	if err != nil || !verifies(signer.Public(), options, message, sig) || calls[cryptoki.CKM_SHA256_RSA_PKCS_PSS] == 0 {
		t.Errorf("a message: %v", err)
	}
	var cannot *hsm.CannotSignError
	if _, err := signer.Sign(nil, digest[:], options); !errors.As(err, &cannot) {
		t.Errorf("a digest: %v", err)
	}
	if calls[cryptoki.CKM_RSA_PKCS_PSS] > 0 {
		t.Errorf("it was called: %v", calls)
	}
}

// TestVendorsEdDSASigns by the make's mechanism.
func TestVendorsEdDSASigns(t *testing.T) {
	onSoftHSM(t)
	const vendors cryptoki.MechanismType = 0x8001001C
	token := openMadeUp(t, hsmtest.New(t), quirk.Differences{EdDSA: vendors},
		func(_ context.Context, c *cryptoki.Call, next func() error) error {
			if c.Function != "C_SignInit" && c.Function != "C_GetMechanismInfo" {
				return next()
			}
			switch c.Mechanism {
			case cryptoki.CKM_EDDSA:
				return &cryptoki.Error{Function: c.Function, Code: cryptoki.CKR_MECHANISM_INVALID}
			case vendors:
				c.Mechanism = cryptoki.CKM_EDDSA
			}
			return next()
		})
	signs(t, signerOf(t, token, generate(t, token, kindNamed("Ed25519").template("a", "a")).PublicKey))
}
