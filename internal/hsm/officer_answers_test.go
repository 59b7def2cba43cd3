package hsm_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// What a token answers to the security officer, and what is made of it: makes that SoftHSM plays, and calls that fail.

// answers has a function answer a code, before the call or after it took effect; code 0: that all went well.
func answers(function string, code cryptoki.RV, after bool) cryptoki.Hook {
	return func(_ context.Context, c *cryptoki.Call, next func() error) error {
		if c.Function != function {
			return next()
		}
		if after {
			if err := next(); err != nil {
				return err
			}
		}
		if code == 0 {
			return nil
		}
		return &cryptoki.Error{Function: function, Code: code}
	}
}

func stands(err error) hsm.Standing {
	if failed, ok := errors.AsType[*hsm.StandingError](err); ok {
		return failed.Stands
	}
	return -1
}

// TestATokenWithoutASecurityOfficer plays NSS: a token has its label before it is initialised, anybody gives its user a
// PIN, once, and nothing else is done to it.
func TestATokenWithoutASecurityOfficer(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		b.Add(t, "ours")
		ctx, ref, count, set := context.Background(), hsm.TokenRef{Label: "ours"}, &counts{}, false
		play := func(_ context.Context, c *cryptoki.Call, next func() error) error {
			switch {
			case c.Function == "C_Login" && c.User == cryptoki.CKU_SO:
				return nil
			case c.Function == "C_InitPIN":
				set = true
				return nil
			}
			err := next()
			if info, ok := c.Result.(*cryptoki.TokenInfo); ok && !set {
				info.Flags &^= cryptoki.CKF_TOKEN_INITIALIZED | cryptoki.CKF_USER_PIN_INITIALIZED
				if info.Label != "ours" {
					info.Flags |= cryptoki.CKF_TOKEN_INITIALIZED
				}
			}
			return err
		}
		config := b.Config(append([]cryptoki.Hook{play, as("Mozilla Foundation")}, count.hooks()...)...)
		s := hsm.Setup{Label: "theirs", PIN: hsm.NewPIN(b.PIN)}
		_, err := hsm.SiteOf(ctx, config, s)
		if fixed, ok := errors.AsType[*hsm.FixedLabelError](err); !ok || fixed.Token.Label != "ours" {
			t.Errorf("another label: %v", err)
		}
		s.Label = "ours"
		site, err := hsm.SiteOf(ctx, config, s)
		if err != nil || site.State != hsm.SiteBlank || site.AsksOfficer || !site.AsksUser {
			t.Errorf("got %+v, %v", site, err)
		}
		for range 2 { // the second time, it is there
			if _, err := hsm.Initialize(ctx, config, s); err != nil {
				t.Error(err)
			}
		}
		if count.calls["C_InitToken"] > 0 || count.calls["C_InitPIN"] != 1 || count.logins[cryptoki.CKU_SO] != 1 {
			t.Errorf("after the calls %v", count.calls)
		}
		pin := hsm.NewPIN(b.PIN)
		for name, err := range map[string]error{
			"a new PIN":    hsm.SetUserPIN(ctx, config, ref, hsm.PIN{}, pin),
			"a new SO PIN": hsm.SetOfficerPIN(ctx, config, ref, hsm.PIN{}, pin),
			"the erasure":  hsm.Erase(ctx, config, ref, hsm.PIN{}, true),
		} {
			if !errors.Is(err, hsm.ErrNoOfficer) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if set = false; hsm.SetUserPIN(ctx, b.Config(play, initialised, as("Mozilla Foundation")), ref, hsm.PIN{},
			pin) != nil || !set {
			t.Error("its user has no PIN, and gets none")
		}
	})
}

// initialised has every token say that it is.
func initialised(_ context.Context, c *cryptoki.Call, next func() error) error {
	err := next()
	if info, ok := c.Result.(*cryptoki.TokenInfo); ok && err == nil {
		info.Flags |= cryptoki.CKF_TOKEN_INITIALIZED
	}
	return err
}

