package hsm_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// setup is what a token of the label is to become.
func setup(b *hsmtest.Blank, label string) hsm.Setup {
	return hsm.Setup{Label: label, OfficerPIN: hsm.NewPIN(b.SOPIN), PIN: hsm.NewPIN(b.PIN)}
}

// TestABlankSlotBecomesAToken makes two tokens, each in the slot that is blank then, and a key on the first.
func TestABlankSlotBecomesAToken(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		ctx := context.Background()
		site, err := hsm.SiteOf(ctx, b.Config(), setup(b, "hydra"))
		if err != nil || site.State != hsm.SiteBlank || !site.AsksOfficer || !site.AsksUser {
			t.Errorf("got %+v, %v", site, err)
		}
		for i, label := range []string{"hydra", "other"} {
			info, err := hsm.Initialize(ctx, b.Config(), setup(b, label))
			if err != nil {
				t.Fatal(err)
			}
			if info.Label != label || !info.Initialised() || !info.PINInitialised() || info.Serial == "" || info.Slot == site.Token.Slot {
				t.Errorf("got %s", info)
			}
			if found, err := hsm.FindToken(ctx, b.Config(), hsm.TokenRef{Serial: info.Serial}); err != nil || found.Slot != info.Slot {
				t.Errorf("got %s, %v", found, err)
			}
			if n := len(b.Folders(t)); n != i+1 {
				t.Errorf("there are %d tokens", n)
			}
		}
		generate(t, open(t, b.Token("hydra")), small("1", "a key"))
		if seen := b.Token("hydra").Tool(t, "--list-objects"); strings.Count(seen, "a key") != 2 {
			t.Errorf("another program sees:\n%s", seen)
		}
	})
}

// flags has a token of the label show other flags.
func flags(label string, set, clear uint) cryptoki.Hook {
	return func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if info, ok := c.Result.(*cryptoki.TokenInfo); ok && err == nil && info.Label == label {
			info.Flags = info.Flags&^clear | set
		}
		return err
	}
}

// withoutPIN is a token whose user has no PIN yet.
func withoutPIN(t testing.TB, b *hsmtest.Blank, label string) *hsmtest.Token {
	t.Helper()
	last := fmt.Sprint(len(b.Folders(t))) // the slot that is blank
	out, err := exec.Command("pkcs11-tool", "--module", b.Library, "--init-token", "--slot-index", last, "--label", label, "--so-pin", b.SOPIN).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return b.Token(label)
}

