package ck

// #include "calls.h"
import "C"

import (
	"errors"
	"unsafe"
)

// Initialize calls C_Initialize. Threads may use the module as they like, with the system's locks. The parameters are
// a string for modules that want one, "" for none. PKCS#11 has no place for it; it goes where all modules that want
// one look for it. They may keep the pointer, so it stays valid for ever.
func (l *Library) Initialize(parameters string) error {
	var reserved unsafe.Pointer
	if parameters != "" {
		reserved = unsafe.Pointer(C.CString(parameters))
	}
	return result(C.ck_Initialize(l.list, reserved))
}

// Finalize calls C_Finalize.
func (l *Library) Finalize() error { return result(C.ck_Finalize(l.list)) }

// Info is the part of CK_INFO that is used. Texts have no spaces at their end, and may be any bytes.
type Info struct {
	Manufacturer, Description string
	Version                   Version // of the library
}

// GetInfo calls C_GetInfo.
func (l *Library) GetInfo() (Info, error) {
	return describe(C.sizeof_CK_INFO, func(p unsafe.Pointer) C.CK_RV { return C.ck_GetInfo(l.list, p) },
		func(i *C.CK_INFO) Info {
			return Info{
				Manufacturer: text(i.manufacturerID[:]), Description: text(i.libraryDescription[:]),
				Version: Version{byte(i.libraryVersion.major), byte(i.libraryVersion.minor)},
			}
		})
}

// SlotInfo is the part of CK_SLOT_INFO that is used.
type SlotInfo struct {
	Description, Manufacturer string
	Flags                     uint
}

// GetSlotInfo calls C_GetSlotInfo.
func (l *Library) GetSlotInfo(slot uint) (SlotInfo, error) {
	return describe(C.sizeof_CK_SLOT_INFO,
		func(p unsafe.Pointer) C.CK_RV { return C.ck_GetSlotInfo(l.list, ulong(slot), p) },
		func(i *C.CK_SLOT_INFO) SlotInfo {
			return SlotInfo{
				Description: text(i.slotDescription[:]), Manufacturer: text(i.manufacturerID[:]), Flags: number(i.flags),
			}
		})
}

// Version is a CK_VERSION.
type Version struct{ Major, Minor byte }

// TokenInfo is CK_TOKEN_INFO without the time. Numbers may be Unknown.
type TokenInfo struct {
	Label, Manufacturer, Model, Serial               string
	Flags                                            uint
	MaxSessions, Sessions, MaxRWSessions, RWSessions uint
	MaxPINLength, MinPINLength                       uint
	TotalPublicMemory, FreePublicMemory              uint
	TotalPrivateMemory, FreePrivateMemory            uint
	Hardware, Firmware                               Version
}

// GetTokenInfo calls C_GetTokenInfo.
func (l *Library) GetTokenInfo(slot uint) (TokenInfo, error) {
	return describe(C.sizeof_CK_TOKEN_INFO,
		func(p unsafe.Pointer) C.CK_RV { return C.ck_GetTokenInfo(l.list, ulong(slot), p) },
		func(i *C.CK_TOKEN_INFO) TokenInfo {
			return TokenInfo{
				Label: text(i.label[:]), Manufacturer: text(i.manufacturerID[:]),
				Model: text(i.model[:]), Serial: text(i.serialNumber[:]), Flags: number(i.flags),
				MaxSessions: number(i.ulMaxSessionCount), Sessions: number(i.ulSessionCount),
				MaxRWSessions: number(i.ulMaxRwSessionCount), RWSessions: number(i.ulRwSessionCount),
				MaxPINLength: number(i.ulMaxPinLen), MinPINLength: number(i.ulMinPinLen),
				TotalPublicMemory: number(i.ulTotalPublicMemory), FreePublicMemory: number(i.ulFreePublicMemory),
				TotalPrivateMemory: number(i.ulTotalPrivateMemory), FreePrivateMemory: number(i.ulFreePrivateMemory),
				Hardware: version(i.hardwareVersion), Firmware: version(i.firmwareVersion),
			}
		})
}

func version(v C.CK_VERSION) Version { return Version{Major: byte(v.major), Minor: byte(v.minor)} }

// MechanismInfo is CK_MECHANISM_INFO.
type MechanismInfo struct{ MinKeySize, MaxKeySize, Flags uint }