// TestWhatAMakeDoesNotDo plays openCryptoki and tpm2-pkcs11, whose tokens are not erased, and which comes with an SO
// PIN that is nobody's secret.
func TestWhatAMakeDoesNotDo(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		withPair(t, b.Add(t, "ours"))
		ctx, count := context.Background(), &counts{}
		config := b.Config(append(count.hooks(), as("IBM"))...)
		err := hsm.Erase(ctx, config, hsm.TokenRef{Label: "ours"}, hsm.NewPIN(b.SOPIN), true)
		if !errors.Is(err, hsm.ErrNoErasure) || stands(err) != hsm.StandsUntouched {
			t.Errorf("the erasure: %v", err)
		}
		s := setup(b, "new")
		s.OfficerPIN = hsm.NewPIN("87654321")
		_, plan := hsm.SiteOf(ctx, config, s)
		_, err = hsm.Initialize(ctx, config, s)
		for _, err := range []error{plan, err} {
			if !errors.Is(err, hsm.ErrPINUnfit) {
				t.Errorf("the SO PIN that it comes with: %v", err)
			}
		}
		if len(count.logins) > 0 || count.calls["C_InitToken"] > 0 {
			t.Errorf("after the calls %v", count.calls)
		}
	})
}

// TestWhatCInitTokenLeft has C_InitToken answer this and that, for a new token. No PIN is set on what it left.
func TestWhatCInitTokenLeft(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		failed := &cryptoki.Error{Code: cryptoki.CKR_DEVICE_ERROR}
		for name, c := range map[string]struct {
			hooks  []cryptoki.Hook
			stands hsm.Standing
			says   string
		}{
			"nothing, and says so": {
				[]cryptoki.Hook{answers("C_InitToken", failed.Code, false)}, hsm.StandsUntouched, "CKR_DEVICE_ERROR",
			},
			"nothing, and says that all went well": {
				[]cryptoki.Hook{answers("C_InitToken", 0, false)}, hsm.StandsUntouched,
				"says that it was initialised (C_InitToken), and does not show it",
			},
			"a token, and says that it failed": {
				[]cryptoki.Hook{answers("C_InitToken", failed.Code, true)}, hsm.StandsInitialized, "CKR_DEVICE_ERROR",
			},
			"a token of another label": {
				[]cryptoki.Hook{answers("C_InitToken", 0, false), afterwards("C_InitToken", flags("",
					cryptoki.CKF_TOKEN_INITIALIZED, 0))},
				hsm.StandsPerhapsInitialized, "",
			},
			"a token that no longer answers": {
				[]cryptoki.Hook{afterwards("C_InitToken", answers("C_GetTokenInfo", failed.Code, false))},
				hsm.StandsPerhapsInitialized, "CKR_DEVICE_ERROR",
			},
		} {
			count := &counts{}
			_, err := hsm.Initialize(context.Background(), b.Config(append(c.hooks, count.hooks()...)...), setup(b,
				name))
			if stands(err) != c.stands || !strings.Contains(err.Error(), c.says) || count.calls["C_InitToken"] != 1 ||
				len(count.logins) > 0 {
				t.Errorf("%s: after the calls %v: %v", name, count.calls, err)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		faults := &hsmtest.Faults{}
		faults.Inject(hsmtest.Fault{Function: "C_InitToken", Do: never(cancel, true)})
		if _, err := hsm.Initialize(ctx, b.Config(faults.Hook), setup(b,
			"hangs")); stands(err) != hsm.StandsInitialized {
			t.Errorf("a token, and does not return: %v", err)
		}
		_, err := hsm.Initialize(context.Background(), b.Config(answers("C_InitPIN", failed.Code, false)), setup(b,
			"no PIN"))
		if !errors.Is(err, failed.Code) || stands(err) != hsm.StandsInitialized {
			t.Errorf("no user PIN: %v", err)
		}
	})
}

// afterwards has a hook in force once a function was called.
func afterwards(function string, hook cryptoki.Hook) cryptoki.Hook {
	called := false
	return func(ctx context.Context, c *cryptoki.Call, next func() error) error {
		if !called {
			called = c.Function == function
			return next()
		}
		return hook(ctx, c, next)
	}
}

