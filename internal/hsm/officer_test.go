package hsm_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// officerTries are all operations that send the security officer's PIN to a token of a label.
func officerTries(config hsm.Config, label string, officer hsm.PIN) map[string]func() error {
	ctx, ref := context.Background(), hsm.TokenRef{Label: label}
	return map[string]func() error{
		"set the user's PIN":             func() error { return hsm.SetUserPIN(ctx, config, ref, officer, hsm.NewPIN("47114711")) },
		"set the security officer's PIN": func() error { return hsm.SetOfficerPIN(ctx, config, ref, officer, hsm.NewPIN("47114711")) },
		"erase":                          func() error { return hsm.Erase(ctx, config, ref, officer, true) },
		"initialise": func() error {
			_, err := hsm.Initialize(ctx, config, hsm.Setup{Label: label, OfficerPIN: officer, PIN: config.PIN})
			return err
		},
	}
}

func TestAWrongSOPINIsSentOnce(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		withoutPIN(t, b, "ours")
		count := &counts{}
		config := b.Config(count.hooks()...)
		for range 2 {
			for name, try := range officerTries(config, "ours", hsm.NewPIN("47124712")) {
				err := try()
				if !errors.Is(err, hsm.ErrOfficerPINIncorrect) || !hsm.IsPINError(err) || strings.Contains(err.Error(), "47124712") {
					t.Errorf("%s: got %v", name, err)
				}
			}
		}
		if n := count.logins[cryptoki.CKU_SO]; n != 1 || count.calls["C_InitToken"] > 0 {
			t.Errorf("the PIN was sent %d times: %v", n, count.calls)
		}
		if err := officerTries(config, "ours", hsm.NewPIN(b.SOPIN))["set the user's PIN"](); err != nil {
			t.Errorf("the right one: %v", err)
		}
	})
}

// TestFlagsOfTheSOPIN has the token say what would become of a wrong PIN. SoftHSM itself never says it.
func TestFlagsOfTheSOPIN(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		withoutPIN(t, b, "ours")
		for _, c := range []struct {
			name  string
			flags uint
			pin   string
			is    error
			sent  int
			says  string
		}{
			{"locked", cryptoki.CKF_SO_PIN_LOCKED, b.SOPIN, hsm.ErrOfficerPINLocked, 0, ""},
			{"the next one locks it", cryptoki.CKF_SO_PIN_FINAL_TRY, b.SOPIN, hsm.ErrOfficerPINFinalTry, 0, ""},
			{"no PIN", 0, "", hsm.ErrNoOfficerPIN, 0, ""},
			{"wrong ones have been tried", cryptoki.CKF_SO_PIN_COUNT_LOW, "47134713", hsm.ErrOfficerPINIncorrect, 1, "few tries are left"},
		} {
			count := &counts{}
			config := b.Config(append(count.hooks(), flags("ours", c.flags, 0))...)
			for name, try := range officerTries(config, "ours", hsm.NewPIN(c.pin)) {
				if err := try(); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: %s: got %v", c.name, name, err)
				}
			}
			if n := count.logins[cryptoki.CKU_SO]; n != c.sent || count.calls["C_InitToken"] > 0 {
				t.Errorf("%s: it was sent %d times: %v", c.name, n, count.calls)
			}
		}
		count := &counts{}
		_, err := hsm.Initialize(context.Background(), b.Config(count.hooks()...), hsm.Setup{Label: "new", PIN: hsm.NewPIN(b.PIN)})
		if !errors.Is(err, hsm.ErrNoOfficerPIN) || count.calls["C_InitToken"] > 0 {
			t.Errorf("a new token without an SO PIN: %v", err)
		}
		_, err = hsm.Initialize(context.Background(), b.Config(count.hooks()...), hsm.Setup{Label: "new", OfficerPIN: hsm.NewPIN(b.SOPIN)})
		if !errors.Is(err, hsm.ErrNoPIN) || count.calls["C_InitToken"] > 0 {
			t.Errorf("a new token without a user PIN: %v", err)
		}
	})
}