// TestALabelThatIsTaken has a token of the label there. It is gone on with where it holds nothing and takes the PINs.
// Else Initialize makes none, and sends no PIN that it need not send. No object goes.
func TestALabelThatIsTaken(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(*testing.T, *hsmtest.Blank)
		setup   func(*hsm.Setup)
		hook    cryptoki.Hook
		is      error  // nil: it is gone on with
		taken   bool   // *LabelTakenError
		says    string // a part of its text
		stands  hsm.Standing
		plan    error // of SiteOf, which logs in nowhere
		logins  map[cryptoki.User]int
		sets    int // how often the user's PIN is set
	}{
		"it is whole and empty": {
			prepare: func(t *testing.T, b *hsmtest.Blank) { b.Add(t, "ours") },
			logins:  map[cryptoki.User]int{cryptoki.CKU_USER: 2, cryptoki.CKU_SO: 1},
		},
		"it has no user PIN": {
			prepare: func(t *testing.T, b *hsmtest.Blank) { withoutPIN(t, b, "ours") },
			logins:  map[cryptoki.User]int{cryptoki.CKU_USER: 1, cryptoki.CKU_SO: 1}, sets: 1,
		},
		"it has no user PIN, and another SO PIN": {
			prepare: func(t *testing.T, b *hsmtest.Blank) { withoutPIN(t, b, "ours") },
			setup:   func(s *hsm.Setup) { s.OfficerPIN = hsm.NewPIN("another") },
			is:      hsm.ErrOfficerPINIncorrect, stands: hsm.StandsInitialized, logins: map[cryptoki.User]int{cryptoki.CKU_SO: 1},
		},
		"it is whole and empty, and has another SO PIN": {
			prepare: func(t *testing.T, b *hsmtest.Blank) { b.Add(t, "ours") },
			setup:   func(s *hsm.Setup) { s.OfficerPIN = hsm.NewPIN("another") },
			is:      hsm.ErrOfficerPINIncorrect, stands: hsm.StandsUntouched,
			logins: map[cryptoki.User]int{cryptoki.CKU_USER: 1, cryptoki.CKU_SO: 1},
		},
		"its SO PIN is locked": {
			prepare: func(t *testing.T, b *hsmtest.Blank) { withoutPIN(t, b, "ours") },
			hook:    flags("ours", cryptoki.CKF_SO_PIN_LOCKED, 0),
			is:      hsm.ErrOfficerPINLocked, says: "cut off", plan: &hsm.InterruptedError{},
		},
		"one more wrong SO PIN locks it": {
			prepare: func(t *testing.T, b *hsmtest.Blank) { withoutPIN(t, b, "ours") },
			hook:    flags("ours", cryptoki.CKF_SO_PIN_FINAL_TRY, 0),
			is:      hsm.ErrOfficerPINFinalTry, stands: hsm.StandsInitialized,
		},
		"it has no user PIN, and says that it has one": { // as tpm2-pkcs11 does
			prepare: func(t *testing.T, b *hsmtest.Blank) { withoutPIN(t, b, "ours") },
			hook:    flags("ours", cryptoki.CKF_USER_PIN_INITIALIZED, 0),
			logins:  map[cryptoki.User]int{cryptoki.CKU_USER: 2, cryptoki.CKU_SO: 1}, sets: 1,
		},
		"it is whole and empty, and no SO PIN is given": {
			prepare: func(t *testing.T, b *hsmtest.Blank) { b.Add(t, "ours") },
			setup:   func(s *hsm.Setup) { s.OfficerPIN = hsm.PIN{} },
			is:      hsm.ErrNoOfficerPIN, stands: hsm.StandsUnknown,
		},
		"it has another user PIN": {
			prepare: func(t *testing.T, b *hsmtest.Blank) { b.Add(t, "ours") },
			setup:   func(s *hsm.Setup) { s.PIN = hsm.NewPIN("another") },
			is:      hsm.ErrPINIncorrect, taken: true, stands: hsm.StandsUntouched, says: "cannot be seen",
			logins: map[cryptoki.User]int{cryptoki.CKU_USER: 1},
		},
		"wrong user PINs have been tried": {
			prepare: func(t *testing.T, b *hsmtest.Blank) { b.Add(t, "ours") },
			hook:    flags("ours", cryptoki.CKF_USER_PIN_COUNT_LOW, 0),
			taken:   true, stands: hsm.StandsUntouched, says: "so none is sent",
		},
		"it holds a private object": {
			prepare: func(t *testing.T, b *hsmtest.Blank) {
				b.Add(t, "ours").Tool(t, "--keygen", "--key-type", "AES:16", "--private", "--label", "secret", "--id", "01")
			},
			taken: true, stands: hsm.StandsUntouched, says: "holds objects (1)", logins: map[cryptoki.User]int{cryptoki.CKU_USER: 1},
		},
		"it holds an object that everybody sees": {
			prepare: func(t *testing.T, b *hsmtest.Blank) { withPair(t, b.Add(t, "ours")) },
			taken:   true, says: "holds objects (1)", plan: &hsm.LabelTakenError{},
		},
		"it has no user PIN, and a stranger's object": {
			prepare: func(t *testing.T, b *hsmtest.Blank) {
				hsmtest.NewStranger(t, withoutPIN(t, b, "ours")).MakesPublicHalf(t, hsmtest.StrangerP256, "x", "01")
			},
			taken: true, says: "holds objects (1)", plan: &hsm.LabelTakenError{},
		},
		"two tokens have it": {
			prepare: func(t *testing.T, b *hsmtest.Blank) { b.Add(t, "ours"); b.Add(t, "ours") },
			taken:   true, says: "2 tokens have the label \"ours\"", plan: &hsm.LabelTakenError{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
				c.prepare(t, b)
				objects, tokens := b.Objects(t), b.Folders(t)
				count := &counts{}
				config, s := b.Config(append(count.hooks(), hooked(c.hook)...)...), setup(b, "ours")
				_, err := hsm.SiteOf(context.Background(), config, s)
				if fmt.Sprintf("%T", err) != fmt.Sprintf("%T", c.plan) || len(count.logins) > 0 {
					t.Errorf("the plan says: %v, after the logins %v", err, count.logins)
				}
				if c.setup != nil {
					c.setup(&s)
				}
				info, err := hsm.Initialize(context.Background(), config, s)
				failed, _ := errors.AsType[*hsm.StandingError](err)
				switch {
				case c.is == nil && !c.taken:
					if err != nil || info.Label != "ours" || !b.Token("ours").Takes(t, cryptoki.CKU_USER, b.PIN) {
						t.Errorf("got %s, %v", info, err)
					}
				case failed == nil, c.is != nil && !errors.Is(err, c.is), c.taken != isTaken(err), failed.Stands != c.stands,
					!strings.Contains(err.Error(), c.says):
					t.Errorf("got %v", err)
				}
				if c.logins == nil {
					c.logins = map[cryptoki.User]int{}
				}
				if !maps.Equal(count.logins, c.logins) || count.calls["C_InitToken"] > 0 || count.calls["C_InitPIN"] != c.sets {
					t.Errorf("logins: %v; calls: %v", count.logins, count.calls)
				}
				if !maps.Equal(objects, b.Objects(t)) || !slices.Equal(tokens, b.Folders(t)) {
					t.Error("an object or a token is gone, or one too many is there")
				}
			})
		})
	}
}