// TestWhatAnErasureLeft has C_InitToken fail for a token with a key. That it did nothing is believed where the code
// says so, and the token does, too.
func TestWhatAnErasureLeft(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		const refused, failed = cryptoki.CKR_FUNCTION_NOT_SUPPORTED, cryptoki.CKR_DEVICE_ERROR
		for name, c := range map[string]struct {
			hooks  []cryptoki.Hook
			stands hsm.Standing
		}{
			"refused":           {[]cryptoki.Hook{answers("C_InitToken", refused, false)}, hsm.StandsUntouched},
			"failed":            {[]cryptoki.Hook{answers("C_InitToken", failed, false)}, hsm.StandsPerhapsErased},
			"refused, and done": {[]cryptoki.Hook{answers("C_InitToken", refused, true)}, hsm.StandsPerhapsErased},
			"refused, and not to be seen": {[]cryptoki.Hook{
				answers("C_InitToken", refused, false), afterwards("C_InitToken", answers("C_GetTokenInfo", failed,
					false)),
			}, hsm.StandsPerhapsErased},
		} {
			label := fmt.Sprint("ours ", len(b.Folders(t))) // pkcs11-tool takes a label that begins so for the same one
			withPair(t, b.Add(t, label))
			err := hsm.Erase(context.Background(), b.Config(c.hooks...), hsm.TokenRef{Label: label},
				hsm.NewPIN(b.SOPIN), true)
			if stands(err) != c.stands {
				t.Errorf("%s: %v", name, err)
			}
		}
		withoutPIN(t, b, "no PIN")
		unseen := []cryptoki.Hook{
			answers("C_InitToken", refused, false), afterwards("C_InitToken", answers("C_GetTokenInfo", failed, false)),
		}
		err := hsm.Erase(context.Background(), b.Config(unseen...), hsm.TokenRef{Label: "no PIN"},
			hsm.NewPIN(b.SOPIN), true)
		if stands(err) != hsm.StandsPerhapsErased {
			t.Errorf("refused, without a user PIN, and not to be seen: %v", err)
		}
		b.Add(t, "open")
		hook := answers("C_CloseSession", failed, false) // what is left open is closed with all others
		if err := hsm.Erase(context.Background(), b.Config(hook), hsm.TokenRef{Label: "open"}, hsm.NewPIN(b.SOPIN),
			false); err != nil {
			t.Errorf("with a session that is left: %v", err)
		}
	})
}

// TestWhatCannotBeSeenIsNotTaken has looks at a token fail: it is neither gone on with nor erased.
func TestWhatCannotBeSeenIsNotTaken(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		ctx := context.Background()
		hidden := func(k *hsmtest.Token) {
			k.Tool(t, "--keygen", "--key-type", "AES:16", "--private", "--label", "hidden", "--id", "01")
		}
		hidden(b.Add(t, "whole"))
		hsmtest.NewStranger(t, withoutPIN(t, b, "begun")).MakesPublicHalf(t, hsmtest.StrangerP256, "x", "01")
		withoutPIN(t, b, "empty")
		before := len(b.Objects(t))
		for _, c := range []struct{ label, function string }{
			{"whole", "C_GetAttributeValue"}, {"begun", "C_GetAttributeValue"}, {"begun", "C_FindObjectsInit"},
			{"empty", "C_FindObjectsInit"},
		} {
			count := &counts{}
			hooks := []cryptoki.Hook{answers(c.function, cryptoki.CKR_DEVICE_ERROR, false)}
			config := b.Config(append(hooks, count.hooks()...)...)
			_, err := hsm.Initialize(ctx, config, setup(b, c.label))
			if !isTaken(err) || !errors.Is(err, cryptoki.CKR_DEVICE_ERROR) || count.logins[cryptoki.CKU_SO] > 0 {
				t.Errorf("%s: %s: after the calls %v: %v", c.label, c.function, count.calls, err)
			}
			err = hsm.Erase(ctx, config, hsm.TokenRef{Label: c.label}, hsm.NewPIN(b.SOPIN), false)
			if full := (*hsm.ErasureError)(nil); !errors.As(err, &full) || !errors.Is(err, cryptoki.CKR_DEVICE_ERROR) ||
				count.calls["C_InitToken"] > 0 {
				t.Errorf("%s is erased: %s: after the calls %v: %v", c.label, c.function, count.calls, err)
			}
		}
		if n := len(b.Objects(t)); n != before {
			t.Errorf("of %d objects, there are %d", before, n)
		}
		// Somebody destroys the only object while it is looked at.
		gone := false
		hook := func(_ context.Context, c *cryptoki.Call, next func() error) error {
			if c.Function == "C_GetAttributeValue" && !gone {
				gone = true
				return &cryptoki.Error{Function: c.Function, Code: cryptoki.CKR_OBJECT_HANDLE_INVALID}
			}
			return next()
		}
		if err := hsm.Erase(ctx, b.Config(hook), hsm.TokenRef{Label: "begun"}, hsm.NewPIN(b.SOPIN),
			false); err != nil || !gone {
			t.Errorf("an object that is gone meanwhile: %v", err)
		}
	})
}