// TestANewPINIsRefused has the token refuse a PIN: everything is as it was.
func TestANewPINIsRefused(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		k := b.Add(t, "ours")
		ctx, ref, short, none := context.Background(), hsm.TokenRef{Label: "ours"}, hsm.NewPIN("12"), hsm.PIN{}
		officer := hsm.NewPIN(b.SOPIN)
		for name, c := range map[string]struct {
			err    error
			is     error
			stands hsm.Standing
		}{
			"the user's is short":  {hsm.SetUserPIN(ctx, b.Config(), ref, officer, short), hsm.ErrPINUnfit, hsm.StandsOldPIN},
			"there is none":        {hsm.SetUserPIN(ctx, b.Config(), ref, officer, none), hsm.ErrNoPIN, hsm.StandsOldPIN},
			"the SO's is short":    {hsm.SetOfficerPIN(ctx, b.Config(), ref, officer, short), hsm.ErrPINUnfit, hsm.StandsOldOfficerPIN},
			"there is none for it": {hsm.SetOfficerPIN(ctx, b.Config(), ref, officer, none), hsm.ErrNoOfficerPIN, hsm.StandsOldOfficerPIN},
		} {
			failed, ok := errors.AsType[*hsm.StandingError](c.err)
			if !ok || !errors.Is(c.err, c.is) || failed.Stands != c.stands {
				t.Errorf("%s: got %v", name, c.err)
			}
		}
		if !k.Takes(t, cryptoki.CKU_USER, b.PIN) || !k.Takes(t, cryptoki.CKU_SO, b.SOPIN) {
			t.Error("a PIN is not as it was")
		}
	})
}

// TestTheSecurityOfficerWorksAlone sets the user's PIN again and again, while others make, sign with and look at keys
// in the same process: each goes on with the PIN that is right then, and none is refused.
func TestTheSecurityOfficerWorksAlone(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		k := b.Add(t, "ours")
		var refused, officers, inside atomic.Int64
		watch := func(_ context.Context, c *cryptoki.Call, next func() error) error {
			if c.Function == "C_InitPIN" {
				officers.Add(1)
				defer officers.Add(-1)
				time.Sleep(2 * time.Millisecond)
				if inside.Load() > 0 {
					t.Error("others are at work while the security officer is")
				}
			} else if c.Session != 0 && c.Function != "C_Login" && c.Function != "C_Logout" && c.Function != "C_CloseSession" {
				inside.Add(1)
				defer inside.Add(-1)
				if officers.Load() > 0 {
					t.Errorf("%s is called while the security officer is at work", c.Function)
				}
			}
			err := next()
			if c.Function == "C_Login" && err != nil || errors.Is(err, cryptoki.CKR_SESSION_HANDLE_INVALID) {
				refused.Add(1)
			}
			return err
		}
		token, err := hsm.Open(context.Background(), k.Config(watch))
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := token.Close(); err != nil {
				t.Error(err)
			}
		}()
		key := generate(t, token, small("first", "first"))
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var group sync.WaitGroup
		var works atomic.Int64
		work := func(do func(i int) error) {
			group.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					if err := do(i); err != nil {
						t.Errorf("beside the security officer: %v", err)
						return
					}
					works.Add(1)
				}
			})
		}
		for n := range 2 {
			work(func(i int) error {
				_, err := token.Generate(context.Background(), small(fmt.Sprint(n, " ", i), "new"))
				return err
			})
			work(func(int) error {
				found, err := token.Key(context.Background(), object.Ref{Type: key.Type, ID: key.ID, Fingerprint: key.Fingerprint()})
				if err == nil && describe(found) != describe(key) {
					t.Errorf("it is %s", describe(found))
				}
				return err
			})
			work(func(int) error { _, err := token.Inventory(context.Background()); return err })
		}
		pin := ""
		for range 8 {
			before := works.Load()
			pin = hsmtest.RandomPIN()
			err := hsm.SetUserPIN(context.Background(), k.Config(watch), hsm.TokenRef{Label: "ours"}, hsm.NewPIN(b.SOPIN), hsm.NewPIN(pin))
			if err != nil {
				t.Error(err)
				break
			}
			for end := time.Now().Add(5 * time.Second); works.Load() < before+12 && time.Now().Before(end) && !t.Failed(); {
				time.Sleep(time.Millisecond)
			}
		}
		cancel()
		group.Wait()
		if n := refused.Load(); n > 0 {
			t.Errorf("%d logins were refused, or sessions used that were closed", n)
		}
		t.Logf("%d operations beside 8 new PINs", works.Load())
		all, err := keyPairs(context.Background(), token)
		if err != nil || len(all) < 2 {
			t.Errorf("%d keys: %v", len(all), err)
		}
		if err := hsm.SetUserPIN(context.Background(), k.Config(), hsm.TokenRef{Label: "ours"}, hsm.NewPIN(b.SOPIN), hsm.NewPIN(pin)); err != nil {
			t.Error(err)
		}
		k.PIN = pin
		if seen := k.Tool(t, "--list-objects", "--type", "privkey"); strings.Count(seen, "Private Key") != len(all) {
			t.Errorf("of %d keys, another program sees:\n%s", len(all), seen)
		}
	})
}

