package hsm

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// What is told of slots, tokens and mechanisms without a session, and so without a PIN.

// Slot is a slot of a module, with the token that is in it.
type Slot struct {
	ID    uint
	Info  *SlotInfo  // nil where Err is why it could not be asked
	Token *TokenInfo // nil where there is none, or where Err is why it could not be asked
	Err   error
}

// SlotInfo describes a slot.
type SlotInfo struct{ cryptoki.SlotInfo }

// Slots describes every slot of the module that the Config names, by slot ID, be there a token in it or not. It uses
// nothing else of the Config but the hooks, and opens no session. A slot that does not answer has its error with it
// and hides no other. Errors: *LibraryError, or the module's failure to list its slots.
func Slots(ctx context.Context, c Config) ([]Slot, error) {
	module, err := openModule(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { _ = module.Close() }() // nothing that was read depends on it
	ids, err := twice(ctx, func() ([]uint, error) { return module.GetSlotList(ctx, false) })
	if err != nil {
		return nil, err
	}
	slots := make([]Slot, len(ids))
	for i, id := range ids {
		slots[i] = slotOf(ctx, module, id)
		if ctx.Err() != nil {
			return nil, cmp.Or(slots[i].Err, context.Cause(ctx))
		}
	}
	slices.SortFunc(slots, func(a, b Slot) int { return cmp.Compare(a.ID, b.ID) })
	return slots, nil
}

func slotOf(ctx context.Context, m *cryptoki.Module, id uint) Slot {
	slot := Slot{ID: id}
	info, err := twice(ctx, func() (cryptoki.SlotInfo, error) { return m.GetSlotInfo(ctx, id) })
	if err != nil {
		slot.Err = err
		return slot
	}
	slot.Info = &SlotInfo{info}
	if !slot.Info.HasToken() {
		return slot
	}
	token, err := tokenInfo(ctx, m, id)
	if err != nil {
		slot.Err = err
		return slot
	}
	slot.Token = &token
	return slot
}

// Description is a token and what it can do.
type Description struct {
	TokenInfo
	Slot       SlotInfo
	Mechanisms []Mechanism // by number
}

// Mechanism is what a token says of one mechanism.
type Mechanism struct {
	Type cryptoki.MechanismType
	Info *cryptoki.MechanismInfo // nil where the token lists the mechanism and says no more of it
}

// Describe tells of the one token that the Config names. It opens no session, so that it takes no PIN. Errors: as
// those of Open, or the module's failure.
func Describe(ctx context.Context, c Config) (Description, error) {
	module, err := openModule(ctx, c)
	if err != nil {
		return Description{}, err
	}
	defer func() { _ = module.Close() }() // nothing that was read depends on it
	info, err := selectToken(ctx, module, c.Selector)
	if err != nil {
		return Description{}, err
	}
	slot, err := twice(ctx, func() (cryptoki.SlotInfo, error) { return module.GetSlotInfo(ctx, info.Slot) })
	if err != nil {
		return Description{}, err
	}
	d := Description{TokenInfo: info, Slot: SlotInfo{slot}}
	listed, err := twice(ctx, func() ([]cryptoki.MechanismType, error) { return module.GetMechanismList(ctx, info.Slot) })
	if err != nil {
		return Description{}, err
	}
	slices.Sort(listed)
	for _, t := range slices.Compact(listed) {
		about, err := twice(ctx, func() (cryptoki.MechanismInfo, error) { return module.GetMechanismInfo(ctx, info.Slot, t) })
		switch {
		case err == nil:
			d.Mechanisms = append(d.Mechanisms, Mechanism{Type: t, Info: &about})
		case cryptoki.Refused(err):
			d.Mechanisms = append(d.Mechanisms, Mechanism{Type: t})
		default:
			return Description{}, err
		}
	}
	return d, nil
}

// twice reads once more where the first answer is a failure.
func twice[T any](ctx context.Context, read func() (T, error)) (T, error) {
	v, err := read()
	if err != nil && ctx.Err() == nil {
		v, err = read()
	}
	return v, err
}

// HasToken says that there is a token in the slot.
func (i SlotInfo) HasToken() bool { return i.Flags&cryptoki.CKF_TOKEN_PRESENT != 0 }

// PINState is the state of the user PIN in a word: "ok", "count_low" (a wrong one was tried), "final_try" (the next
// wrong one locks it), "locked", "to_be_changed" or "not_set".
func (i TokenInfo) PINState() string {
	for _, row := range []struct {
		flag uint
		word string
	}{
		{cryptoki.CKF_USER_PIN_LOCKED, "locked"},
		{cryptoki.CKF_USER_PIN_FINAL_TRY, "final_try"},
		{cryptoki.CKF_USER_PIN_TO_BE_CHANGED, "to_be_changed"},
		{cryptoki.CKF_USER_PIN_COUNT_LOW, "count_low"},
	} {
		if i.Has(row.flag) {
			return row.word
		}
	}
	if !i.Has(cryptoki.CKF_USER_PIN_INITIALIZED) {
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
	{cryptoki.CKF_TOKEN_PRESENT, "token_present"},
	{cryptoki.CKF_REMOVABLE_DEVICE, "removable_device"},
	{cryptoki.CKF_HW_SLOT, "hw_slot"},
}

var tokenFlags = []flagWord{
	{cryptoki.CKF_RNG, "rng"},
	{cryptoki.CKF_WRITE_PROTECTED, "write_protected"},
	{cryptoki.CKF_LOGIN_REQUIRED, "login_required"},
	{cryptoki.CKF_USER_PIN_INITIALIZED, "user_pin_initialized"},
	{cryptoki.CKF_RESTORE_KEY_NOT_NEEDED, "restore_key_not_needed"},
	{cryptoki.CKF_CLOCK_ON_TOKEN, "clock_on_token"},
	{cryptoki.CKF_PROTECTED_AUTHENTICATION_PATH, "protected_authentication_path"},
	{cryptoki.CKF_DUAL_CRYPTO_OPERATIONS, "dual_crypto_operations"},
	{cryptoki.CKF_TOKEN_INITIALIZED, "token_initialized"},
	{cryptoki.CKF_SECONDARY_AUTHENTICATION, "secondary_authentication"},
	{cryptoki.CKF_USER_PIN_COUNT_LOW, "user_pin_count_low"},
	{cryptoki.CKF_USER_PIN_FINAL_TRY, "user_pin_final_try"},
	{cryptoki.CKF_USER_PIN_LOCKED, "user_pin_locked"},
	{cryptoki.CKF_USER_PIN_TO_BE_CHANGED, "user_pin_to_be_changed"},
	{cryptoki.CKF_SO_PIN_COUNT_LOW, "so_pin_count_low"},
	{cryptoki.CKF_SO_PIN_FINAL_TRY, "so_pin_final_try"},
	{cryptoki.CKF_SO_PIN_LOCKED, "so_pin_locked"},
	{cryptoki.CKF_SO_PIN_TO_BE_CHANGED, "so_pin_to_be_changed"},
	{cryptoki.CKF_ERROR_STATE, "error_state"},
}

var mechanismFlags = []flagWord{
	{cryptoki.CKF_HW, "hw"},
	{cryptoki.CKF_MESSAGE_ENCRYPT, "message_encrypt"},
	{cryptoki.CKF_MESSAGE_DECRYPT, "message_decrypt"},
	{cryptoki.CKF_MESSAGE_SIGN, "message_sign"},
	{cryptoki.CKF_MESSAGE_VERIFY, "message_verify"},
	{cryptoki.CKF_MULTI_MESSAGE, "multi_message"},
	{cryptoki.CKF_FIND_OBJECTS, "find_objects"},
	{cryptoki.CKF_ENCRYPT, "encrypt"},
	{cryptoki.CKF_DECRYPT, "decrypt"},
	{cryptoki.CKF_DIGEST, "digest"},
	{cryptoki.CKF_SIGN, "sign"},
	{cryptoki.CKF_SIGN_RECOVER, "sign_recover"},
	{cryptoki.CKF_VERIFY, "verify"},
	{cryptoki.CKF_VERIFY_RECOVER, "verify_recover"},
	{cryptoki.CKF_GENERATE, "generate"},
	{cryptoki.CKF_GENERATE_KEY_PAIR, "generate_key_pair"},
	{cryptoki.CKF_WRAP, "wrap"},
	{cryptoki.CKF_UNWRAP, "unwrap"},
	{cryptoki.CKF_DERIVE, "derive"},
	{cryptoki.CKF_EC_F_P, "ec_f_p"},
	{cryptoki.CKF_EC_F_2M, "ec_f_2m"},
	{cryptoki.CKF_EC_ECPARAMETERS, "ec_ecparameters"},
	{cryptoki.CKF_EC_OID, "ec_oid"},
	{cryptoki.CKF_EC_UNCOMPRESS, "ec_uncompress"},
	{cryptoki.CKF_EC_COMPRESS, "ec_compress"},
	{cryptoki.CKF_EC_CURVENAME, "ec_curvename"},
	{cryptoki.CKF_EXTENSION, "extension"},
}

// Words are the slot's flags, in the order of their bits.
func (i SlotInfo) Words() []string { return flagWords(slotFlags, i.Flags) }

// Words are the token's flags, in the order of their bits.
func (i TokenInfo) Words() []string { return flagWords(tokenFlags, i.Flags) }

// Words are the mechanism's flags, in the order of their bits: what it can do. Where Info is nil there are none.
func (m Mechanism) Words() []string {
	if m.Info == nil {
		return []string{}
	}
	return flagWords(mechanismFlags, m.Info.Flags)
}

// flagWords names the flags that are set. Those that have no name are one number at the end.
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
