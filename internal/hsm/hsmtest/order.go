package hsmtest

import (
	"iter"
	"maps"
	"slices"
)

// InOrder gives a table's cases by name, in the order of the names: always the same.
func InOrder[Case any](cases map[string]Case) iter.Seq2[string, Case] {
	return func(yield func(string, Case) bool) {
		for _, name := range slices.Sorted(maps.Keys(cases)) {
			if !yield(name, cases[name]) {
				return
			}
		}
	}
}
