package hsmtest

import (
	"context"
	"slices"
	"sync"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// Fault makes one call fail, or each.
type Fault struct {
	Function string      // the C function; "": any
	Nth      int         // the first, second ... call of that function since Inject; 0: every call
	Onwards  bool        // and each call after the Nth
	Code     cryptoki.RV // what the call answers
	After    bool        // the real call is made first, and takes effect
	// Do stands in for the call, for faults that are more than a code.
	Do func(ctx context.Context, c *cryptoki.Call, next func() error) error
}

// Faults counts the calls into a module, and makes those fail that it is told to. Its method Hook stands
// between cryptoki and the module.
type Faults struct {
	mu       sync.Mutex
	calls    []string
	faults   []*injected
	injected int
}

type injected struct {
	Fault
	seen int
}

// Inject adds a fault. It counts the calls from now on.
func (f *Faults) Inject(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, &injected{Fault: fault})
}

// Clear takes all faults away and forgets the calls.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls, f.faults, f.injected = nil, nil, 0
}

// Calls are the functions that were called, in order.
func (f *Faults) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Count is how often a function was called; "": how many calls there were in all.
func (f *Faults) Count(function string) int {
	n := 0
	for _, c := range f.Calls() {
		if function == "" || c == function {
			n++
		}
	}
	return n
}

// Injected is how many calls were made to fail.
func (f *Faults) Injected() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.injected
}

// Hook is the cryptoki.Hook.
func (f *Faults) Hook(ctx context.Context, c *cryptoki.Call, next func() error) error {
	fault := f.hit(c.Function)
	switch {
	case fault == nil:
		return next()
	case fault.Do != nil:
		return fault.Do(ctx, c, next)
	case fault.After:
		if err := next(); err != nil {
			return err
		}
	}
	return &cryptoki.Error{Function: c.Function, Code: fault.Code}
}

func (f *Faults) hit(function string) *injected {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, function)
	var hit *injected
	for _, fault := range f.faults {
		if fault.Function != "" && fault.Function != function {
			continue
		}
		fault.seen++
		if hit == nil && (fault.Nth == 0 || fault.Nth == fault.seen || fault.Onwards && fault.seen > fault.Nth) {
			hit = fault
		}
	}
	if hit != nil {
		f.injected++
	}
	return hit
}