// TestAnInitializationIsWaitedFor has one hang, in which the module may be named by a link: nobody else looks for a
// token meanwhile.
func TestAnInitializationIsWaitedFor(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		b.Add(t, "theirs")
		entered, release, made := make(chan bool), make(chan bool), make(chan error)
		faults := &hsmtest.Faults{}
		faults.Inject(hsmtest.Fault{Function: "C_InitToken", Do: func(_ context.Context, _ *cryptoki.Call,
			next func() error) error {
			close(entered)
			<-release
			return next()
		}})
		go func() {
			_, err := hsm.Initialize(context.Background(), b.Config(faults.Hook), setup(b, "ours"))
			made <- err
		}()
		<-entered
		linked := b.Config()
		linked.Library = filepath.Join(t.TempDir(), "libsofthsm2.so")
		if err := os.Symlink(b.Library, linked.Library); err != nil {
			t.Fatal(err)
		}
		ref, officer := hsm.TokenRef{Label: "theirs"}, hsm.NewPIN(b.SOPIN)
		for _, c := range []hsm.Config{b.Config(), linked} {
			for name, run := range map[string]func(context.Context) error{
				"a plan": func(ctx context.Context) error {
					_, err := hsm.SiteOf(ctx, c, setup(b,
						"another"))
					return err
				},
				"another one": func(ctx context.Context) error {
					_, err := hsm.Initialize(ctx, c, setup(b,
						"another"))
					return err
				},
				"a new PIN": func(ctx context.Context) error {
					return hsm.SetUserPIN(ctx, c, ref, officer,
						hsm.NewPIN(b.PIN))
				},
				"the SO's": func(ctx context.Context) error {
					return hsm.SetOfficerPIN(ctx, c, ref, officer,
						officer)
				},
				"an erasure": func(ctx context.Context) error { return hsm.Erase(ctx, c, ref, officer, true) },
			} {
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
				if err := run(ctx); err == nil || !strings.Contains(err.Error(),
					"another token is still being initialised") {
					t.Errorf("%s: %v", name, err)
				}
				cancel()
			}
		}
		close(release)
		if err := <-made; err != nil {
			t.Error(err)
		}
	})
}

// TestTheLocksOfTheSecurityOfficer looks, from another process, whether the lock between processes is held while a PIN
// is set: for a token that is made, that of all who make one, however far it is.
func TestTheLocksOfTheSecurityOfficer(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		withoutPIN(t, b, "begun")
		b.Add(t, "ours")
		held := func(pattern string) bool {
			locks, err := filepath.Glob(filepath.Join(b.Folder, pattern))
			return err == nil && slices.ContainsFunc(locks, func(lock string) bool {
				return exec.Command("flock",
					"-n", lock, "true").Run() != nil
			})
		}
		for name, c := range map[string]struct {
			pattern string
			run     func(hsm.Config) error
		}{
			"a new token": {"terraform-provider-hsm-*.lock",
				func(c hsm.Config) error { return one(hsm.Initialize(context.Background(), c, setup(b, "new"))) }},
			"a token that was begun": {"terraform-provider-hsm-*.lock", func(c hsm.Config) error {
				return one(hsm.Initialize(context.Background(), c, setup(b, "begun")))
			}},
			"a new PIN": {filepath.Join("*", "terraform-provider-hsm.lock"), func(c hsm.Config) error {
				return hsm.SetUserPIN(context.Background(), c, hsm.TokenRef{Label: "ours"}, hsm.NewPIN(b.SOPIN),
					hsm.NewPIN(b.PIN))
			}},
		} {
			asked := false
			err := c.run(b.Config(func(_ context.Context, call *cryptoki.Call, next func() error) error {
				if call.Function == "C_InitPIN" {
					if asked = true; !held(c.pattern) {
						t.Errorf("%s: no lock is held", name)
					}
				}
				return next()
			}))
			if err != nil || !asked || held(c.pattern) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func one(_ hsm.TokenInfo, err error) error { return err }

// TestAPINThatWasRefusedIsTheNewOne gives the user, and the security officer, the very PIN that the token has refused
// in this process.
func TestAPINThatWasRefusedIsTheNewOne(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		k := b.Add(t, "ours")
		ctx, ref, officer := context.Background(), hsm.TokenRef{Label: "ours"}, hsm.NewPIN(b.SOPIN)
		look := func(pin string) error {
			c := k.Config()
			c.PIN = hsm.NewPIN(pin)
			token, err := hsm.Open(ctx, c)
			if err != nil {
				return err
			}
			defer token.Close()
			_, err = token.Inventory(ctx)
			return err
		}
		next := hsmtest.RandomPIN()
		if err := look(next); !errors.Is(err, hsm.ErrPINIncorrect) {
			t.Errorf("the user's, before: %v", err)
		}
		if err := errors.Join(hsm.SetUserPIN(ctx, b.Config(), ref, officer, hsm.NewPIN(next)), look(next)); err != nil {
			t.Errorf("the user's: %v", err)
		}
		other := hsm.NewPIN(hsmtest.RandomPIN())
		if err := hsm.SetOfficerPIN(ctx, b.Config(), ref, other, other); !errors.Is(err, hsm.ErrOfficerPINIncorrect) {
			t.Errorf("the security officer's, before: %v", err)
		}
		if err := hsm.SetOfficerPIN(ctx, b.Config(), ref, officer, other); err != nil {
			t.Errorf("the security officer's: %v", err)
		}
		if err := hsm.SetUserPIN(ctx, b.Config(), ref, other, hsm.NewPIN(next)); err != nil {
			t.Errorf("the new security officer: %v", err)
		}

		// The token is erased, and another program gives its user the PIN that was refused before.
		k = b.Add(t, "erased")
		ref.Label = "erased"
		if err := look(next); !errors.Is(err, hsm.ErrPINIncorrect) {
			t.Errorf("before the erasure: %v", err)
		}
		if err := hsm.Erase(ctx, k.Config(), ref, officer, true); err != nil {
			t.Error(err)
		}
		out, err := exec.Command("pkcs11-tool", "--module", b.Library, "--token-label", "erased", "--login",
			"--login-type", "so",
			"--so-pin", b.SOPIN, "--init-pin", "--new-pin", next).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if err := look(next); err != nil {
			t.Errorf("after the erasure: %v", err)
		}
	})
}

