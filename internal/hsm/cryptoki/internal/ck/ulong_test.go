package ck

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// TestULongs encodes and decodes numbers of both widths that platforms have.
func TestULongs(t *testing.T) {
	for name, c := range map[string]struct {
		number uint
		size   int
		bytes  uint64 // as one number
	}{
		"of 8 bytes":                               {0x123456789, 8, 0x123456789},
		"of 4 bytes":                               {0x12345678, 4, 0x12345678},
		"not told, in 8 bytes":                     {Unknown, 8, 0xFFFFFFFFFFFFFFFF},
		"not told, in 4 bytes":                     {Unknown, 4, 0xFFFFFFFF},
		"almost that, in 8 bytes":                  {0xFFFFFFFF, 8, 0xFFFFFFFF},
		"a vendor's, in 4 bytes":                   {0x80000001, 4, 0x80000001},
		"the largest one that is told, in 4 bytes": {0xFFFFFFFE, 4, 0xFFFFFFFE},
	} {
		t.Run(name, func(t *testing.T) {
			want := binary.NativeEndian.AppendUint64(nil, c.bytes)
			if c.size == 4 {
				want = binary.NativeEndian.AppendUint32(nil, uint32(c.bytes))
			}
			got := encode(c.number, c.size)
			if !bytes.Equal(got, want) {
				t.Errorf("encoded %x, want %x", got, want)
			}
			if n := decode(got); n != c.number {
				t.Errorf("decoded 0x%X, want 0x%X", n, c.number)
			}
		})
	}
	if len(ULong(1)) != ULongSize || ULongOf(ULong(Unknown)) != Unknown {
		t.Error("the platform's own width is neither")
	}
}
