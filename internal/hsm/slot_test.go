package hsm_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// slotOf is the slot of a token among all.
func slotOf(t *testing.T, slots []hsm.Slot, label string) hsm.Slot {
	t.Helper()
	for _, slot := range slots {
		if slot.Token != nil && slot.Token.Label == label {
			return slot
		}
	}
	t.Fatalf("no slot holds the token %s", label)
	return hsm.Slot{}
}

func TestDescribingNeedsNoLogin(t *testing.T) {
	k := hsmtest.New(t)
	ctx := context.Background()
	faults := &hsmtest.Faults{}
	c := config(k, "", faults)
	d, err := hsm.Describe(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	c.Selector = hsm.Selector{}
	slots, err := hsm.Slots(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	slot := slotOf(t, slots, k.Label)
	if d.Label != k.Label || slot.ID != d.TokenInfo.Slot || *slot.Token != d.TokenInfo || *slot.Info != d.Slot || !d.Slot.HasToken() || slot.Err != nil {
		t.Errorf("described as %+v, and in its slot as %+v", d, slot)
	}
	if !slices.Contains(d.Words(), "token_initialized") || !slices.Contains(slot.Info.Words(), "token_present") {
		t.Errorf("flags %v, %v", d.Words(), slot.Info.Words())
	}
	i := slices.IndexFunc(d.Mechanisms, func(m hsm.Mechanism) bool { return m.Type == cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN })
	if i < 0 || d.Mechanisms[i].Info == nil || !slices.Contains(d.Mechanisms[i].Words(), "generate_key_pair") {
		t.Errorf("the mechanisms are %v", d.Mechanisms)
	}
	if !slices.IsSortedFunc(d.Mechanisms, func(a, b hsm.Mechanism) int { return int(a.Type) - int(b.Type) }) {
		t.Error("the mechanisms have no order")
	}
	for _, function := range []string{"C_Login", "C_OpenSession"} {
		if n := faults.Count(function); n != 0 {
			t.Errorf("%s was called %d times", function, n)
		}
	}
}

// TestAMechanismThatTheTokenKnowsNothingOf has the token list a mechanism twice, and a vendor's mechanism that it
// cannot describe.
func TestAMechanismThatTheTokenKnowsNothingOf(t *testing.T) {
	k := hsmtest.New(t)
	faults := &hsmtest.Faults{}
	honest, err := hsm.Describe(context.Background(), config(k, "", faults))
	if err != nil {
		t.Fatal(err)
	}
	faults.Inject(hsmtest.Fault{Function: "C_GetMechanismList", Do: func(_ context.Context, call *cryptoki.Call, next func() error) error {
		err := next()
		list := call.Result.(*[]cryptoki.MechanismType)
		*list = append(*list, 0xF0000001, (*list)[0])
		return err
	}})
	d, err := hsm.Describe(context.Background(), config(k, "", faults))
	if err != nil {
		t.Fatal(err)
	}
	last := d.Mechanisms[len(d.Mechanisms)-1]
	if len(d.Mechanisms) != len(honest.Mechanisms)+1 || last.Info != nil || len(last.Words()) != 0 || last.Type.String() != "0xF0000001" {
		t.Errorf("%d mechanisms, where %d are real; the last is %+v", len(d.Mechanisms), len(honest.Mechanisms), last)
	}
}

// TestEveryCallOfADescriptionFails has each call fail with several codes: a description is whole, or there is an error
// that says which call failed. A call that fails once is repeated. Only a mechanism that the token lists but does not
// have is shown without details.
func TestEveryCallOfADescriptionFails(t *testing.T) {
	k := hsmtest.New(t)
	ctx := context.Background()
	faults := &hsmtest.Faults{}
	honest, err := hsm.Describe(ctx, config(k, "", faults))
	if err != nil {
		t.Fatal(err)
	}
	functions := map[string]bool{}
	for _, f := range faults.Calls() {
		functions[f] = true
	}
	delete(functions, "C_Finalize") // nothing depends on it
	for _, function := range slices.Sorted(maps.Keys(functions)) {
		for _, code := range []cryptoki.RV{cryptoki.CKR_DEVICE_ERROR, cryptoki.CKR_TOKEN_NOT_PRESENT, cryptoki.CKR_FUNCTION_NOT_SUPPORTED, cryptoki.CKR_BUFFER_TOO_SMALL} {
			for _, fault := range []hsmtest.Fault{{Function: function, Code: code, Nth: 1}, {Function: function, Code: code, Nth: 1, Onwards: true}} {
				faults.Clear()
				faults.Inject(fault)
				d, err := hsm.Describe(ctx, config(k, "", faults))
				switch {
				case faults.Injected() == 0:
					t.Fatalf("%s was not called", function)
				case err != nil:
					if !strings.Contains(err.Error(), function) || !strings.Contains(err.Error(), code.Error()) {
						t.Errorf("%s answers %s: %v", function, code, err)
					}
					if !fault.Onwards && function != "C_Initialize" {
						t.Errorf("%s answers %s once, and that is not made good: %v", function, code, err)
					}
				case len(d.Mechanisms) != len(honest.Mechanisms) || d.TokenInfo != honest.TokenInfo:
					t.Errorf("%s answers %s, and the description is %+v", function, code, d)
				}
			}
		}
	}
}

func TestASlotThatFailsHidesNoOther(t *testing.T) {
	hsmtest.Needs(t, hsmtest.TwoTokens)
	k := hsmtest.New(t)
	ctx := context.Background()
	for name, c := range hsmtest.InOrder(map[string]struct {
		function string
		told     bool // what is told of the slot itself
	}{
		"a slot":              {"C_GetSlotInfo", false},
		"the token in a slot": {"C_GetTokenInfo", true},
	}) {
		t.Run(name, func(t *testing.T) {
			faults := &hsmtest.Faults{}
			all, err := hsm.Slots(ctx, config(k, "", faults))
			if err != nil || len(all) < 2 {
				t.Fatalf("%d slots, %v", len(all), err)
			}
			faults.Inject(hsmtest.Fault{Function: c.function, Code: cryptoki.CKR_DEVICE_ERROR, Nth: 1}) // and again, when it is asked once more
			faults.Inject(hsmtest.Fault{Function: c.function, Code: cryptoki.CKR_DEVICE_ERROR, Nth: 2})
			slots, err := hsm.Slots(ctx, config(k, "", faults))
			if err != nil || len(slots) != len(all) {
				t.Fatalf("%d slots of %d, %v", len(slots), len(all), err)
			}
			broken := 0
			for i, slot := range slots {
				if slot.Err == nil && *slot.Info == *all[i].Info && *slot.Token == *all[i].Token {
					continue
				}
				broken++
				if !errors.Is(slot.Err, cryptoki.CKR_DEVICE_ERROR) || slot.Token != nil ||
					(slot.Info != nil) != c.told {
					t.Errorf("slot %d: %+v", slot.ID, slot)
				}
			}
			if broken != 1 {
				t.Errorf("%d slots are broken", broken)
			}
		})
	}
	t.Run("one without a token is no failure", func(t *testing.T) {
		faults := &hsmtest.Faults{}
		faults.Inject(hsmtest.Fault{Function: "C_GetSlotInfo", Nth: 1, Do: func(_ context.Context, call *cryptoki.Call, next func() error) error {
			err := next()
			call.Result.(*cryptoki.SlotInfo).Flags &^= cryptoki.CKF_TOKEN_PRESENT
			return err
		}})
		slots, err := hsm.Slots(ctx, config(k, "", faults))
		if err != nil {
			t.Fatal(err)
		}
		empty := slices.DeleteFunc(slots, func(s hsm.Slot) bool { return s.Token != nil })
		if len(empty) != 1 || empty[0].Err != nil || empty[0].Info.HasToken() {
			t.Errorf("empty are %+v", empty)
		}
	})
	t.Run("no list is one", func(t *testing.T) {
		faults := &hsmtest.Faults{}
		faults.Inject(hsmtest.Fault{Function: "C_GetSlotList", Code: cryptoki.CKR_DEVICE_ERROR})
		if _, err := hsm.Slots(ctx, config(k, "", faults)); !errors.Is(err, cryptoki.CKR_DEVICE_ERROR) {
			t.Errorf("got %v", err)
		}
	})
}

func TestPINState(t *testing.T) {
	const set = cryptoki.CKF_USER_PIN_INITIALIZED
	for flags, want := range map[uint]string{
		0: "not_set", set: "ok", set | cryptoki.CKF_USER_PIN_COUNT_LOW: "count_low",
		set | cryptoki.CKF_USER_PIN_COUNT_LOW | cryptoki.CKF_USER_PIN_FINAL_TRY: "final_try",
		set | cryptoki.CKF_USER_PIN_FINAL_TRY | cryptoki.CKF_USER_PIN_LOCKED:    "locked",
		set | cryptoki.CKF_USER_PIN_TO_BE_CHANGED:                               "to_be_changed",
	} {
		info := hsm.TokenInfo{Flags: flags | 0x80000000}
		if got := info.PINState(); got != want {
			t.Errorf("0x%X is %s, not %s", flags, got, want)
		}
		if words := info.Words(); words[len(words)-1] != "0x80000000" {
			t.Errorf("a flag without a name is lost: %v", words)
		}
	}
}
