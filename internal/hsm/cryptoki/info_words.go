package cryptoki

import (
	"fmt"
	"strconv"
	"strings"
)

// What slots, tokens and mechanisms say of themselves, in words.

// ParseSlot reads a slot ID, decimal or with 0x, as Ory Hydra's HSM_SLOT has it.
func ParseSlot(s string) (uint, error) {
	digits, base := s, 10
	if rest, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
		digits, base = rest, 16
	}
	slot, err := strconv.ParseUint(digits, base, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a slot ID, which is a number: decimal, or hexadecimal with 0x in front", s)
	}
	return uint(slot), nil
}

// String is such as `slot 0x1: label "a", serial number 12, model Box v2, manufacturer Acme`.
func (i TokenInfo) String() string {
	if !i.Has(CKF_TOKEN_INITIALIZED) {
		return fmt.Sprintf("slot %d (0x%x): not initialised", i.Slot, i.Slot)
	}
	serial := "no serial number"
	if TellsTokens(i.Serial) {
		serial = fmt.Sprintf("serial number %q", i.Serial)
	}
	return fmt.Sprintf("slot %d (0x%x): label %q, %s, model %q, manufacturer %q", i.Slot, i.Slot, i.Label, serial, i.Model, i.Manufacturer)
}

// HasSerial says that the token has a serial number that tells it from others.
func (i TokenInfo) HasSerial() bool { return TellsTokens(i.Serial) }

// TellsTokens says that a serial number tells a token from others. Some makes give none, or all zeros.
func TellsTokens(serial string) bool { return strings.Trim(serial, "0 \x00") != "" }

// Identity tells a token from others. The module and the slot do not matter.
func (i TokenInfo) Identity() string {
	return fmt.Sprintf("%q %q %q %q", i.Manufacturer, i.Model, i.Serial, i.Label)
}

// HasToken says that there is a token in the slot.
func (i SlotInfo) HasToken() bool { return i.Flags&CKF_TOKEN_PRESENT != 0 }

// PINState is the state of the user PIN in a word: "ok", "count_low" (a wrong one was tried), "final_try" (the next
// wrong one locks it), "locked", "to_be_changed" or "not_set".
func (i TokenInfo) PINState() string {
	return i.pinState(i.PINInitialised(), CKF_USER_PIN_LOCKED, CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_TO_BE_CHANGED,
		CKF_USER_PIN_COUNT_LOW)
}

// OfficerPINState is the same of the security officer's PIN. A token that is not initialised has none, whatever its
// flags say.
func (i TokenInfo) OfficerPINState() string {
	if !i.Initialised() {
		return "not_set"
	}
	return i.pinState(true, CKF_SO_PIN_LOCKED, CKF_SO_PIN_FINAL_TRY, CKF_SO_PIN_TO_BE_CHANGED, CKF_SO_PIN_COUNT_LOW)
}

func (i TokenInfo) pinState(set bool, locked, finalTry, toBeChanged, countLow uint) string {
	switch {
	case i.Has(locked):
		return "locked"
	case i.Has(finalTry):
		return "final_try"
	case i.Has(toBeChanged):
		return "to_be_changed"
	case i.Has(countLow):
		return "count_low"
	case !set:
		return "not_set"
	}
	return "ok"
}

// flagWord is a flag, and its name in the specification without CKF_, in lower case.
type flagWord struct {
	flag uint
	word string
}

var slotFlags = []flagWord{
	{CKF_TOKEN_PRESENT, "token_present"},
	{CKF_REMOVABLE_DEVICE, "removable_device"},
	{CKF_HW_SLOT, "hw_slot"},
}

