package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// makeUndumpable keeps the process's memory, in which the PIN is, out of core dumps and away from other processes of
// the same user: they can neither trace it nor read its memory or its environment under /proc.
func makeUndumpable() error {
	err := noCore()
	if e := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); e != nil {
		err = errors.Join(err, fmt.Errorf("PR_SET_DUMPABLE: %w", e))
	}
	return err
}