func withPair(t *testing.T, k *hsmtest.Token) {
	t.Helper()
	k.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "theirs", "--id", "01")
}

func isTaken(err error) bool {
	_, taken := errors.AsType[*hsm.LabelTakenError](err)
	return taken
}

// hooked are the hooks that are some.
func hooked(hooks ...cryptoki.Hook) []cryptoki.Hook {
	return slices.DeleteFunc(hooks, func(h cryptoki.Hook) bool { return h == nil })
}

// counts counts calls, and logins by user. Calls come one after the other.
type counts struct {
	calls  map[string]int
	logins map[cryptoki.User]int
}

func (n *counts) hooks() []cryptoki.Hook {
	n.calls, n.logins = map[string]int{}, map[cryptoki.User]int{}
	return []cryptoki.Hook{func(_ context.Context, c *cryptoki.Call, next func() error) error {
		n.calls[c.Function]++
		if c.Function == "C_Login" {
			n.logins[c.User]++
		}
		return next()
	}}
}

// TestNoBlankSlotOrSeveral has a token "other" there beside the slot that is blank.
func TestNoBlankSlotOrSeveral(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		withPair(t, b.Add(t, "other"))
		objects := b.Objects(t)
		ctx := context.Background()
		slots, err := hsm.Slots(ctx, b.Config())
		if err != nil || len(slots) != 2 {
			t.Fatal(slots, err)
		}
		var blank, other uint
		for _, s := range slots {
			if s.Token.Initialised() {
				other = s.ID
			} else {
				blank = s.ID
			}
		}
		silent := func(_ context.Context, c *cryptoki.Call, next func() error) error {
			if c.Function == "C_GetTokenInfo" {
				return &cryptoki.Error{Function: c.Function, Code: cryptoki.CKR_DEVICE_ERROR}
			}
			return next()
		}
		missing := uint(4711)
		acme := as("Acme")
		for _, c := range []struct {
			name  string
			slot  *uint
			hooks []cryptoki.Hook
			is    error    // nil: it is made
			says  []string // parts of its text
		}{
			{name: "no slot is blank", hooks: []cryptoki.Hook{flags("", cryptoki.CKF_TOKEN_INITIALIZED, 0)},
				is: &hsm.NoBlankTokenError{}, says: []string{"every token is initialised already", `label "other"`}},
			{name: "two slots are blank", hooks: []cryptoki.Hook{acme, flags("other", 0, cryptoki.CKF_TOKEN_INITIALIZED)},
				is: &hsm.NoBlankTokenError{}, says: []string{
					"2 tokens are not initialised, and no slot is given", fmt.Sprintf("slot %d ", blank), fmt.Sprintf("slot %d ", other),
				}},
			{name: "the slot has a token", slot: &other, is: &hsm.NoBlankTokenError{},
				says: []string{fmt.Sprintf("the token in slot %d is initialised already", other), `label "other"`}},
			{name: "there is no such slot", slot: &missing, is: &hsm.NoBlankTokenError{}, says: []string{"there is no token in slot 4711. The module shows:\n  - ", `label "other"`}},
			{name: "the slot does not answer", slot: &blank, hooks: []cryptoki.Hook{silent}, is: cryptoki.CKR_DEVICE_ERROR,
				says: []string{"C_GetTokenInfo"}},
			{name: "no slot answers", hooks: []cryptoki.Hook{silent}, is: &hsm.NoBlankTokenError{},
				says: []string{fmt.Sprintf("slot %d (0x%x): cryptoki: C_GetTokenInfo: CKR_DEVICE_ERROR", blank, blank)}},
			{name: "it is write-protected", hooks: []cryptoki.Hook{flags("", cryptoki.CKF_WRITE_PROTECTED, 0)}, is: hsm.ErrReadOnly},
			{name: "two slots are blank, and one is given", slot: &blank,
				hooks: []cryptoki.Hook{acme, flags("other", 0, cryptoki.CKF_TOKEN_INITIALIZED)}},
		} {
			count := &counts{}
			config, s := b.Config(slices.Concat(count.hooks(), c.hooks)...), setup(b, "ours")
			s.Slot = c.slot
			_, plan := hsm.SiteOf(ctx, config, s)
			_, err := hsm.Initialize(ctx, config, s)
			if c.is == nil {
				if plan != nil || err != nil || len(b.Seen(t, "ours")) != 1 {
					t.Errorf("%s: got %v, %v", c.name, plan, err)
				}
				continue
			}
			for _, err := range []error{plan, err} {
				_, none := errors.AsType[*hsm.NoBlankTokenError](err)
				_, wanted := errors.AsType[*hsm.NoBlankTokenError](c.is)
				says := func(part string) bool { return strings.Contains(err.Error(), part) }
				if err == nil || none != wanted || !wanted && !errors.Is(err, c.is) ||
					slices.ContainsFunc(c.says, func(part string) bool { return !says(part) }) {
					t.Errorf("%s: got %v", c.name, err)
				}
			}
			if !strings.HasSuffix(err.Error(), hsm.StandsUnknown.String()) || count.calls["C_InitToken"]+count.calls["C_Login"] > 0 {
				t.Errorf("%s: after the calls %v: %v", c.name, count.calls, err)
			}
		}
		if now := b.Objects(t); !maps.Equal(objects, now) || len(b.Folders(t)) != 2 {
			t.Errorf("of %d objects, there are %d", len(objects), len(now))
		}
	})
}