// TestWhatTheSecurityOfficerCalls has it leave the token as it found it, and go on where that is not possible.
func TestWhatTheSecurityOfficerCalls(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		b.Add(t, "ours")
		ctx, ref, officer, pin := context.Background(), hsm.TokenRef{Label: "ours"}, hsm.NewPIN(b.SOPIN),
			hsm.NewPIN(b.PIN)
		count := &counts{}
		if err := hsm.SetOfficerPIN(ctx, b.Config(count.hooks()...), ref, officer, officer); err != nil {
			t.Error(err)
		}
		for function, want := range map[string]int{
			"C_CloseAllSessions": 1, "C_SetPIN": 1, // and a login with the new PIN
			"C_OpenSession": 2, "C_Login": 2, "C_Logout": 2, "C_CloseSession": 2,
		} {
			if n := count.calls[function]; n != want {
				t.Errorf("%s is called %d times", function, n)
			}
		}
		for _, function := range []string{"C_CloseAllSessions", "C_Logout", "C_CloseSession"} {
			hook := answers(function, cryptoki.CKR_DEVICE_ERROR, true)
			if err := hsm.SetUserPIN(ctx, b.Config(hook), ref, officer, pin); err != nil {
				t.Errorf("%s fails: %v", function, err)
			}
		}
		const no = cryptoki.CKR_FUNCTION_NOT_SUPPORTED
		if err := hsm.SetUserPIN(ctx, b.Config(answers("C_InitPIN", no, false)), ref, officer,
			pin); stands(err) != hsm.StandsOldPIN {
			t.Errorf("there is no C_InitPIN: %v", err)
		}
		err := hsm.SetOfficerPIN(ctx, b.Config(answers("C_SetPIN", no, false)), ref, officer, officer)
		if stands(err) != hsm.StandsOldOfficerPIN {
			t.Errorf("there is no C_SetPIN: %v", err)
		}
		for _, code := range []cryptoki.RV{cryptoki.CKR_PIN_INVALID, cryptoki.CKR_PIN_LEN_RANGE} {
			err := hsm.SetUserPIN(ctx, b.Config(answers("C_InitPIN", code, false)), ref, officer, pin)
			if !errors.Is(err, hsm.ErrPINUnfit) || stands(err) != hsm.StandsOldPIN {
				t.Errorf("%s: %v", code, err)
			}
		}
		expired := afterwards("C_InitPIN", flags("ours", cryptoki.CKF_USER_PIN_TO_BE_CHANGED, 0))
		if err := hsm.SetUserPIN(ctx, b.Config(expired), ref, officer, pin); err != nil {
			t.Errorf("the user is to change the new PIN: %v", err)
		}
		if err := hsm.SetUserPIN(ctx, b.Config(flags("ours", 0, cryptoki.CKF_TOKEN_INITIALIZED)), ref, officer,
			pin); !errors.Is(err, hsm.ErrTokenNotInitialized) {
			t.Errorf("a token that is not initialised: %v", err)
		}

		// A keypad: the token asks for both PINs, and once.
		count = &counts{}
		keypad := func(_ context.Context, c *cryptoki.Call, next func() error) error {
			if slices.Contains([]string{"C_Login", "C_InitPIN", "C_SetPIN", "C_Logout"}, c.Function) {
				return nil
			}
			err := next()
			if state, ok := c.Result.(*uint); ok && c.Function == "C_GetSessionInfo" {
				*state = cryptoki.CKS_RW_SO_FUNCTIONS
			}
			return err
		}
		hooks := []cryptoki.Hook{keypad, flags("ours", cryptoki.CKF_PROTECTED_AUTHENTICATION_PATH, 0)}
		config := b.Config(append(hooks, count.hooks()...)...)
		if err := errors.Join(hsm.SetUserPIN(ctx, config, ref, hsm.PIN{}, hsm.PIN{}), hsm.SetOfficerPIN(ctx, config,
			ref, hsm.PIN{}, hsm.PIN{})); err != nil {
			t.Errorf("with a keypad: %v", err)
		}
		if got := fmt.Sprint(count.logins); count.logins[cryptoki.CKU_SO] != 2 || count.logins[cryptoki.CKU_USER] > 0 {
			t.Errorf("with a keypad, the logins are %s", got)
		}
	})
}

