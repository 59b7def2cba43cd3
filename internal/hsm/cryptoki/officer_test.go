package cryptoki_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki/cryptokitest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// What the security officer calls.

const everyone = "C_CloseAllSessions"

// officerCalls are the calls, with the arguments that do not matter.
func officerCalls(ctx context.Context, m *cryptoki.Module, slot uint, s *cryptoki.Session) map[string]func() error {
	return map[string]func() error{
		"C_InitToken": func() error { return m.InitToken(ctx, slot, []byte("1234"), "a label") },
		"C_InitPIN":   func() error { return s.InitPIN(ctx, []byte("1234")) },
		"C_SetPIN":    func() error { return s.SetPIN(ctx, []byte("1234"), []byte("567890")) },
		"C_Logout":    func() error { return s.Logout(ctx) },
		everyone:      func() error { return m.CloseAllSessions(ctx, slot) },
	}
}

func TestTheModuleHearsPINsAndLabelsAsTheyAre(t *testing.T) {
	st, ctx := newStage(t), context.Background()
	s := st.session(t)
	blanks := func(n int) string { return strings.Repeat(" ", n) }
	keypad := []byte(nil)
	for _, c := range []struct {
		name string // a sentence
		want string
		call func() error
	}{
		{"a label is padded with blanks to 32 bytes", "C_InitToken |1234| |hydra" + blanks(27) + "|",
			func() error { return st.module.InitToken(ctx, st.slot, []byte("1234"), "hydra") }},
		{"a label of 32 bytes is whole", "C_InitToken |1234| |" + strings.Repeat("x", 32) + "|",
			func() error { return st.module.InitToken(ctx, st.slot, []byte("1234"), strings.Repeat("x", 32)) }},
		{"a label counts in bytes", "C_InitToken |1234| |Schlüssel" + blanks(22) + "|",
			func() error { return st.module.InitToken(ctx, st.slot, []byte("1234"), "Schlüssel") }},
		{"a token with a keypad gets no PIN to be initialised", "C_InitToken NULL of 0 |a" + blanks(31) + "|",
			func() error { return st.module.InitToken(ctx, st.slot, keypad, "a") }},
		{"a PIN of the user has its length", "C_InitPIN |0012 34|", func() error { return s.InitPIN(ctx, []byte("0012 34")) }},
		{"a keypad asks for the user's", "C_InitPIN NULL of 0", func() error { return s.InitPIN(ctx, keypad) }},
		{"an empty PIN is one", "C_InitPIN ||", func() error { return s.InitPIN(ctx, []byte{}) }},
		{"the old PIN comes before the new one", "C_SetPIN |1234| |567890|",
			func() error { return s.SetPIN(ctx, []byte("1234"), []byte("567890")) }},
		{"a keypad asks for both", "C_SetPIN NULL of 0 NULL of 0", func() error { return s.SetPIN(ctx, keypad, keypad) }},
		{"a PIN to log in", "C_Login |1234|", func() error { return s.Login(ctx, cryptoki.CKU_SO, []byte("1234")) }},
		{"and none", "C_Login NULL of 0", func() error { return s.Login(ctx, cryptoki.CKU_SO, keypad) }},
	} {
		function, _, _ := strings.Cut(c.want, " ")
		st.liar.Tell(t, cryptokitest.Lie{Function: function, Kind: cryptokitest.Heard})
		err := c.call()
		if heard := st.liar.Journal(t); err != nil || heard[len(heard)-1] != c.want {
			t.Errorf("%s: the module heard %q, not %q; %v", c.name, heard[len(heard)-1], c.want, err)
		}
	}
}

func TestTheOfficersFailuresAreTold(t *testing.T) {
	st, ctx := newStage(t), context.Background()
	for function := range officerCalls(ctx, st.module, st.slot, nil) {
		s := st.session(t)
		st.liar.Tell(t, cryptokitest.Lie{Function: function, Kind: cryptokitest.Code, Number: uint(cryptoki.CKR_DEVICE_ERROR)})
		err := officerCalls(ctx, st.module, st.slot, s)[function]()
		failure, ok := errors.AsType[*cryptoki.Error](err)
		if !ok || failure.Function != function || failure.Code != cryptoki.CKR_DEVICE_ERROR {
			t.Errorf("%s: %v", function, err)
		}
		if ofSession := function != "C_InitToken" && function != everyone; s.Lost() != ofSession {
			t.Errorf("after the failure of %s, the session is lost: %t", function, s.Lost())
		}
	}
}

