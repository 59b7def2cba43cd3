package cryptoki

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Busy are codes by which a token asks for patience, by the C function's name; "" is for every function that changes
// nothing on the token.
type Busy map[string][]RV

// harmless are the functions that change nothing on a token.
var harmless = []string{
	"C_GetInfo", "C_GetSlotList", "C_GetSlotInfo", "C_GetTokenInfo", "C_GetMechanismList", "C_GetMechanismInfo",
	"C_OpenSession", "C_GetSessionInfo", "C_FindObjectsInit", "C_FindObjects", "C_FindObjectsFinal", "C_GetAttributeValue",
	"C_SignInit", "C_Sign", "C_VerifyInit", "C_Verify", "C_EncryptInit", "C_Encrypt", "C_DecryptInit", "C_Decrypt",
	"C_GenerateRandom",
}

// continuing are the functions that go on with what another one has begun. Where one fails, it cannot be called again:
// the whole is begun anew.
var continuing = []string{"C_FindObjects", "C_Sign", "C_Verify", "C_Encrypt", "C_Decrypt"}

// Pace has calls that the token is too busy for made again later, as long as their context lasts. It is for who has
// opened the module, before anything else is called.
func (m *Module) Pace(busy Busy) { m.busy = busy }

// asksForPatience says that a failure means that the token is busy.
func (b Busy) asksForPatience(err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok || len(b) == 0 {
		return false
	}
	return slices.Contains(b[e.Function], e.Code) ||
		slices.Contains(harmless, e.Function) && slices.Contains(b[""], e.Code)
}

// BusyError says that a token has asked for patience until there was no more time.
type BusyError struct {
	For time.Duration
	Err error // what it answered last
	Why error // why the waiting ended: the context's error, nil where that has none
}

// Error returns "cryptoki: C_Sign: CKR_DEVICE_ERROR (0x30), by which this token asks for patience, and so for 30s".
func (e *BusyError) Error() string {
	return fmt.Sprintf("%v, by which this token asks for patience, and so for %s", e.Err, e.For.Round(time.Millisecond))
}

// Unwrap gives the last answer, and why the waiting ended.
func (e *BusyError) Unwrap() []error { return []error{e.Err, e.Why} }

// How long a busy token is left alone: twice as long each time, and not all callers for the same time.
const (
	firstPause = 50 * time.Millisecond
	mostPause  = 2 * time.Second
	noDeadline = 2 * time.Minute // patience where a context has no end
)

// patiently makes a call again, with pauses, as long as the token asks for patience.
func patiently[T any](ctx context.Context, busy Busy, call func() (T, error)) (T, error) {
	value, err := call()
	if !busy.asksForPatience(err) {
		return value, err
	}
	start := time.Now()
	for pause := firstPause; ; pause = min(2*pause, mostPause) {
		_, ends := ctx.Deadline()
		over := !ends && time.Since(start) > noDeadline
		select {
		case <-ctx.Done():
			over = true
		case <-time.After(pause/2 + rand.N(pause/2+1)): //nolint:gosec // only so that not all call at the same time
		}
		if over || ctx.Err() != nil {
			return value, &BusyError{For: time.Since(start), Err: err, Why: context.Cause(ctx)}
		}
		if value, err = call(); !busy.asksForPatience(err) {
			return value, err
		}
	}
}
