package ck

import (
	"bytes"
	"testing"
	"unsafe"
)

// TestNoPINStaysBehind reads a PIN's memory after the call.
func TestNoPINStaysBehind(t *testing.T) {
	for _, length := range []int{4, 255, frameSize + 1} {
		pin := bytes.Repeat([]byte{'7'}, length)
		f := newFrame()
		before := unsafe.Slice((*byte)(f.pin(pin)), length)
		if !bytes.Equal(before, pin) {
			t.Errorf("C finds %q", before)
		}
		f.done()
		if bytes.ContainsRune(before, '7') {
			t.Errorf("a PIN of %d bytes stays behind", length)
		}
	}
}

func TestNoPINIsNULLAndAnEmptyOneIsNot(t *testing.T) {
	f := newFrame()
	defer f.done()
	if f.pin(nil) != nil || f.pin([]byte{}) == nil {
		t.Error("nil is not NULL, or an empty PIN is")
	}
}
