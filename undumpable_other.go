//go:build !linux

package main

// makeUndumpable lets the process leave no core file behind. That is all that can be asked for here without hindering
// the modules that it loads.
func makeUndumpable() error { return noCore() }
