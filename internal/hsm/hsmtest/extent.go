package hsmtest

import (
	"hash/fnv"
	"os"
	"strconv"
	"testing"
	"time"
)

// Extent is how many of the cases that can be made to fail a run makes fail. HSMTEST_FAULTS says it.
type Extent string

const (
	// Sample takes one of many cases, and other ones each day.
	Sample Extent = ""
	// Matrix takes every kind of case, and of those that differ least a part that is always the same.
	Matrix Extent = "matrix"
	// All takes every case there is.
	All Extent = "all"
)

// ThisExtent is that of this run.
func ThisExtent(t testing.TB) Extent {
	t.Helper()
	switch e := Extent(os.Getenv("HSMTEST_FAULTS")); e {
	case Sample, Matrix, All:
		return e
	default:
		t.Fatalf("HSMTEST_FAULTS=%s is none of matrix, all and nothing", e)
		return ""
	}
}

// seed says which cases a sample has: HSMTEST_SEED, else the number of the day.
func seed(t testing.TB) uint64 {
	t.Helper()
	text := os.Getenv("HSMTEST_SEED")
	if text == "" {
		return uint64(time.Now().Unix() / (24 * 60 * 60))
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("HSMTEST_SEED is no number: %v", err)
	}
	return n
}

// Picker takes one of so many cases, in the order in which they come.
type Picker struct{ every, next uint64 }

// Pick gives a picker of one case of every n, which starts at one of the first n by the run's seed and the test's name.
// The test's log says how to take the same again. Where every is 1, it takes all cases.
func Pick(t testing.TB, every int) *Picker {
	t.Helper()
	p := &Picker{every: uint64(every)}
	if every > 1 {
		name := fnv.New32a()
		_, _ = name.Write([]byte(t.Name()))
		n := seed(t)
		p.next = (n + uint64(name.Sum32())) % p.every
		t.Logf("a sample: one case of %d. The same again: HSMTEST_SEED=%d", every, n)
	}
	return p
}

// Takes says whether the next case is one to be run.
func (p *Picker) Takes() bool {
	if p.next > 0 {
		p.next--
		return false
	}
	p.next = p.every - 1
	return true
}