// GetMechanismInfo calls C_GetMechanismInfo. The structure is zero before: some only add to the flags. So one that
// the module did not write is a mechanism without bounds, which nothing is refused for, and without flags.
func (l *Library) GetMechanismInfo(slot, mechanism uint) (MechanismInfo, error) {
	f := newFrame()
	defer f.done()
	structure := f.take(C.sizeof_CK_MECHANISM_INFO)
	clear(structure)
	p := pointer(structure)
	if err := result(C.ck_GetMechanismInfo(l.list, ulong(slot), ulong(mechanism), p)); err != nil {
		return MechanismInfo{}, err
	}
	i := (*C.CK_MECHANISM_INFO)(p)
	return MechanismInfo{
		MinKeySize: number(i.ulMinKeySize), MaxKeySize: number(i.ulMaxKeySize), Flags: number(i.flags),
	}, nil
}

// GetSessionInfo calls C_GetSessionInfo, and gives the state.
func (l *Library) GetSessionInfo(session uint) (state uint, err error) {
	return describe(C.sizeof_CK_SESSION_INFO,
		func(p unsafe.Pointer) C.CK_RV { return C.ck_GetSessionInfo(l.list, ulong(session), p) },
		func(i *C.CK_SESSION_INFO) uint { return number(i.state) })
}

// describe has the module fill a structure in, and reads it.
func describe[S, T any](size int, call func(unsafe.Pointer) C.CK_RV, read func(*S) T) (T, error) {
	var zero T
	f := newFrame()
	defer f.done()
	structure := f.room(size)
	if err := result(call(pointer(structure))); err != nil {
		return zero, err
	}
	if untouched(structure) {
		return zero, LieError("it wrote nothing")
	}
	return read((*S)(pointer(structure))), nil
}

// GetSlotList calls C_GetSlotList, and gives the IDs of all slots, or of those that hold a token.
func (l *Library) GetSlotList(tokenPresent bool) ([]uint, error) {
	var present C.CK_BYTE
	if tokenPresent {
		present = 1
	}
	return askList(func(list *ulong, count *ulong) C.CK_RV { return C.ck_GetSlotList(l.list, present, list, count) })
}

// GetMechanismList calls C_GetMechanismList, and gives the mechanism types of the token in a slot.
func (l *Library) GetMechanismList(slot uint) ([]uint, error) {
	return askList(func(list *ulong, count *ulong) C.CK_RV {
		return C.ck_GetMechanismList(l.list, ulong(slot), list, count)
	})
}

const (
	maxList  = 1 << 16 // of slots or mechanisms; a module that counts more lies
	doubted  = 15      // the room for a list that is empty, they say; not a number that a module would think of
	listAsks = 3       // how often a list may grow between the question for its length and that for itself
)

// askList asks a module for a list, as PKCS#11 has it (v2.40, section 5.2): first for its length, then for itself.
// Some modules answer the first question with CKR_BUFFER_TOO_SMALL, which says that there is a list. Whether a list is
// empty, or nobody wrote its length, only the second question shows.
func askList(call func(list, count *ulong) C.CK_RV) ([]uint, error) {
	f := newFrame()
	defer f.done()
	for range listAsks {
		count := f.ulong(0)
		if err := result(call(nil, count)); err != nil && !errors.Is(err, ErrBufferTooSmall) {
			return nil, err
		}
		if *count > maxList {
			return nil, lie("it gave a list of %d", number(*count))
		}
		length := int(*count)
		if length == 0 {
			length = doubted
		}
		list := f.ulongs(length)
		count = f.ulong(ulong(length))
		err := result(call(&list[0], count))
		if errors.Is(err, ErrBufferTooSmall) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return written(list, *count)
	}
	return nil, LieError("the list is longer each time that it is asked for")
}

// written gives the elements of a list that the module has written, as many as it says.
func written(list []ulong, count ulong) ([]uint, error) {
	if uint64(count) > uint64(len(list)) {
		return nil, lie("it gave a list of %d where there was room for %d", number(count), len(list))
	}
	numbers := make([]uint, count)
	for i := range numbers {
		if list[i] == untouchedULong {
			return nil, lie("it gave a list of %d, but wrote %d of it", count, i)
		}
		numbers[i] = number(list[i])
	}
	return numbers, nil
}
