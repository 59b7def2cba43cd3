//go:build unix

package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// noCore lets the process leave no core file behind.
func noCore() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("RLIMIT_CORE: %w", err)
	}
	return nil
}