// TestTheSecurityOfficerAndAUserWhoHangs: who still waits for a call keeps the security officer out until one of them
// gives up; a user who has given up does not. And a user waits for a security officer who hangs no longer than it
// wants.
func TestTheSecurityOfficerAndAUserWhoHangs(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		k := b.Add(t, "ours")
		hangs := func(function string) (c hsm.Config, entered chan struct{}, release func()) {
			entered, released := make(chan struct{}), make(chan struct{})
			faults := &hsmtest.Faults{}
			faults.Inject(hsmtest.Fault{Function: function, Nth: 1, Do: func(_ context.Context, _ *cryptoki.Call, next func() error) error {
				close(entered)
				<-released
				return next()
			}})
			return k.Config(faults.Hook), entered, sync.OnceFunc(func() { close(released) })
		}
		set := func(ctx context.Context, c hsm.Config) error {
			return hsm.SetUserPIN(ctx, c, hsm.TokenRef{Label: "ours"}, hsm.NewPIN(b.SOPIN), hsm.NewPIN(b.PIN))
		}
		soon := func(after time.Duration) context.Context {
			ctx, cancel := context.WithTimeout(context.Background(), after)
			t.Cleanup(cancel)
			return ctx
		}
		look := func(ctx context.Context, token *hsm.Token) error { _, err := token.Inventory(ctx); return err }

		c, entered, release := hangs("C_FindObjects")
		token, err := hsm.Open(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		waiting, giveUp := context.WithCancel(context.Background())
		given := make(chan error, 1)
		go func() { given <- look(waiting, token) }()
		<-entered
		err = set(soon(time.Second), k.Config())
		failed, ok := errors.AsType[*hsm.StandingError](err)
		if !ok || failed.Stands != hsm.StandsOldPIN || !strings.Contains(err.Error(), "other operations of this process are still at work") {
			t.Errorf("beside a user who waits: %v", err)
		}
		giveUp()
		if err := <-given; err == nil {
			t.Error("the user's look did not hang")
		}
		if err := set(context.Background(), k.Config()); err != nil {
			t.Errorf("beside a user who has given up: %v", err)
		}
		release()
		if err := look(context.Background(), token); err != nil {
			t.Errorf("the user afterwards: %v", err)
		}

		c, entered, release = hangs("C_InitPIN")
		defer release()
		limited, giveUp := context.WithCancel(context.Background())
		go func() { given <- set(limited, c) }()
		<-entered
		if err := look(soon(time.Second), token); err == nil || !strings.Contains(err.Error(), "security officer is still at work") {
			t.Errorf("beside a security officer who hangs: %v", err)
		}
		giveUp()
		hang := (*cryptoki.HangError)(nil)
		if err := <-given; !errors.As(err, &hang) || !strings.Contains(err.Error(), hsm.StandsPerhapsNewPIN.String()) {
			t.Errorf("the security officer says: %v", err)
		}
		release()
		if err := token.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestATokenThatOnlySaysYes has calls succeed that do nothing: what they were to do is not believed.
func TestATokenThatOnlySaysYes(t *testing.T) {
	for name, c := range map[string]struct {
		function string
		prepare  func(*testing.T, *hsmtest.Token)
		run      func(c hsm.Config, b *hsmtest.Blank) error
		stands   hsm.Standing
		says     string
	}{
		"erased, with a key that strangers see half of": {
			"C_InitToken", withPair, func(c hsm.Config, b *hsmtest.Blank) error {
				return hsm.Erase(context.Background(), c, hsm.TokenRef{Label: "ours"}, hsm.NewPIN(b.SOPIN), true)
			}, hsm.StandsPerhapsErased, "still holds objects",
		},
		"erased, with a key that only its user sees": {
			"C_InitToken", func(t *testing.T, k *hsmtest.Token) {
				k.Tool(t, "--keygen", "--key-type", "AES:16", "--private", "--label", "hidden", "--id", "01")
			}, func(c hsm.Config, b *hsmtest.Blank) error {
				return hsm.Erase(context.Background(), c, hsm.TokenRef{Label: "ours"}, hsm.NewPIN(b.SOPIN), true)
			}, hsm.StandsPerhapsErased, "still holds objects",
		},
		"a new PIN": {
			"C_InitPIN", nothing, func(c hsm.Config, b *hsmtest.Blank) error {
				return hsm.SetUserPIN(context.Background(), c, hsm.TokenRef{Label: "ours"}, hsm.NewPIN(b.SOPIN), hsm.NewPIN("31415926"))
			}, hsm.StandsPerhapsNewPIN, "does not take it",
		},
		"a new SO PIN": {
			"C_SetPIN", nothing, func(c hsm.Config, b *hsmtest.Blank) error {
				return hsm.SetOfficerPIN(context.Background(), c, hsm.TokenRef{Label: "ours"}, hsm.NewPIN(b.SOPIN), hsm.NewPIN("31415926"))
			}, hsm.StandsPerhapsNewOfficerPIN, "does not take it",
		},
		"a login": {
			"C_Login", withPair, func(c hsm.Config, _ *hsmtest.Blank) error {
				return hsm.Erase(context.Background(), c, hsm.TokenRef{Label: "ours"}, hsm.NewPIN("31415926"), true)
			}, hsm.StandsUntouched, "(C_Login), and is not",
		},
		"a first PIN": {
			"C_InitPIN", nothing, func(c hsm.Config, b *hsmtest.Blank) error {
				_, err := hsm.Initialize(context.Background(), c, setup(b, "another"))
				return err
			}, hsm.StandsPerhapsPIN, "no user PIN",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
				c.prepare(t, b.Add(t, "ours"))
				yes := func(_ context.Context, call *cryptoki.Call, next func() error) error {
					if call.Function == c.function {
						return nil
					}
					return next()
				}
				err := c.run(b.Config(yes), b)
				failed, ok := errors.AsType[*hsm.StandingError](err)
				if !ok || failed.Stands != c.stands || !strings.Contains(err.Error(), c.says) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// TestNoWorkIsSkippedWithoutAnError has the context end as the last call before the work succeeds.
func TestNoWorkIsSkippedWithoutAnError(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		withPair(t, b.Add(t, "ours"))
		officer, next, ref := hsm.NewPIN(b.SOPIN), hsm.NewPIN("31415926"), hsm.TokenRef{Label: "ours"}
		for name, run := range map[string]func(context.Context, hsm.Config) error{
			"erased":   func(ctx context.Context, c hsm.Config) error { return hsm.Erase(ctx, c, ref, officer, true) },
			"a PIN":    func(ctx context.Context, c hsm.Config) error { return hsm.SetUserPIN(ctx, c, ref, officer, next) },
			"the SO's": func(ctx context.Context, c hsm.Config) error { return hsm.SetOfficerPIN(ctx, c, ref, officer, next) },
			"made": func(ctx context.Context, c hsm.Config) error {
				_, err := hsm.Initialize(ctx, c, setup(b, "another"))
				return err
			},
		} {
			for nth := range 3 {
				ctx, cancel := context.WithCancel(context.Background())
				calls := 0
				err := run(ctx, b.Config(func(_ context.Context, c *cryptoki.Call, next func() error) error {
					err := next()
					if c.Function == "C_CloseAllSessions" {
						if calls++; calls == nth+1 {
							cancel()
						}
					}
					return err
				}))
				if cut := calls > nth; cut && !errors.Is(err, context.Canceled) || !cut && nth == 0 {
					t.Errorf("%s, cut off at %d: %v", name, nth+1, err)
				}
				cancel()
				if calls <= nth {
					break
				}
			}
		}
	})
}

// TestATokenOfAnotherLabelIsAnother has somebody initialise a token anew, which keeps its serial number in SoftHSM.
func TestATokenOfAnotherLabelIsAnother(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		k := b.Add(t, "theirs")
		withPair(t, k)
		info, err := hsm.FindToken(context.Background(), b.Config(), hsm.TokenRef{Label: "theirs"})
		if err != nil {
			t.Fatal(err)
		}
		ours, officer := hsm.TokenRef{Label: "ours", Serial: info.Serial}, hsm.NewPIN(b.SOPIN)
		for name, err := range map[string]error{
			"erased":   hsm.Erase(context.Background(), b.Config(), ours, officer, true),
			"a PIN":    hsm.SetUserPIN(context.Background(), b.Config(), ours, officer, hsm.NewPIN("31415926")),
			"the SO's": hsm.SetOfficerPIN(context.Background(), b.Config(), ours, officer, hsm.NewPIN("31415926")),
		} {
			if e, ok := errors.AsType[*hsm.RelabelledError](err); !ok || e.Was != "ours" || e.Token.Label != "theirs" {
				t.Errorf("%s: %v", name, err)
			}
		}
		if len(b.Objects(t)) != 2 || !k.Takes(t, cryptoki.CKU_USER, b.PIN) || !k.Takes(t, cryptoki.CKU_SO, b.SOPIN) {
			t.Error("the token is not as it was")
		}
	})
}

// TestSessionsOfAnotherProcess has another process hold a session that is logged in, while the security officer works
// here.
func TestSessionsOfAnotherProcess(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		k := b.Add(t, "ours")
		other := startRacer(t, order{Token: *k, Kind: "P-256", Operation: "race"}, func(*exec.Cmd) {})
		if said := other.asked("one"); said != "made" {
			t.Fatal(said)
		}
		next := hsmtest.RandomPIN()
		if err := hsm.SetUserPIN(context.Background(), b.Config(), hsm.TokenRef{Label: "ours"}, hsm.NewPIN(b.SOPIN), hsm.NewPIN(next)); err != nil {
			t.Error(err)
		}
		if said := other.asked("two"); said != "made" {
			t.Errorf("the other process goes on: %s", said)
		}
		k.PIN = next
		if seen := k.Tool(t, "--list-objects", "--type", "privkey"); strings.Count(seen, "Private Key") != 2 {
			t.Errorf("another program sees:\n%s", seen)
		}
	})
}

