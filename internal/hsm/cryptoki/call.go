package cryptoki

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Call is one call into a module, as a Hook sees it.
type Call struct {
	Function string // the C function: "C_GenerateKeyPair"
	Session  uint   // the session's handle, 0 where the function has none
	Object   Object // the object's handle, 0 where the function has none
	// Mechanism is that of C_GenerateKey and C_GenerateKeyPair.
	Mechanism MechanismType
	// Result points to what the call gives back once it has returned, for a hook that stands in for a token
	// that lies: *Reading for C_GetAttributeValue, *[]Object for one C_FindObjects, *[]byte for C_Sign.
	Result any

	progress atomic.Int32 // calling, waiting or given up
}

const (
	calling int32 = iota // in the module, as far as anyone knows
	waiting              // a hook keeps it back
	givenUp              // by who made it
)

// Wait says that a hook keeps the call back: should its context end now, it was not made, and nothing hangs. It is false
// where nobody waits for the call any more.
func (c *Call) Wait() bool { return c.progress.CompareAndSwap(calling, waiting) }

// Proceed ends Wait. It is false where nobody waits for the call any more: then it must not be made.
func (c *Call) Proceed() bool { return c.progress.CompareAndSwap(waiting, calling) }

// Hook stands around a call: it may watch it, delay it, leave it out (not calling next), or change what it
// answers. It runs in the call's own goroutine and may be called by many at once. Tracing is a hook, and so
// is every fault that a test injects.
type Hook func(ctx context.Context, c *Call, next func() error) error

// NotCalled is the error of a call that was not made since its context had ended.
func (c *Call) NotCalled(ctx context.Context) error {
	return fmt.Errorf("cryptoki: %s was not called: %w", c.Function, context.Cause(ctx))
}

// invoke makes one call, through the module's hooks, in a goroutine of its own, and waits for it no longer
// than the context lasts. Everything that reaches the module passes here.
func invoke[T any](ctx context.Context, m *Module, c *Call, f func() (T, error)) (T, error) {
	var zero T
	if ctx.Err() != nil {
		return zero, c.NotCalled(ctx)
	}
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	start := time.Now()
	m.inflight.Add(1)
	go func() {
		defer m.inflight.Add(-1)
		var a answer
		defer func() {
			// Nothing that a module says should come to this. Where it does, one call fails, and not the process.
			if p := recover(); p != nil {
				a.value, a.err = zero, &AnswerError{Function: c.Function, Object: c.Object, Problem: fmt.Sprint(p)}
			}
			answers <- a
		}()
		c.Result = &a.value
		call := func() (err error) {
			a.value, err = f()
			return functionError(c, err)
		}
		for _, hook := range m.hooks {
			next := call
			call = func() error { return hook(ctx, c, next) }
		}
		a.err = call()
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		select {
		case a := <-answers: // it came at the last moment
			return a.value, a.err
		default:
		}
		if c.progress.CompareAndSwap(waiting, givenUp) {
			return zero, c.NotCalled(ctx)
		}
		return zero, &HangError{Function: c.Function, After: time.Since(start), Err: context.Cause(ctx)}
	}
}

// run is invoke for a function that gives nothing back.
func run(ctx context.Context, m *Module, c *Call, f func() error) error {
	_, err := invoke(ctx, m, c, func() (struct{}, error) { return struct{}{}, f() })
	return err
}