// TestSomebodyInitialisesMeanwhile has somebody else make a token, with keys, at each point of an initialization.
func TestSomebodyInitialisesMeanwhile(t *testing.T) {
	for name, c := range map[string]struct {
		function string // at which it happens
		nth      int
		label    string // of theirs
		seen     bool   // the slot shows it, as on makes whose slots are places
		taken    bool   // ours is refused
	}{
		"before the last look":                 {function: "C_CloseAllSessions", nth: 1, label: "theirs"},
		"right before the call":                {function: "C_InitToken", nth: 1, label: "theirs"},
		"with our label, at the start":         {function: "C_Initialize", nth: 1, label: "ours", taken: true},
		"with our label, after the first look": {function: "C_Finalize", nth: 1, label: "ours", taken: true},
		"in our slot":                          {function: "C_CloseAllSessions", nth: 1, label: "theirs", seen: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
				var objects map[string]string
				faults, after, count := &hsmtest.Faults{}, false, &counts{}
				faults.Inject(hsmtest.Fault{Function: c.function, Nth: c.nth, Do: func(_ context.Context, _ *cryptoki.Call, next func() error) error {
					after = true
					if out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", c.label, "--so-pin", b.SOPIN, "--pin", b.PIN).CombinedOutput(); err != nil {
						t.Errorf("%v: %s", err, out)
					}
					if out, err := exec.Command("pkcs11-tool", "--module", b.Library, "--token-label", c.label, "--login", "--pin", b.PIN, "--keypairgen",
						"--key-type", "EC:prime256v1", "--label", "theirs", "--id", "01").CombinedOutput(); err != nil {
						t.Errorf("%v: %s", err, out)
					}
					objects = b.Objects(t)
					return next()
				}})
				inSlot := func(_ context.Context, call *cryptoki.Call, next func() error) error {
					err := next()
					if info, ok := call.Result.(*cryptoki.TokenInfo); ok && c.seen && after && err == nil && info.Label == "" {
						info.Flags = cryptoki.CKF_TOKEN_INITIALIZED
					}
					return err
				}
				_, err := hsm.Initialize(context.Background(), b.Config(append(count.hooks(), faults.Hook, inSlot)...), setup(b, "ours"))
				switch none := (*hsm.NoBlankTokenError)(nil); {
				case c.taken && !isTaken(err), c.seen && !errors.As(err, &none), !c.taken && !c.seen && err != nil:
					t.Errorf("got %v", err)
				case c.seen && (count.calls["C_InitToken"] > 0 || !strings.HasSuffix(err.Error(), hsm.StandsUnknown.String())):
					t.Errorf("after the calls %v: %v", count.calls, err)
				}
				if len(objects) != 2 || !maps.Equal(objects, b.Objects(t)) {
					t.Errorf("of %d objects, there are %d", len(objects), len(b.Objects(t)))
				}
			})
		})
	}
}

