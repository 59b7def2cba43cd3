package ck

import "encoding/binary"

// ULong is a number as a CK_ULONG has it in memory, of ULongSize bytes.
func ULong(n uint) []byte { return encode(n, ULongSize) }

// ULongOf is the number that ULongSize bytes hold.
func ULongOf(b []byte) uint { return decode(b) }

func encode(n uint, size int) []byte {
	if size == 4 {
		return binary.NativeEndian.AppendUint32(nil, uint32(n))
	}
	return binary.NativeEndian.AppendUint64(nil, uint64(n))
}

// decode reads 4 or 8 bytes. All ones are Unknown, however many there are.
func decode(b []byte) uint {
	if len(b) == 4 {
		n := binary.NativeEndian.Uint32(b)
		if n == ^uint32(0) {
			return Unknown
		}
		return uint(n)
	}
	return uint(binary.NativeEndian.Uint64(b))
}
