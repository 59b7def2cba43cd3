package cryptoki

import "testing"

func TestParseSlot(t *testing.T) {
	for in, want := range map[string]uint{"0": 0, "10": 10, "0x1F": 31, "0X10": 16, "010": 10} {
		if got, err := ParseSlot(in); err != nil || got != want {
			t.Errorf("%s is %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "-1", "0x", "one", "1.5", "0x1g"} {
		if _, err := ParseSlot(in); err == nil {
			t.Errorf("%q is a slot ID", in)
		}
	}
}

// TestPINStates: what the flags of each PIN say, alone and together. Those of the other PIN do not matter.
func TestPINStates(t *testing.T) {
	const user, officer = CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED, CKF_TOKEN_INITIALIZED
	for name, c := range map[string]struct {
		user, officer uint // flags besides
		want          string
	}{
		"none":                  {0, 0, "ok"},
		"a wrong one was tried": {CKF_USER_PIN_COUNT_LOW, CKF_SO_PIN_COUNT_LOW, "count_low"},
		"one try is left":       {CKF_USER_PIN_FINAL_TRY, CKF_SO_PIN_FINAL_TRY, "final_try"},
		"it is locked":          {CKF_USER_PIN_LOCKED, CKF_SO_PIN_LOCKED, "locked"},
		"it is to be changed":   {CKF_USER_PIN_TO_BE_CHANGED, CKF_SO_PIN_TO_BE_CHANGED, "to_be_changed"},
		"wrong ones were tried, one is left": {
			CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY, CKF_SO_PIN_COUNT_LOW | CKF_SO_PIN_FINAL_TRY, "final_try",
		},
		"none is left": {CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED, CKF_SO_PIN_FINAL_TRY | CKF_SO_PIN_LOCKED, "locked"},
		"a wrong one of the first was tried": {
			CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_TO_BE_CHANGED, CKF_SO_PIN_COUNT_LOW | CKF_SO_PIN_TO_BE_CHANGED, "to_be_changed",
		},
	} {
		if have := (TokenInfo{Flags: user | c.user}).PINState(); have != c.want {
			t.Errorf("%s: the user's PIN is %q, not %q", name, have, c.want)
		}
		if have := (TokenInfo{Flags: officer | c.officer}).OfficerPINState(); have != c.want {
			t.Errorf("%s: the security officer's PIN is %q, not %q", name, have, c.want)
		}
		both := TokenInfo{Flags: user | c.officer}
		if have := both.PINState(); have != "ok" {
			t.Errorf("%s for the security officer: the user's PIN is %q", name, have)
		}
		both.Flags = user | c.user
		if have := both.OfficerPINState(); have != "ok" {
			t.Errorf("%s for the user: the security officer's PIN is %q", name, have)
		}
		if have := (TokenInfo{Flags: c.officer}).OfficerPINState(); have != "not_set" {
			t.Errorf("%s, on a blank token: the security officer's PIN is %q", name, have)
		}
	}
	if have := (TokenInfo{Flags: officer}).PINState(); have != "not_set" {
		t.Errorf("a user without a PIN has one that is %q", have)
	}
}