// TestAModuleWithoutTheOfficersFunctions: a list may lack any of them, as AWS CloudHSM's does.
func TestAModuleWithoutTheOfficersFunctions(t *testing.T) {
	k, ctx := hsmtest.New(t), context.Background()
	liar := cryptokitest.NewLiar(t, k.Library, false)
	module, err := os.ReadFile(liar.Path)
	if err != nil {
		t.Fatal(err)
	}
	for function := range officerCalls(ctx, nil, 0, nil) {
		path := filepath.Join(t.TempDir(), "lacking.so") // each is loaded once
		if err := os.WriteFile(path, module, 0o600); err != nil {
			t.Fatal(err)
		}
		liar.Tell(t, cryptokitest.Lie{Function: function, Kind: cryptokitest.Missing})
		m, err := cryptoki.Open(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		slots, err := m.GetSlotList(ctx, true)
		if err != nil {
			t.Fatal(err)
		}
		s, err := m.OpenSession(ctx, slots[0], false)
		if err != nil {
			t.Fatal(err)
		}
		err = officerCalls(ctx, m, slots[0], s)[function]()
		lacks := errors.Is(err, cryptoki.CKR_FUNCTION_NOT_SUPPORTED) && cryptoki.Refused(err)
		if !lacks || !strings.Contains(err.Error(), function) {
			t.Errorf("%s: %v", function, err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestAHookSeesWhoLogsIn has the security officer set PINs and the user log in with the new one.
func TestAHookSeesWhoLogsIn(t *testing.T) {
	var users []cryptoki.User
	ctx := context.Background()
	s, m, slot, k := officerSession(t, func(_ context.Context, c *cryptoki.Call, next func() error) error {
		if c.Function == "C_Login" {
			users = append(users, c.User)
		}
		return next()
	})
	k.Spoil() // it has other PINs in between
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.Login(ctx, cryptoki.CKU_SO, []byte(k.SOPIN)))
	must(s.InitPIN(ctx, []byte("44556677")))
	must(s.SetPIN(ctx, []byte(k.SOPIN), []byte("99887766")))
	must(s.Logout(ctx))
	if err := s.Login(ctx, cryptoki.CKU_SO, []byte(k.SOPIN)); !errors.Is(err, cryptoki.CKR_PIN_INCORRECT) {
		t.Errorf("the old PIN of the security officer: %v", err)
	}
	must(s.Login(ctx, cryptoki.CKU_USER, []byte("44556677")))
	if want := []cryptoki.User{cryptoki.CKU_SO, cryptoki.CKU_SO, cryptoki.CKU_USER}; !slices.Equal(users, want) {
		t.Errorf("the hook has seen %v, not %v", users, want)
	}
	must(m.CloseAllSessions(ctx, slot))
	if _, err := s.GetSessionInfo(ctx); !errors.Is(err, cryptoki.CKR_SESSION_HANDLE_INVALID) {
		t.Errorf("a session after all are closed: %v", err)
	}
}

// officerSession opens a session on a fresh token, and logs nobody in.
func officerSession(t *testing.T, hook cryptoki.Hook) (*cryptoki.Session, *cryptoki.Module, uint, *hsmtest.Token) {
	t.Helper()
	ctx := context.Background()
	k := hsmtest.New(t)
	m, err := cryptoki.OpenWith(ctx, k.Library, k.Parameters, hook)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	slots, err := m.GetSlotList(ctx, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, slot := range slots {
		if info, err := m.GetTokenInfo(ctx, slot); err != nil || info.Label != k.Label {
			continue
		}
		s, err := m.OpenSession(ctx, slot, false)
		if err != nil {
			t.Fatal(err)
		}
		return s, m, slot, k
	}
	t.Fatal("the token is not there")
	return nil, nil, 0, nil
}

// TestAModuleThatIsKept stays initialised until the program ends.
func TestAModuleThatIsKept(t *testing.T) {
	ctx := context.Background()
	path := cryptokitest.NewLiar(t, hsmtest.Library(t), false).Path
	var calls []string
	open := func() *cryptoki.Module {
		m, err := cryptoki.Open(ctx, path, func(_ context.Context, c *cryptoki.Call, next func() error) error {
			calls = append(calls, c.Function)
			return next()
		})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, keep := range []bool{false, true, true} {
		m := open()
		if m.About().Manufacturer == "" {
			t.Error("the module says nothing of itself")
		}
		if keep {
			m.Keep()
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"C_Initialize", "C_Finalize", "C_Initialize"}; !slices.Equal(calls, want) {
		t.Errorf("the calls are %v, not %v", calls, want)
	}
}
