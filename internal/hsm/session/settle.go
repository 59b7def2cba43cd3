package session

import (
	"context"
	"time"
)

// SettleTime is how long an operation may go on after its context has ended, to leave things in order: to read back,
// put back or clear away what it has begun. People wait for it after an interrupt.
const SettleTime = 700 * time.Millisecond

// Settling is a context that outlives ctx by SettleTime.
func Settling(ctx context.Context) (context.Context, context.CancelFunc) {
	settle, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(SettleTime, func() { cancel(context.Cause(ctx)) })
	})
	return settle, func() { stop(); cancel(context.Canceled) }
}
