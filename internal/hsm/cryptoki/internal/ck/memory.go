package ck

// #include "calls.h"
import "C"

import (
	"runtime"
	"sync"
	"unsafe"
)

// ULongSize is how many bytes a CK_ULONG has.
const ULongSize = C.sizeof_CK_ULONG

// Unknown is CK_UNAVAILABLE_INFORMATION, however wide a CK_ULONG is.
const Unknown = ^uint(0)

type ulong = C.CK_ULONG

// unavailable is CK_UNAVAILABLE_INFORMATION as the module writes it.
const unavailable = ^ulong(0)

// number is a CK_ULONG as a Go number.
func number(n ulong) uint {
	if n == unavailable {
		return Unknown
	}
	return uint(n)
}

const (
	frameSize = 128 << 10 // bytes; more than any usual call takes
	slack     = 64        // bytes that a module may write beyond each buffer and harm nothing
	align     = 16

	// filler is what buffers hold before a call, to show later whether the module wrote them. No flag is 0xA5, and no
	// handle or number is 0xA5A5A5A5.
	filler = 0xA5
)

// frame is the memory of one call: all that the module gets lies in it. It is pinned while the module has it, and is
// reused only after the call has returned. A call that hangs keeps its frame for ever.
type frame struct {
	memory []uint64
	used   int // bytes
	extra  [][]uint64
	pinner runtime.Pinner
}

var frames = sync.Pool{New: func() any { return &frame{memory: make([]uint64, frameSize/8)} }}

func newFrame() *frame {
	f := frames.Get().(*frame)
	f.pinner.Pin(&f.memory[0])
	return f
}

// done wipes the frame, since PINs and decrypted bytes are in it.
func (f *frame) done() {
	f.pinner.Unpin()
	clear(f.memory[:f.used/8])
	for _, memory := range f.extra {
		clear(memory)
	}
	f.used, f.extra = 0, nil
	frames.Put(f)
}

// take sets out a buffer, with slack behind it. What does not fit into the frame gets memory of its own.
func (f *frame) take(size int) []byte { return f.takeWith(slack, size) }

func (f *frame) takeWith(slack, size int) []byte {
	whole := (size + slack + align - 1) / align * align
	if f.used+whole > frameSize {
		memory := make([]uint64, whole/8)
		f.pinner.Pin(&memory[0])
		f.extra = append(f.extra, memory)
		return unsafe.Slice((*byte)(unsafe.Pointer(&memory[0])), size)
	}
	b := unsafe.Slice((*byte)(unsafe.Pointer(&f.memory[f.used/8])), size)
	f.used += whole
	return b
}

// room sets out a buffer for the module to write.
func (f *frame) room(size int) []byte { return f.roomWith(slack, size) }

func (f *frame) roomWith(slack, size int) []byte {
	b := f.takeWith(slack, size)
	if size > 0 {
		b[0] = filler
		for n := 1; n < size; n *= 2 {
			copy(b[n:], b[:n])
		}
	}
	return b
}

// untouched says that the module wrote nothing into a buffer.
func untouched(b []byte) bool {
	for _, c := range b {
		if c != filler {
			return false
		}
	}
	return true
}

// telling is how many bytes at the end of an answer must be unwritten to show that the answer was cut short.
const telling = 8

// cutShort says that the end of an answer was not written. An answer of a few bytes may look like that, and passes.
func cutShort(b []byte) bool { return len(b) >= telling && untouched(b[len(b)-telling:]) }

// copy sets out a copy for the module to read.
func (f *frame) copy(b []byte) unsafe.Pointer {
	lent := f.take(len(b))
	copy(lent, b)
	return pointer(lent)
}

func pointer(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }

// ulong sets out one number for the module to write.
func (f *frame) ulong(n ulong) *ulong {
	p := (*ulong)(pointer(f.take(ULongSize)))
	*p = n
	return p
}

// ulongs sets out a list for the module to write.
func (f *frame) ulongs(length int) []ulong {
	return unsafe.Slice((*ulong)(pointer(f.room(length*ULongSize))), length)
}

// untouchedULong is an element that was not written.
var untouchedULong = func() (n ulong) {
	for range ULongSize {
		n = n<<8 | filler
	}
	return n
}()

// text is a text of fixed length without its padding. It may be any bytes.
func text(b []C.CK_BYTE) string {
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	return string(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(b))), len(b)))
}

// triple writes a CK_ATTRIBUTE or a CK_MECHANISM. The pointer is into the same frame, which is pinned.
func triple(at unsafe.Pointer, kind uint, value unsafe.Pointer, length int) {
	*(*ulong)(at) = ulong(kind)
	*(*uintptr)(unsafe.Add(at, C.MIDDLE)) = uintptr(value)
	*(*ulong)(unsafe.Add(at, C.LAST)) = ulong(length)
}

// Attribute is an attribute of a template. An empty value is a NULL pointer with length 0.
type Attribute struct {
	Type  uint
	Value []byte
}

// template sets a template out, NULL for an empty one.
func (f *frame) template(attributes []Attribute) (unsafe.Pointer, ulong) {
	if len(attributes) == 0 {
		return nil, 0
	}
	template := pointer(f.take(len(attributes) * C.sizeof_CK_ATTRIBUTE))
	for i, a := range attributes {
		var value unsafe.Pointer
		if len(a.Value) > 0 {
			value = f.copy(a.Value)
		}
		triple(unsafe.Add(template, i*C.sizeof_CK_ATTRIBUTE), a.Type, value, len(a.Value))
	}
	return template, ulong(len(attributes))
}

// Mechanism is a mechanism with its parameter, nil for none.
type Mechanism struct {
	Type      uint
	Parameter Parameter
}

// Parameter is OAEP, PSS or ECDH1.
type Parameter interface{ put(f *frame) []byte }

// OAEP is CK_RSA_PKCS_OAEP_PARAMS without a label.
type OAEP struct{ Hash, MGF, Source uint }

func (p OAEP) put(f *frame) []byte {
	b := f.take(C.sizeof_CK_RSA_PKCS_OAEP_PARAMS)
	C.ck_put_OAEP(pointer(b), ulong(p.Hash), ulong(p.MGF), ulong(p.Source))
	return b
}

// PSS is CK_RSA_PKCS_PSS_PARAMS.
type PSS struct {
	Hash, MGF uint
	Salt      int // bytes
}

func (p PSS) put(f *frame) []byte {
	b := f.take(C.sizeof_CK_RSA_PKCS_PSS_PARAMS)
	C.ck_put_PSS(pointer(b), ulong(p.Hash), ulong(p.MGF), ulong(p.Salt))
	return b
}

// ECDH1 is CK_ECDH1_DERIVE_PARAMS without shared data.
type ECDH1 struct {
	KDF   uint
	Point []byte // the other side's
}

func (p ECDH1) put(f *frame) []byte {
	b := f.take(C.sizeof_CK_ECDH1_DERIVE_PARAMS)
	C.ck_put_ECDH1(pointer(b), ulong(p.KDF), f.copy(p.Point), ulong(len(p.Point)))
	return b
}

func (f *frame) mechanism(m Mechanism) unsafe.Pointer {
	var parameter []byte
	var value unsafe.Pointer
	if m.Parameter != nil {
		parameter = m.Parameter.put(f)
		value = pointer(parameter)
	}
	at := pointer(f.take(C.sizeof_CK_MECHANISM))
	triple(at, m.Type, value, len(parameter))
	return at
}
