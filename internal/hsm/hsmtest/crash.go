package hsmtest

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// Crash says at which call into the module a process kills itself.
type Crash struct {
	Function string // the C function; "": any
	Nth      int    // the first, second ... call of that function; 0: none
	After    bool   // once the call has taken effect
}

// String is such as "killed at C_Sign number 1, after it took effect: true".
func (c Crash) String() string {
	return fmt.Sprintf("killed at %s number %d, after it took effect: %t", c.Function, c.Nth, c.After)
}

// die kills the process, as SIGKILL does: nothing of it is run any more.
func die() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
	select {} // a system may take a moment
}

// Hook is a cryptoki.Hook that kills the process (SIGKILL) as c says. calls gives how many calls there were.
func (c Crash) Hook() (hook cryptoki.Hook, calls func() int) {
	var mu sync.Mutex
	seen := 0
	hook = func(_ context.Context, call *cryptoki.Call, next func() error) error {
		mu.Lock()
		mine := c.Function == "" || c.Function == call.Function
		if mine {
			seen++
		}
		now := mine && seen == c.Nth
		mu.Unlock()
		if now && !c.After {
			die()
		}
		err := next()
		if now {
			die()
		}
		return err
	}
	return hook, func() int {
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}