var tokenFlags = []flagWord{
	{CKF_RNG, "rng"},
	{CKF_WRITE_PROTECTED, "write_protected"},
	{CKF_LOGIN_REQUIRED, "login_required"},
	{CKF_USER_PIN_INITIALIZED, "user_pin_initialized"},
	{CKF_RESTORE_KEY_NOT_NEEDED, "restore_key_not_needed"},
	{CKF_CLOCK_ON_TOKEN, "clock_on_token"},
	{CKF_PROTECTED_AUTHENTICATION_PATH, "protected_authentication_path"},
	{CKF_DUAL_CRYPTO_OPERATIONS, "dual_crypto_operations"},
	{CKF_TOKEN_INITIALIZED, "token_initialized"},
	{CKF_SECONDARY_AUTHENTICATION, "secondary_authentication"},
	{CKF_USER_PIN_COUNT_LOW, "user_pin_count_low"},
	{CKF_USER_PIN_FINAL_TRY, "user_pin_final_try"},
	{CKF_USER_PIN_LOCKED, "user_pin_locked"},
	{CKF_USER_PIN_TO_BE_CHANGED, "user_pin_to_be_changed"},
	{CKF_SO_PIN_COUNT_LOW, "so_pin_count_low"},
	{CKF_SO_PIN_FINAL_TRY, "so_pin_final_try"},
	{CKF_SO_PIN_LOCKED, "so_pin_locked"},
	{CKF_SO_PIN_TO_BE_CHANGED, "so_pin_to_be_changed"},
	{CKF_ERROR_STATE, "error_state"},
}

var mechanismFlags = []flagWord{
	{CKF_HW, "hw"},
	{CKF_MESSAGE_ENCRYPT, "message_encrypt"},
	{CKF_MESSAGE_DECRYPT, "message_decrypt"},
	{CKF_MESSAGE_SIGN, "message_sign"},
	{CKF_MESSAGE_VERIFY, "message_verify"},
	{CKF_MULTI_MESSAGE, "multi_message"},
	{CKF_FIND_OBJECTS, "find_objects"},
	{CKF_ENCRYPT, "encrypt"},
	{CKF_DECRYPT, "decrypt"},
	{CKF_DIGEST, "digest"},
	{CKF_SIGN, "sign"},
	{CKF_SIGN_RECOVER, "sign_recover"},
	{CKF_VERIFY, "verify"},
	{CKF_VERIFY_RECOVER, "verify_recover"},
	{CKF_GENERATE, "generate"},
	{CKF_GENERATE_KEY_PAIR, "generate_key_pair"},
	{CKF_WRAP, "wrap"},
	{CKF_UNWRAP, "unwrap"},
	{CKF_DERIVE, "derive"},
	{CKF_EC_F_P, "ec_f_p"},
	{CKF_EC_F_2M, "ec_f_2m"},
	{CKF_EC_ECPARAMETERS, "ec_ecparameters"},
	{CKF_EC_OID, "ec_oid"},
	{CKF_EC_UNCOMPRESS, "ec_uncompress"},
	{CKF_EC_COMPRESS, "ec_compress"},
	{CKF_EC_CURVENAME, "ec_curvename"},
	{CKF_EXTENSION, "extension"},
}

// Words are the slot's flags, in the order of their bits.
func (i SlotInfo) Words() []string { return flagWords(slotFlags, i.Flags) }

// Words are the token's flags, in the order of their bits.
func (i TokenInfo) Words() []string { return flagWords(tokenFlags, i.Flags) }

// Words are the mechanism's flags, in the order of their bits: what it can do.
func (i MechanismInfo) Words() []string { return flagWords(mechanismFlags, i.Flags) }

// flagWords names the flags that are set. Flags without a name are one number at the end.
func flagWords(table []flagWord, flags uint) []string {
	words := []string{}
	for _, row := range table {
		if flags&row.flag != 0 {
			words = append(words, row.word)
			flags &^= row.flag
		}
	}
	if flags != 0 {
		words = append(words, fmt.Sprintf("0x%X", flags))
	}
	return words
}

// Initialised says whether the token is initialised. One that is not has neither a label nor keys.
func (i TokenInfo) Initialised() bool { return i.Has(CKF_TOKEN_INITIALIZED) }

// PINInitialised says whether the token's user has a PIN.
func (i TokenInfo) PINInitialised() bool { return i.Has(CKF_USER_PIN_INITIALIZED) }
