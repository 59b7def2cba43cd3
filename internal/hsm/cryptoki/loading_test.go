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

// TestTheListOfFunctionsIsTakenOnce opens modules that have C_GetInterface, and that are wrong about it.
func TestTheListOfFunctionsIsTakenOnce(t *testing.T) {
	ctx := context.Background()
	viaInterface, viaList := []string{"C_GetInterface"}, []string{"C_GetFunctionList"}
	both := slices.Concat(viaInterface, viaList)
	get := func(kind cryptokitest.Kind) cryptokitest.Lie {
		return cryptokitest.Lie{Function: "C_GetInterface", Kind: kind, Number: uint(cryptoki.CKR_FUNCTION_NOT_SUPPORTED)}
	}
	list := func(kind cryptokitest.Kind) cryptokitest.Lie {
		return cryptokitest.Lie{Function: "C_GetFunctionList", Kind: kind, Number: uint(cryptoki.CKR_GENERAL_ERROR)}
	}
	for name, c := range map[string]struct {
		withInterface bool
		lie           cryptokitest.Lie
		calls         []string
		err           string
	}{
		"one of version 2":                     {calls: viaList},
		"one of version 3":                     {withInterface: true, calls: viaInterface},
		"one whose interface fails":            {withInterface: true, lie: get(cryptokitest.Code), calls: both},
		"one that gives no interface":          {withInterface: true, lie: get(cryptokitest.Nothing), calls: both},
		"one whose interface has no name":      {withInterface: true, lie: get(cryptokitest.Nameless), calls: both},
		"one whose interface is a vendor's":    {withInterface: true, lie: get(cryptokitest.Vendor), calls: both},
		"one whose interface has no list":      {withInterface: true, lie: get(cryptokitest.Empty), calls: both},
		"one whose interface is of no version": {withInterface: true, lie: get(cryptokitest.Strange), calls: both},
		"one whose list fails": {
			lie: list(cryptokitest.Code), calls: viaList, err: "C_GetFunctionList answers CKR_GENERAL_ERROR (0x5)",
		},
		"one that gives no list": {lie: list(cryptokitest.Nothing), calls: viaList, err: "gives no list"},
	} {
		t.Run(name, func(t *testing.T) {
			liar := cryptokitest.NewLiar(t, hsmtest.Library(t), c.withInterface)
			liar.Tell(t, c.lie)
			for range 2 {
				m, err := cryptoki.Open(ctx, liar.Path)
				if c.err != "" {
					if !errors.Is(err, cryptoki.ErrLoad) || !strings.Contains(err.Error(), c.err) {
						t.Errorf("got %v", err)
					}
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if _, err := m.GetSlotList(ctx, true); err != nil {
					t.Error(err)
				}
				if err := m.Close(); err != nil {
					t.Error(err)
				}
			}
			initialised := func(line string) bool { return strings.HasPrefix(line, "C_Initialize") }
			calls := slices.DeleteFunc(liar.Journal(t), initialised)
			if !slices.Equal(calls, c.calls) {
				t.Errorf("it was asked by %q, not by %q", calls, c.calls)
			}
		})
	}
}

// TestAnotherModulesInterface loads a module of version 2 that is linked with one of version 3.
func TestAnotherModulesInterface(t *testing.T) {
	other := cryptokitest.NewLiar(t, hsmtest.Library(t), true)
	source, path := filepath.Join(t.TempDir(), "two.c"), filepath.Join(t.TempDir(), "two.so")
	text := "unsigned long C_GetFunctionList(void **list) { *list = 0; return 0x30; }\n"
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	link := cryptokitest.CC("-fPIC", "-shared", "-Wl,--no-as-needed", "-o", path, source, other.Path)
	if out, err := link.CombinedOutput(); err != nil {
		t.Skipf("the linker has its own ways: %v: %s", err, out)
	}
	if _, err := cryptoki.Open(context.Background(), path); !errors.Is(err, cryptoki.CKR_DEVICE_ERROR) {
		t.Errorf("its own list was not asked for: %v", err)
	}
}

func TestLibraryParameters(t *testing.T) {
	ctx := context.Background()
	liar := cryptokitest.NewLiar(t, hsmtest.Library(t), false)
	const parameters = "configdir='sql:/nowhere' flags=readWrite"
	first, err := cryptoki.OpenWith(ctx, liar.Path, parameters)
	if err != nil {
		t.Fatal(err)
	}
	second, err := cryptoki.OpenWith(ctx, liar.Path, parameters)
	if err != nil {
		t.Fatalf("the same again: %v", err)
	}
	for _, others := range []string{"", "configdir='sql:/elsewhere'"} {
		_, err := cryptoki.OpenWith(ctx, liar.Path, others)
		if !errors.Is(err, cryptoki.ErrParameters) || errors.Is(err, cryptoki.ErrLoad) ||
			strings.Contains(err.Error(), "configdir") {
			t.Errorf("%q: got %v", others, err)
		}
	}
	for _, m := range []*cryptoki.Module{first, second} {
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	third, err := cryptoki.Open(ctx, liar.Path)
	if err != nil {
		t.Fatalf("after all have closed it: %v", err)
	}
	if err := third.Close(); err != nil {
		t.Fatal(err)
	}
	want := []string{"C_GetFunctionList", "C_Initialize " + parameters, "C_Initialize NULL"}
	if got := liar.Journal(t); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFunctionsThatTheListLacks(t *testing.T) {
	ctx := context.Background()
	liar := cryptokitest.NewLiar(t, hsmtest.Library(t), false)
	liar.Tell(t, cryptokitest.Lie{Function: "C_GetInfo", Kind: cryptokitest.Missing})
	m, err := cryptoki.Open(ctx, liar.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.GetInfo(ctx); !errors.Is(err, cryptoki.CKR_FUNCTION_NOT_SUPPORTED) {
		t.Errorf("got %v", err)
	}
}

func TestTextsOfAnyBytes(t *testing.T) {
	ctx := context.Background()
	st := newStage(t)
	check := func(what, text string, length int) {
		t.Helper()
		if text != strings.Repeat("\xFF", length) {
			t.Errorf("%s is %q", what, text)
		}
	}
	for _, function := range []string{"C_GetInfo", "C_GetSlotInfo", "C_GetTokenInfo"} {
		st.liar.Tell(t, cryptokitest.Lie{Function: function, Kind: cryptokitest.Garbage})
		module, err := st.module.GetInfo(ctx)
		if err != nil {
			t.Fatal(err)
		}
		slot, err := st.module.GetSlotInfo(ctx, st.slot)
		if err != nil {
			t.Fatal(err)
		}
		token, err := st.module.GetTokenInfo(ctx, st.slot)
		if err != nil {
			t.Fatal(err)
		}
		switch function {
		case "C_GetInfo":
			check("the manufacturer", module.Manufacturer, 32)
			check("the description", module.Description, 32)
		case "C_GetSlotInfo":
			check("the description", slot.Description, 64)
			check("the manufacturer", slot.Manufacturer, 32)
		case "C_GetTokenInfo":
			check("the label", token.Label, 32)
			check("the model", token.Model, 16)
			check("the serial number", token.Serial, 16)
			if token.MaxSessions != cryptoki.Unknown || token.FreePrivateMemory != cryptoki.Unknown {
				t.Errorf("numbers that it does not tell: %+v", token)
			}
		}
	}
}

func TestLengthOfOutput(t *testing.T) {
	ctx := context.Background()
	st := newStage(t)
	for name, c := range map[string]struct {
		exact    int
		lie      cryptokitest.Lie
		err      error // a code
		nonsense string
	}{
		"any":                   {},
		"exactly that":          {exact: 128},
		"one that is too short": {exact: 64, err: cryptoki.CKR_BUFFER_TOO_SMALL},
		"another than there is": {exact: 256, nonsense: "128 bytes where there must be 256"},
		"more than usual":       {lie: cryptokitest.Lie{Kind: cryptokitest.Grow, Number: 20_000}},
		"more than there may be": {
			lie: cryptokitest.Lie{Kind: cryptokitest.Grow, Number: 70_000}, nonsense: "wants one of 70000",
		},
		"exactly that, they grow": {
			exact: 128, lie: cryptokitest.Lie{Kind: cryptokitest.Grow, Number: 129}, err: cryptoki.CKR_BUFFER_TOO_SMALL,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := st.session(t)
			c.lie.Function = "C_Sign"
			st.liar.Tell(t, c.lie)
			m := cryptoki.Mechanism{Type: cryptoki.CKM_RSA_PKCS, OutputLength: c.exact}
			signature, err := s.Sign(ctx, m, st.rsa.Private, block)
			answer, nonsense := errors.AsType[*cryptoki.AnswerError](err)
			if nonsense != (c.nonsense != "") || nonsense && !strings.Contains(answer.Problem, c.nonsense) ||
				!nonsense && !errors.Is(err, c.err) {
				t.Fatalf("got %v", err)
			}
			if err == nil && s.Verify(ctx, m, st.rsa.Public, block, signature) != nil {
				t.Error("the signature does not hold")
			}
		})
	}
}