// TestErase destroys what is on a token only where it is told to, and the security officer is who it says.
func TestErase(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(*testing.T, *hsmtest.Token)
		officer string // "": the right PIN
		user    *string
		noPIN   bool // the token's user has none
		force   bool
		is      error    // nil: it is erased, or an *ErasureError says otherwise
		holds   []string // of the *ErasureError's text
	}{
		"it is empty": {prepare: nothing},
		"it holds a pair": {prepare: withPair,
			holds: []string{`the token "ours" is not empty. It holds (2)`, `private key "theirs"`, `public key "theirs"`}},
		"it holds a private object": {
			prepare: func(t *testing.T, k *hsmtest.Token) {
				k.Tool(t, "--keygen", "--key-type", "AES:16", "--private", "--label", "hidden", "--id", "01")
			},
			holds: []string{"(1)", `secret key "hidden"`},
		},
		"its user's PIN is not given": {prepare: nothing, user: new(""), holds: []string{"cannot be seen: no PIN is given"}},
		"its user's PIN is wrong": {prepare: nothing, user: new("47114711"),
			holds: []string{"cannot be seen: the token refused the PIN"}},
		"it has no user PIN, and a stranger's object": {
			prepare: func(t *testing.T, k *hsmtest.Token) {
				hsmtest.NewStranger(t, k).MakesPublicHalf(t, hsmtest.StrangerP256, "x", "01")
			},
			noPIN: true, holds: []string{"(1)", `public key "x"`},
		},
		"by force":                      {prepare: withPair, force: true},
		"by force, without the user":    {prepare: withPair, force: true, user: new("")},
		"by force, with a wrong SO PIN": {prepare: withPair, force: true, officer: "47114711", is: hsm.ErrOfficerPINIncorrect},
		"it is empty, and the SO PIN is wrong": {prepare: nothing, officer: "47114711",
			is: hsm.ErrOfficerPINIncorrect},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
				add := b.Add
				if c.noPIN {
					add = func(t testing.TB, label string) *hsmtest.Token { return withoutPIN(t, b, label) }
				}
				k := add(t, "ours")
				c.prepare(t, k)
				withPair(t, b.Add(t, "other"))
				count := &counts{}
				objects, config := b.Objects(t), b.Config(count.hooks()...)
				if c.user != nil {
					config.PIN = hsm.NewPIN(*c.user)
				}
				officer := b.SOPIN
				if c.officer != "" {
					officer = c.officer
				}
				err := hsm.Erase(context.Background(), config, hsm.TokenRef{Label: "ours"}, hsm.NewPIN(officer), c.force)
				if c.is == nil && c.holds == nil {
					if is := b.Seen(t, "ours"); err != nil || len(is) != 1 || k.Takes(t, cryptoki.CKU_USER, b.PIN) || len(b.Objects(t)) != 2 ||
						!k.Takes(t, cryptoki.CKU_SO, b.SOPIN) {
						t.Errorf("got %v; there are %v, with %d objects", err, is, len(b.Objects(t)))
					}
					return
				}
				_, full := errors.AsType[*hsm.ErasureError](err)
				failed, ok := errors.AsType[*hsm.StandingError](err)
				if !ok || failed.Stands != hsm.StandsUntouched || full != (c.holds != nil) || c.is != nil && !errors.Is(err, c.is) {
					t.Errorf("got %v", err)
				}
				for _, part := range c.holds {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%q is not in: %v", part, err)
					}
				}
				if !maps.Equal(objects, b.Objects(t)) || k.Takes(t, cryptoki.CKU_USER, b.PIN) == c.noPIN || count.calls["C_InitToken"] > 0 {
					t.Errorf("an object is gone, or the PIN, after the calls %v", count.calls)
				}
			})
		})
	}
}

