package hsm_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// TestEveryCallOfAnOpeningFails is the matrix of faults from the initialisation of the module on, which the operations'
// matrix finds done: no other test runs beside it. What fails is the opening, by name; the next one finds the key, and
// proves it. Without HSMTEST_FAULTS, it is one fault of five.
func TestEveryCallOfAnOpeningFails(t *testing.T) {
	hsmtest.Needs(t, hsmtest.OwnToken) // it leaves sessions logged in
	k := hsmtest.New(t)
	faults := &hsmtest.Faults{}
	var key object.Key
	attempt := func(use func(*hsm.Token) error) error {
		token, err := hsm.Open(context.Background(), config(k, k.PIN, faults))
		if err != nil {
			return err
		}
		defer func() { _ = token.Close() }() // nothing depends on it
		return use(token)
	}
	look := func(token *hsm.Token) error {
		found, err := token.Key(context.Background(), object.Ref{Type: key.Type, ID: key.ID})
		if err == nil && describe(found) != describe(key) {
			t.Errorf("found %s", describe(found))
		}
		if err != nil {
			return err
		}
		return token.Published(context.Background(), []object.Key{found})
	}
	err := attempt(func(token *hsm.Token) (err error) {
		key, err = token.Generate(context.Background(), kindNamed("P-256").template("the ID", "label"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var counts map[string]int
	for range 100 { // calls that an earlier test has let hang may take a moment to end, and use the module until then
		faults.Clear()
		if err := attempt(look); err != nil {
			t.Fatal(err)
		}
		counts = map[string]int{}
		for _, function := range faults.Calls() {
			counts[function]++
		}
		if counts["C_Initialize"] == 1 && counts["C_Finalize"] == 1 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if counts["C_Sign"] != 1 {
		t.Errorf("nothing was proven: %v", counts)
	}
	if counts["C_Initialize"] != 1 || counts["C_Finalize"] != 1 {
		t.Fatalf("the module was in use: %v", counts)
	}
	every := 1
	if hsmtest.ThisExtent(t) == hsmtest.Sample {
		every = 5
	}
	picker := hsmtest.Pick(t, every)
	injected, failed := 0, 0
	for _, function := range slices.Sorted(maps.Keys(counts)) {
		for _, position := range positions(counts[function], false) {
			for _, code := range codes {
				for _, fault := range []hsmtest.Fault{
					{Function: function, Nth: position, Code: code},
					{Function: function, Nth: position, Code: code, After: true},
					{Function: function, Nth: position, Code: code, Onwards: true},
				} {
					if !picker.Takes() {
						continue
					}
					faults.Clear()
					faults.Inject(fault)
					err := attempt(look)
					injected += faults.Injected()
					if err != nil {
						failed++
						if text := err.Error(); !strings.Contains(text, function) || !strings.Contains(text, code.Error()) {
							t.Errorf("%+v: the error does not name the function and the code: %v", fault, err)
						}
					}
					faults.Clear()
					if err := attempt(look); err != nil {
						t.Fatalf("%+v: the next run: %v", fault, err)
					}
				}
			}
		}
	}
	t.Logf("%d faults injected; %d openings failed clearly, and the next found the key", injected, failed)
}

// TestATokenThatIsNotShownIsLookedForAgain does what SoftHSM does where another process writes the token's file.
func TestATokenThatIsNotShownIsLookedForAgain(t *testing.T) {
	if hsmtest.ThisMake(t).Name != "softhsm" {
		t.Skip("other makes show their tokens")
	}
	k := hsmtest.New(t)
	open := func(c hsm.Config) error {
		token, err := hsm.Open(context.Background(), c)
		if err == nil {
			_ = token.Close()
		}
		return err
	}
	describe := func(c hsm.Config) error {
		_, err := hsm.Describe(context.Background(), c)
		return err
	}
	for name, hidden := range map[string]func(*cryptoki.Call, error) error{
		"it is not shown": func(c *cryptoki.Call, err error) error {
			if info, ok := c.Result.(*cryptoki.TokenInfo); ok && info.Label == k.Label {
				info.Label = "another"
			}
			return err
		},
		"it does not answer": func(c *cryptoki.Call, err error) error {
			if info, ok := c.Result.(*cryptoki.TokenInfo); ok && info.Label == k.Label {
				return cryptoki.CKR_GENERAL_ERROR
			}
			return err
		},
	} {
		for what, reach := range map[string]func(hsm.Config) error{"opened": open, "described": describe} {
			faults := &hsmtest.Faults{}
			lists := 0
			faults.Inject(hsmtest.Fault{Function: "C_GetTokenInfo", Nth: 1, Onwards: true, Do: func(_ context.Context, c *cryptoki.Call, next func() error) error {
				err := next()
				if lists = faults.Count("C_GetSlotList"); lists < 3 {
					return hidden(c, err)
				}
				return err
			}})
			err := reach(config(k, k.PIN, faults))
			if n := faults.Count("C_Initialize"); err != nil || lists != 3 || n != lists {
				t.Errorf("%s, %s after %d looks, for which the module was initialised %d times: %v", name, what, lists, n, err)
			}
		}
	}
	// One that is nowhere is given up.
	faults := &hsmtest.Faults{}
	wrong := config(k, k.PIN, faults)
	nobody := "nobody"
	wrong.Selector = hsm.Selector{Label: &nobody}
	if _, err := hsm.Open(context.Background(), wrong); !errors.Is(err, hsm.ErrNoToken) || faults.Count("C_GetSlotList") != 4 {
		t.Errorf("after %d looks: %v", faults.Count("C_GetSlotList"), err)
	}
	// Where several have the label, the next look shows them too.
	faults = &hsmtest.Faults{}
	faults.Inject(hsmtest.Fault{Function: "C_GetTokenInfo", Do: func(
		_ context.Context, c *cryptoki.Call, next func() error,
	) error {
		err := next()
		if info, ok := c.Result.(*cryptoki.TokenInfo); ok && info.Initialised() {
			info.Label = k.Label
		}
		return err
	}})
	_, err := hsm.Open(context.Background(), config(k, k.PIN, faults))
	if several, ok := errors.AsType[*hsm.TokenError](err); !ok || several.Matches < 2 ||
		faults.Count("C_GetSlotList") != 1 {
		t.Errorf("after %d looks: %v", faults.Count("C_GetSlotList"), err)
	}
}

// TestATokenThatIsHiddenIsNoReasonToTakeAnother shows one of several tokens, as SoftHSM does where other processes
// write the files of the others.
func TestATokenThatIsHiddenIsNoReasonToTakeAnother(t *testing.T) {
	if hsmtest.ThisMake(t).Name != "softhsm" {
		t.Skip("other makes show their tokens")
	}
	k := hsmtest.New(t)
	for name, c := range map[string]struct {
		selector        hsm.Selector
		hidden, looks   int // looks that show one token, and all
		several, serial bool
	}{
		"whatever there is":  {hsm.Selector{}, 2, 3, true, false},
		"by its label":       {k.Config().Selector, 2, 3, false, false},
		"hidden for good":    {k.Config().Selector, 9, 4, false, false},
		"all are shown":      {k.Config().Selector, 0, 1, false, false},
		"by a serial number": {k.Config().Selector, 2, 1, false, true},
	} {
		faults := &hsmtest.Faults{}
		config := k.Config(faults.Hook)
		config.Selector = c.selector
		if c.serial {
			about, err := hsm.Describe(t.Context(), k.Config())
			if err != nil {
				t.Fatal(err)
			}
			config.Selector = hsm.Selector{Serial: &about.Serial}
		}
		faults.Inject(hsmtest.Fault{Function: "C_GetTokenInfo", Do: func(_ context.Context, call *cryptoki.Call,
			next func() error) error {
			err := next()
			info, ok := call.Result.(*cryptoki.TokenInfo)
			if ok && info.Label != k.Label && info.Initialised() && faults.Count("C_GetSlotList") <= c.hidden {
				return cryptoki.CKR_GENERAL_ERROR
			}
			return err
		}})
		token, err := hsm.Open(t.Context(), config)
		if err == nil {
			_ = token.Close()
		}
		several, ok := errors.AsType[*hsm.TokenError](err)
		looks := faults.Count("C_GetSlotList")
		if c.several != ok || ok && several.Matches < 2 || !ok && err != nil || looks != c.looks {
			t.Errorf("%s, after %d looks: %v", name, looks, err)
		}
	}
}
