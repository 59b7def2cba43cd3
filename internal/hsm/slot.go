package hsm

import (
	"cmp"
	"context"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// What is told of slots, tokens and mechanisms without a session, and so without a PIN.

// Slot is a slot of a module, with the token that is in it.
type Slot struct {
	ID    uint
	Info  *cryptoki.SlotInfo  // nil where Err says why it could not be read
	Token *cryptoki.TokenInfo // nil where there is none, or where Err says why it could not be read
	Err   error
}

// Slots describes every slot of the module that the Config names, by slot ID, with or without a token. It uses nothing
// else of the Config but the parameters and the hooks, and opens no session. A slot that does not answer has an Err, and
// the others are still shown. Errors: *LibraryError, ErrParameters, or the module's failure to list its slots.
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
	slot.Info = &info
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
	cryptoki.TokenInfo
	Slot       cryptoki.SlotInfo
	Mechanisms []Mechanism // by number
	Module     cryptoki.Info
	Make       string   // as the tables of makes have it; "" where they know nothing of the token
	Differs    []string // what they say that it does differently: full sentences
}

// Mechanism is what a token says of one mechanism.
type Mechanism struct {
	Type cryptoki.MechanismType
	Info *cryptoki.MechanismInfo // nil where the token lists the mechanism, but does not describe it
}

// Words are the mechanism's flags, in the order of their bits: what it can do. There are none where Info is nil.
func (m Mechanism) Words() []string {
	if m.Info == nil {
		return []string{}
	}
	return m.Info.Words()
}

// Describe describes the one token that the Config names. It opens no session, so it needs no PIN. Errors: those of
// Open, or the module's failure.
func Describe(ctx context.Context, c Config) (Description, error) {
	module, info, _, err := reach(ctx, c)
	if err != nil {
		return Description{}, err
	}
	defer func() { _ = module.Close() }() // nothing that was read depends on it
	slot, err := twice(ctx, func() (cryptoki.SlotInfo, error) { return module.GetSlotInfo(ctx, info.Slot) })
	if err != nil {
		return Description{}, err
	}
	d := Description{TokenInfo: info, Slot: slot}
	if d.Module, err = twice(ctx, func() (cryptoki.Info, error) { return module.GetInfo(ctx) }); err != nil {
		return Description{}, err
	}
	d.Make, d.Differs = quirk.Known(d.Module, info)
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
