package cryptoki

/*
#cgo linux LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>

// What of PKCS#11 v2.40 is called without the binding: declared here as the specification has it, for the
// platforms where CK_ULONG is unsigned long and structures are not packed (all but Windows).
typedef unsigned long ulong_t;
typedef struct { ulong_t type; void *value; ulong_t length; } attribute_t;
typedef struct { unsigned char major, minor; } version_t;
typedef ulong_t (*function_t)(void);

// CK_FUNCTION_LIST: its version, then the functions in the order of section 6.
typedef struct { version_t version; function_t functions[68]; } function_list_t;
enum { GET_SLOT_LIST = 4, GET_MECHANISM_LIST = 7, LOGIN = 18, GET_ATTRIBUTE_VALUE = 24, FIND_OBJECTS = 27 };

// check says what keeps a file from being a PKCS#11 module, NULL for nothing. It leaves the library loaded:
// many crash when they are unloaded.
static const char *check(const char *path) {
	void *library = dlopen(path, RTLD_LAZY);
	if (library == NULL)
		return dlerror();
	if (dlsym(library, "C_GetFunctionList") == NULL)
		return "it has no C_GetFunctionList: a shared library, but no PKCS#11 module";
	return NULL;
}

static ulong_t getSlotList(function_list_t *l, unsigned char present, ulong_t *slots, ulong_t *count) {
	return ((ulong_t (*)(unsigned char, ulong_t *, ulong_t *))l->functions[GET_SLOT_LIST])(present, slots, count);
}

static ulong_t getMechanismList(function_list_t *l, ulong_t slot, ulong_t *types, ulong_t *count) {
	return ((ulong_t (*)(ulong_t, ulong_t *, ulong_t *))l->functions[GET_MECHANISM_LIST])(slot, types, count);
}

static ulong_t login(function_list_t *l, ulong_t session, ulong_t user, void *pin, ulong_t length) {
	return ((ulong_t (*)(ulong_t, ulong_t, void *, ulong_t))l->functions[LOGIN])(session, user, pin, length);
}

static ulong_t getAttributeValue(function_list_t *l, ulong_t session, ulong_t object, attribute_t *a, ulong_t n) {
	return ((ulong_t (*)(ulong_t, ulong_t, attribute_t *, ulong_t))l->functions[GET_ATTRIBUTE_VALUE])(session, object, a, n);
}

static ulong_t findObjects(function_list_t *l, ulong_t session, ulong_t *objects, ulong_t max, ulong_t *count) {
	return ((ulong_t (*)(ulong_t, ulong_t *, ulong_t, ulong_t *))l->functions[FIND_OBJECTS])(session, objects, max, count);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"github.com/miekg/pkcs11"
)

// functionList calls the functions for which the binding will not do: its attribute reader makes two calls and
// loses all where one attribute is missing; its C_FindObjects, C_GetSlotList and C_GetMechanismList trust the
// counts that come back, and read beyond their memory where those lie; and its C_Login has no way to say "no PIN:
// the token has a keypad of its own".
type functionList struct{ list *C.function_list_t }

// loadFunctionList gives the list that the binding itself calls through. C_GetFunctionList must not be called a
// second time: some modules (p11-kit's client) give a new instance of themselves each time, which is not
// initialised. The binding keeps its list to itself, so it is read out of its Ctx: a pointer to a C structure of
// the library's handle and the list (pkcs11.go of the version that go.mod names).
func loadFunctionList(path string) (*pkcs11.Ctx, functionList, error) {
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	if problem := C.check(cpath); problem != nil {
		return nil, functionList{}, errors.New(C.GoString(problem))
	}
	ctx := pkcs11.New(path)
	if ctx == nil {
		return nil, functionList{}, errors.New("its C_GetFunctionList fails")
	}
	inner := *(**[2]unsafe.Pointer)(unsafe.Pointer(ctx))
	list := (*C.function_list_t)(inner[1])
	if list == nil {
		return nil, functionList{}, errors.New("its C_GetFunctionList gives no list")
	}
	return ctx, functionList{list}, nil
}

func rvError(rv C.ulong_t) error {
	if rv == 0 {
		return nil
	}
	return pkcs11.Error(rv)
}

// getSlotList gives the IDs of all slots, or of those that hold a token.
func (f functionList) getSlotList(tokenPresent bool) ([]uint, error) {
	var present C.uchar
	if tokenPresent {
		present = 1
	}
	return askList("C_GetSlotList", func(list []uint, count *uint) error {
		return rvError(C.getSlotList(f.list, present, ulongs(list), (*C.ulong_t)(unsafe.Pointer(count))))
	})
}

// getMechanismList gives the mechanism types of the token in a slot.
func (f functionList) getMechanismList(slot uint) ([]uint, error) {
	return askList("C_GetMechanismList", func(list []uint, count *uint) error {
		return rvError(C.getMechanismList(f.list, C.ulong_t(slot), ulongs(list), (*C.ulong_t)(unsafe.Pointer(count))))
	})
}

// ulongs is the C array of a list, NULL for an empty one. A uint is as large as CK_ULONG wherever this is built.
func ulongs(list []uint) *C.ulong_t { return (*C.ulong_t)(unsafe.Pointer(unsafe.SliceData(list))) }

const (
	maxList  = 1 << 16 // of slots or mechanisms; a module that counts more lies
	listSlip = 16      // how many more than it was told of a module may write and harm nothing
	listAsks = 3       // how often a list may grow between the asking for its length and for itself
)

// askList asks a module for a list, as PKCS#11 has it (v2.40, 5.2): first for its length, then for itself. What
// comes back is never longer than the memory that was set out for it, whatever count comes with it. Some modules
// answer the question for the length with CKR_BUFFER_TOO_SMALL, which says that there is a list.
func askList(function string, call func(list []uint, count *uint) error) ([]uint, error) {
	for range listAsks {
		var length uint
		if err := call(nil, &length); err != nil && !errors.Is(err, pkcs11.Error(CKR_BUFFER_TOO_SMALL)) {
			return nil, err
		}
		if length > maxList {
			return nil, &AnswerError{Function: function, Problem: fmt.Sprintf("a list of %d", length)}
		}
		if length == 0 {
			return nil, nil
		}
		list, count := make([]uint, length, length+listSlip), length
		err := call(list, &count)
		if errors.Is(err, pkcs11.Error(CKR_BUFFER_TOO_SMALL)) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if count > length {
			return nil, &AnswerError{Function: function, Problem: fmt.Sprintf("a list of %d where there was room for %d", count, length)}
		}
		return list[:count], nil
	}
	return nil, &AnswerError{Function: function, Problem: "the list grows each time that it is asked for"}
}

// login calls C_Login. The PIN's copy in C memory is wiped. A nil PIN becomes a NULL pointer.
func (f functionList) login(session, user uint, pin []byte) error {
	var p unsafe.Pointer
	if pin != nil {
		p = C.CBytes(append(slices.Clip(pin), 0))
		defer func() {
			clear(unsafe.Slice((*byte)(p), len(pin)))
			C.free(p)
		}()
	}
	return rvError(C.login(f.list, C.ulong_t(session), C.ulong_t(user), p, C.ulong_t(len(pin))))
}

// findObjects calls C_FindObjects once, for at most max handles.
func (f functionList) findObjects(session uint, max int) ([]Object, error) {
	// One more than the module is told of, so that it may write one too many and harm nothing.
	buffer := (*C.ulong_t)(C.calloc(C.size_t(max+1), C.size_t(unsafe.Sizeof(C.ulong_t(0)))))
	defer C.free(unsafe.Pointer(buffer))
	var count C.ulong_t
	if err := rvError(C.findObjects(f.list, C.ulong_t(session), buffer, C.ulong_t(max), &count)); err != nil {
		return nil, err
	}
	if uint64(count) > uint64(max) {
		return nil, &AnswerError{Function: "C_FindObjects", Problem: fmt.Sprintf("%d objects where at most %d were asked for", count, max)}
	}
	objects := make([]Object, count)
	for i, handle := range unsafe.Slice(buffer, int(count)) {
		objects[i] = Object(handle)
	}
	return objects, nil
}

// unavailable is CK_UNAVAILABLE_INFORMATION, the length of an attribute that did not come back.
const unavailable = ^C.ulong_t(0)

// request is one attribute asked for: the room given to its value (0: only its length is asked), and what
// came back. length is -1 where the attribute is not available.
type request struct {
	attribute AttributeType
	room      int
	value     []byte
	length    int
}

// getAttributeValue calls C_GetAttributeValue once, for all of the requests. It fills them in whatever the
// code: some of the attributes may be there where others are not.
func (f functionList) getAttributeValue(session uint, object Object, requests []request) error {
	n, room := len(requests), 0
	for _, r := range requests {
		room += r.room
	}
	size := n * int(unsafe.Sizeof(C.attribute_t{}))
	memory := C.calloc(1, C.size_t(size+room+1)) // the template, then the values
	defer func() {
		clear(unsafe.Slice((*byte)(memory), size+room))
		C.free(memory)
	}()
	template := unsafe.Slice((*C.attribute_t)(memory), n)
	at := size
	for i, r := range requests {
		template[i]._type = C.ulong_t(r.attribute)
		template[i].length = C.ulong_t(r.room)
		if r.room > 0 {
			template[i].value = unsafe.Add(memory, at)
		}
		at += r.room
	}
	rv := C.getAttributeValue(f.list, C.ulong_t(session), C.ulong_t(object), &template[0], C.ulong_t(n))
	at = size
	for i := range requests {
		r, length := &requests[i], template[i].length
		r.length, r.value = -1, nil
		if length != unavailable && uint64(length) <= maxAttribute {
			r.length = int(length)
			if r.room > 0 && r.length <= r.room {
				r.value = append([]byte{}, unsafe.Slice((*byte)(unsafe.Add(memory, at)), r.length)...)
			}
		}
		at += r.room
	}
	return rvError(rv)
}