// TestAKeyIsMadeRightBeforeTheErasure has somebody make a key after the token was found to be empty.
func TestAKeyIsMadeRightBeforeTheErasure(t *testing.T) {
	for _, function := range []string{"C_CloseAllSessions", "C_Logout"} { // the first of each is after the first look
		t.Run(function, func(t *testing.T) {
			t.Parallel()
			hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
				k := b.Add(t, "ours")
				faults, count := &hsmtest.Faults{}, &counts{}
				faults.Inject(hsmtest.Fault{Function: function, Nth: 1, Do: func(_ context.Context, _ *cryptoki.Call, next func() error) error {
					withPair(t, k)
					return next()
				}})
				err := hsm.Erase(context.Background(), b.Config(append(count.hooks(), faults.Hook)...), hsm.TokenRef{Label: "ours"}, hsm.NewPIN(b.SOPIN), false)
				if full := (*hsm.ErasureError)(nil); !errors.As(err, &full) || len(full.Holds) != 2 || count.calls["C_InitToken"] > 0 {
					t.Errorf("after the calls %v: %v", count.calls, err)
				}
				if n := len(b.Objects(t)); n != 2 {
					t.Errorf("there are %d objects", n)
				}
			})
		})
	}
}

// TestAnErasedTokenIsAnotherOne has this process set a user's PIN and erase the token, and another one give its user a
// PIN: this process forgets its own, and what it saw.
func TestAnErasedTokenIsAnotherOne(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		k := b.Add(t, "ours")
		ctx, ref, officer := context.Background(), hsm.TokenRef{Label: "ours"}, hsm.NewPIN(b.SOPIN)
		count, theirs := &counts{}, hsmtest.RandomPIN()
		watched := k.Config(count.hooks()...)
		watched.PIN = hsm.NewPIN(theirs)
		if err := hsm.SetUserPIN(ctx, watched, ref, officer, hsm.NewPIN(hsmtest.RandomPIN())); err != nil {
			t.Fatal(err)
		}
		token, err := hsm.Open(ctx, watched)
		if err != nil {
			t.Fatal(err)
		}
		key := generate(t, token, small("1", "a key"))
		if _, err := token.Inventory(ctx); err != nil {
			t.Fatal(err)
		}
		if err := hsm.Erase(ctx, watched, ref, officer, true); err != nil {
			t.Fatal(err)
		}
		if _, err := token.Key(ctx, object.Ref{Type: key.Type, ID: key.ID}); !errors.Is(err, hsm.ErrPINNotSet) {
			t.Errorf("the key that is gone: %v", err)
		}
		if err := token.Close(); err != nil { // as long as SoftHSM is initialised, it does not see another process's PIN
			t.Error(err)
		}
		out, err := exec.Command("pkcs11-tool", "--module", b.Library, "--token-label", "ours", "--login", "--login-type", "so", "--so-pin", b.SOPIN,
			"--init-pin", "--new-pin", theirs).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		before := count.logins[cryptoki.CKU_USER]
		if token, err = hsm.Open(ctx, watched); err != nil {
			t.Fatal(err)
		}
		defer token.Close()
		if _, err := token.Key(ctx, object.Ref{Type: key.Type, ID: key.ID}); !errors.Is(err, object.ErrNotFound) {
			t.Errorf("the key that is gone: %v", err)
		}
		if n := count.logins[cryptoki.CKU_USER] - before; n != 1 {
			t.Errorf("it logged in %d times", n)
		}
	})
}

