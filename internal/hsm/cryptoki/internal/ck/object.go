package ck

// #include "calls.h"
import "C"

import (
	"slices"
	"unsafe"
)

// CreateObject calls C_CreateObject.
func (l *Library) CreateObject(session uint, attributes []Attribute) (object uint, err error) {
	f := newFrame()
	defer f.done()
	template, count := f.template(attributes)
	handle := f.ulong(0)
	return made(C.ck_CreateObject(l.list, ulong(session), template, count, handle), handle)
}

// DestroyObject calls C_DestroyObject.
func (l *Library) DestroyObject(session, object uint) error {
	return result(C.ck_DestroyObject(l.list, ulong(session), ulong(object)))
}

// SetAttributeValue calls C_SetAttributeValue.
func (l *Library) SetAttributeValue(session, object uint, attributes []Attribute) error {
	f := newFrame()
	defer f.done()
	template, count := f.template(attributes)
	return result(C.ck_SetAttributeValue(l.list, ulong(session), ulong(object), template, count))
}

// FindObjectsInit calls C_FindObjectsInit.
func (l *Library) FindObjectsInit(session uint, attributes []Attribute) error {
	f := newFrame()
	defer f.done()
	template, count := f.template(attributes)
	return result(C.ck_FindObjectsInit(l.list, ulong(session), template, count))
}

// FindObjects calls C_FindObjects once, for at most max handles.
func (l *Library) FindObjects(session uint, max int) ([]uint, error) {
	f := newFrame()
	defer f.done()
	list, count := f.ulongs(max), f.ulong(unavailable)
	if err := result(C.ck_FindObjects(l.list, ulong(session), &list[0], ulong(max), count)); err != nil {
		return nil, err
	}
	objects, err := written(list, *count)
	if err != nil {
		return nil, err
	}
	if slices.Contains(objects, 0) {
		return nil, LieError("it gave an object without a handle")
	}
	return objects, nil
}

// FindObjectsFinal calls C_FindObjectsFinal.
func (l *Library) FindObjectsFinal(session uint) error {
	return result(C.ck_FindObjectsFinal(l.list, ulong(session)))
}

// Request is one attribute that is asked for, with the answer.
type Request struct {
	Type uint
	Room int // bytes for the value; 0 asks for its length only

	Value  []byte // nil where there is none, or it does not fit the room
	Length uint   // the length of the value, Unknown where it is not available
	// Unwritten says that the module wrote no value, or only a part of it.
	Unwritten bool
}

// GetAttributeValue calls C_GetAttributeValue once, for all of the requests. It fills them in whatever the code says:
// some of the attributes may have an answer where others have none.
func (l *Library) GetAttributeValue(session, object uint, requests []Request) error {
	if len(requests) == 0 {
		return nil
	}
	f := newFrame()
	defer f.done()
	template := pointer(f.take(len(requests) * C.sizeof_CK_ATTRIBUTE))
	for i := range requests {
		r := &requests[i]
		var value unsafe.Pointer
		if r.Value = nil; r.Room > 0 {
			r.Value = f.room(r.Room)
			value = pointer(r.Value)
		}
		triple(unsafe.Add(template, i*C.sizeof_CK_ATTRIBUTE), r.Type, value, r.Room)
	}
	err := result(C.ck_GetAttributeValue(l.list, ulong(session), ulong(object), template, ulong(len(requests))))
	all := 0
	for i := range requests {
		r := &requests[i]
		length := *(*ulong)(unsafe.Add(template, i*C.sizeof_CK_ATTRIBUTE+C.LAST))
		r.Length, r.Unwritten = number(length), false
		if r.Room == 0 || uint64(r.Length) > uint64(r.Room) {
			r.Value = nil
			continue
		}
		if value := r.Value[:r.Length]; int(r.Length) == r.Room && untouched(value) || cutShort(value) {
			r.Length, r.Value, r.Unwritten = Unknown, nil, true
			continue
		}
		r.Value = r.Value[:r.Length]
		all += len(r.Value)
	}
	// The frame is given back, so the values move into memory of their own, which is one piece.
	values := make([]byte, 0, all)
	for i := range requests {
		if r := &requests[i]; r.Value != nil {
			start := len(values)
			values = append(values, r.Value...)
			r.Value = values[start:len(values):len(values)]
		}
	}
	return err
}