// TestTwoProcessesInitialise has two processes, in which nothing but the tokens' folder is common, make a token at
// once.
func TestTwoProcessesInitialise(t *testing.T) {
	const races = 4
	for name, c := range map[string]struct {
		labels [2]string
		same   bool // they have the same PINs
		tokens int
		made   int // how many processes say so
	}{
		"two labels":                   {labels: [2]string{"one", "two"}, tokens: 2, made: 2},
		"one label":                    {labels: [2]string{"one", "one"}, same: true, tokens: 1, made: 2},
		"one label, with PINs of each": {labels: [2]string{"one", "one"}, tokens: 1, made: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
				for race := range races {
					before, made := len(b.Folders(t)), 0
					type answer struct {
						out []byte
						err error
					}
					answers := make(chan answer, len(c.labels))
					for _, label := range c.labels {
						k := *b.Token(fmt.Sprint(label, " ", race))
						if !c.same {
							k.PIN, k.SOPIN = hsmtest.RandomPIN(), hsmtest.RandomPIN()
						}
						cmd := command(order{Token: k, Duty: duties[0].name})
						apart(t)(cmd)
						go func() {
							out, err := cmd.CombinedOutput()
							answers <- answer{out, err}
						}()
					}
					for range c.labels {
						switch a := <-answers; {
						case a.err == nil:
							made++
						case !strings.Contains(string(a.out), "a token has the label"):
							t.Errorf("got %v: %s", a.err, a.out)
						}
					}
					if n := len(b.Folders(t)) - before; n != c.tokens || made != c.made {
						t.Errorf("%d processes say that they have made one, and there are %d", made, n)
					}
				}
			})
		})
	}
}
