package cryptoki

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// Call is one call into a module, as a Hook sees it.
type Call struct {
	Function string // the C function: "C_GenerateKeyPair"
	Session  uint   // the session's handle, 0 where the function has none
	Object   Object // the object's handle, 0 where the function has none
	User     User   // who logs in, of C_Login
	// What is given to the call. A hook may give it something else before it goes on, as a make would that understands
	// it differently.
	//
	// Mechanism is that of C_GetMechanismInfo, of what makes keys, and of what begins with C_...Init.
	Mechanism MechanismType
	// Template is that of C_FindObjectsInit, C_CreateObject, C_SetAttributeValue, C_GenerateKey and C_DeriveKey; of
	// C_GenerateKeyPair it is the private half's, and Public is the other half's.
	Template, Public []Attribute
	Types            []AttributeType // of C_GetAttributeValue; not to be exchanged
	Data             []byte          // what C_Sign, C_Verify, C_Encrypt and C_Decrypt work on
	Point            []byte          // of C_DeriveKey by ECDH: the other side's
	// Result points to the call's result once the call has returned. A hook may change it, as a token that lies would:
	// *Reading for C_GetAttributeValue, *[]Object for one C_FindObjects, *[]byte for C_Sign and C_GenerateRandom.
	Result any

	module   *Module
	progress atomic.Int32 // calling, waiting or given up
}

// Behind is the call's session, for a hook that makes further calls: they pass no hooks.
func (c *Call) Behind() *Session {
	return &Session{module: &Module{library: c.module.library}, handle: c.Session}
}

const (
	calling int32 = iota // may be in the module
	waiting              // a hook holds it back
	givenUp              // the caller no longer waits for it
)

// Wait says that a hook holds the call back: if its context ends now, the call was not made, and nothing hangs. It is
// false where nobody waits for the call any more.
func (c *Call) Wait() bool { return c.progress.CompareAndSwap(calling, waiting) }

// Proceed ends Wait. It is false where nobody waits for the call any more; then the call must not be made.
func (c *Call) Proceed() bool { return c.progress.CompareAndSwap(waiting, calling) }

// Hook stands around a call. It may watch the call, delay it, leave it out (by not calling next), or change its
// answer. It runs in the call's own goroutine, and many calls may run it at once. Tracing is a hook, and so is every
// fault that a test injects.
type Hook func(ctx context.Context, c *Call, next func() error) error

// NotCalled is the error of a call that was not made because its context had ended.
func (c *Call) NotCalled(ctx context.Context) error {
	return fmt.Errorf("cryptoki: %s was not called: %w", c.Function, context.Cause(ctx))
}

// invoke makes one call, and makes it again where the token asks for patience. What goes on with an operation is made
// again by who has begun it.
func invoke[T any](ctx context.Context, m *Module, c *Call, f func() (T, error)) (T, error) {
	if len(m.busy) == 0 || slices.Contains(continuing, c.Function) {
		return once(ctx, m, c, f)
	}
	user, mechanism, template, public, point := c.User, c.Mechanism, c.Template, c.Public, c.Point
	return patiently(ctx, m.busy, func() (T, error) {
		c.User, c.Mechanism, c.Template, c.Public, c.Point = user, mechanism, template, public, point // hooks may exchange them
		c.progress.Store(calling)
		return once(ctx, m, c, f)
	})
}

// once makes one call through the module's hooks, in a goroutine of its own, and waits for it until the context
// ends. Every call into a module goes through it.
func once[T any](ctx context.Context, m *Module, c *Call, f func() (T, error)) (T, error) {
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
	c.module = m
	m.inflight.Add(1)
	go func() {
		defer m.inflight.Add(-1)
		var a answer
		defer func() {
			// No answer of a module should make this code panic. If one does, the call fails, and not the process.
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
		case a := <-answers: // at the last moment
			return a.value, a.err
		default:
		}
		if c.progress.CompareAndSwap(waiting, givenUp) {
			return zero, c.NotCalled(ctx)
		}
		return zero, &HangError{Function: c.Function, After: time.Since(start), Err: context.Cause(ctx)}
	}
}

// run is invoke for a function without a result.
func run(ctx context.Context, m *Module, c *Call, f func() error) error {
	_, err := invoke(ctx, m, c, func() (struct{}, error) { return struct{}{}, f() })
	return err
}