// TestATokenIsFoundByItsSerialNumber: the label decides where several have it. A token that is blank again has no
// label.
func TestATokenIsFoundByItsSerialNumber(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		ctx := context.Background()
		b.Add(t, "ours")
		b.Add(t, "theirs")
		info, err := hsm.FindToken(ctx, b.Config(), hsm.TokenRef{Label: "ours"})
		if err != nil {
			t.Fatal(err)
		}
		ref := hsm.TokenRef{Label: "ours", Serial: info.Serial}
		change := func(to func(*cryptoki.TokenInfo)) hsm.Config {
			return b.Config(func(_ context.Context, c *cryptoki.Call, next func() error) error {
				err := next()
				if info, ok := c.Result.(*cryptoki.TokenInfo); ok && err == nil {
					to(info)
				}
				return err
			})
		}
		for name, to := range map[string]func(*cryptoki.TokenInfo){
			"both have the serial number": func(i *cryptoki.TokenInfo) { i.Serial = info.Serial },
			"it is blank": func(i *cryptoki.TokenInfo) {
				if i.Serial == info.Serial {
					i.Label, i.Flags = "", 0
				}
			},
		} {
			if found, err := hsm.FindToken(ctx, change(to), ref); err != nil || found.Slot != info.Slot {
				t.Errorf("%s: %s, %v", name, found, err)
			}
		}
		ref.Label = ""
		if found, err := hsm.FindToken(ctx, b.Config(), ref); err != nil || found.Slot != info.Slot {
			t.Errorf("by its serial number alone: %s, %v", found, err)
		}
	})
}

// TestSessionsOfBeforeAreNotClosedAgain has the security officer close all sessions, and a token closed afterwards
// whose session is of before: handles come again, so that it may be another one's by then.
func TestSessionsOfBeforeAreNotClosedAgain(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		k := b.Add(t, "ours")
		ctx, count := context.Background(), &counts{}
		kept, err := hsm.Open(ctx, k.Config()) // the module stays initialised
		if err != nil {
			t.Fatal(err)
		}
		defer kept.Close()
		token, err := hsm.Open(ctx, k.Config(count.hooks()...))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := token.Inventory(ctx); err != nil {
			t.Fatal(err)
		}
		ref := hsm.TokenRef{Label: "ours"}
		if err := hsm.SetUserPIN(ctx, k.Config(), ref, hsm.NewPIN(b.SOPIN), hsm.NewPIN(b.PIN)); err != nil {
			t.Fatal(err)
		}
		if err := token.Close(); err != nil || count.calls["C_OpenSession"] == 0 || count.calls["C_CloseSession"] > 0 {
			t.Errorf("after the calls %v: %v", count.calls, err)
		}
	})
}