// TestTheSOPINThatATokenCameWith plays openCryptoki, whose tokens come with an SO PIN that is to be changed: it is sent
// until it is changed, and never afterwards.
func TestTheSOPINThatATokenCameWith(t *testing.T) {
	t.Parallel()
	const factory = "87654321"
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		ctx, next := context.Background(), hsm.NewPIN(hsmtest.RandomPIN())
		var changed bool
		play := func(_ context.Context, c *cryptoki.Call, next func() error) error {
			err := next()
			changed = changed || c.Function == "C_SetPIN" && err == nil
			if info, ok := c.Result.(*cryptoki.TokenInfo); ok && !changed {
				info.Flags |= cryptoki.CKF_SO_PIN_TO_BE_CHANGED
			}
			return err
		}
		config := b.Config(play, as("IBM"))
		for _, c := range []struct {
			label string
			run   func(ref hsm.TokenRef) error
			pin   hsm.PIN // of the security officer in the end
		}{
			{"initialised", func(ref hsm.TokenRef) error {
				_, err := hsm.Initialize(ctx, config, setup(b, ref.Label))
				return err
			}, hsm.NewPIN(b.SOPIN)},
			{"user", func(ref hsm.TokenRef) error {
				return hsm.SetUserPIN(ctx, config, ref, hsm.NewPIN(b.SOPIN), hsm.NewPIN(b.PIN))
			}, hsm.NewPIN(b.SOPIN)},
			{"officer", func(ref hsm.TokenRef) error { return hsm.SetOfficerPIN(ctx, config, ref, hsm.NewPIN(b.SOPIN), next) }, next},
		} {
			changed = false
			if c.label != "initialised" {
				with := *b
				with.SOPIN = factory
				withoutPIN(t, &with, c.label)
			}
			if err := c.run(hsm.TokenRef{Label: c.label}); err != nil {
				t.Errorf("%s: %v", c.label, err)
				continue
			}
			if err := hsm.SetUserPIN(ctx, b.Config(), hsm.TokenRef{Label: c.label}, c.pin, hsm.NewPIN(b.PIN)); err != nil || !changed {
				t.Errorf("%s: the SO PIN is not the new one: %v", c.label, err)
			}
		}
	})
}

func nothing(*testing.T, *hsmtest.Token) {}
