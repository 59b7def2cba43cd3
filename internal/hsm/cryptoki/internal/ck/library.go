package ck

// #include "calls.h"
import "C"

import (
	"errors"
	"fmt"
	"sync"
)

// CodeError is what a function answered, other than CKR_OK.
type CodeError uint

// Error returns such as "0x30".
func (c CodeError) Error() string { return fmt.Sprintf("0x%X", uint(c)) }

// ErrBufferTooSmall is CKR_BUFFER_TOO_SMALL.
const ErrBufferTooSmall CodeError = C.CKR_BUFFER_TOO_SMALL

// LieError says what is wrong with an answer. Nothing of the answer was used.
type LieError string

// Error returns what is wrong.
func (l LieError) Error() string { return string(l) }

func lie(format string, args ...any) LieError { return LieError(fmt.Sprintf(format, args...)) }

func result(rv C.CK_RV) error {
	if rv == C.CKR_OK {
		return nil
	}
	return CodeError(number(rv))
}

// Library is a loaded module. Its methods are the module's functions. Many goroutines may call them at once, as far as
// the module allows it.
type Library struct{ list *C.CK_FUNCTION_LIST }

// entries are the two ways to a module's list of functions. A way that the module lacks is NULL.
type entries struct {
	getInterface    C.CK_C_GetInterface
	getFunctionList C.CK_C_GetFunctionList
}

var libraries = struct {
	sync.Mutex
	loading map[string]*loading
}{loading: map[string]*loading{}}

// loading is the library of one path. Who loads it holds the lock.
type loading struct {
	sync.Mutex
	library *Library
}

// Load gives the library of an absolute path without links in it. A process loads each library once, and takes its
// list of functions once: some modules give a new instance of themselves each time. A file that is not a module may be
// tried again.
func Load(path string) (*Library, error) {
	libraries.Lock()
	l, ok := libraries.loading[path]
	if !ok {
		l = &loading{}
		libraries.loading[path] = l
	}
	libraries.Unlock()

	l.Lock()
	defer l.Unlock()
	if l.library != nil {
		return l.library, nil
	}
	entries, err := open(path)
	if err != nil {
		return nil, err
	}
	if entries.getFunctionList == nil && entries.getInterface == nil {
		return nil, errors.New("it has no C_GetFunctionList: it is a shared library, but not a PKCS#11 module")
	}
	var list *C.CK_FUNCTION_LIST
	if err := result(C.ck_take_list(entries.getInterface, entries.getFunctionList, &list)); err != nil {
		return nil, err
	}
	if list == nil {
		return nil, errors.New("it gives no list of its functions")
	}
	l.library = &Library{list}
	return l.library, nil
}
