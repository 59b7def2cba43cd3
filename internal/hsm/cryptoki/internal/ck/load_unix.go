//go:build !windows

package ck

/*
#cgo linux CFLAGS: -D_GNU_SOURCE
#cgo linux LDFLAGS: -ldl
#include <dlfcn.h>
#include "calls.h"

// ck_open loads a library and looks up its two ways to the list of functions. If that fails, it gives the loader's own
// words, which the caller frees. dlsym also finds what a library links with: another module's C_GetInterface must
// not pass for one that the library lacks.
static char *ck_open(const char *path, CK_C_GetInterface *getInterface, CK_C_GetFunctionList *getList) {
	void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	if (library == NULL)
		return strdup(dlerror());
	*getInterface = (CK_C_GetInterface)dlsym(library, "C_GetInterface");
	*getList = (CK_C_GetFunctionList)dlsym(library, "C_GetFunctionList");
	Dl_info a, b;
	if (*getInterface != NULL && *getList != NULL &&
			(dladdr((void *)*getInterface, &a) == 0 || dladdr((void *)*getList, &b) == 0 || a.dli_fbase != b.dli_fbase))
		*getInterface = NULL;
	return NULL;
}
*/
import "C"

import (
	"errors"
	"strings"
	"unsafe"
)

// open loads the library of that path. No library is ever unloaded: many crash then.
func open(path string) (entries, error) {
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	var e entries
	if failure := C.ck_open(cpath, &e.getInterface, &e.getFunctionList); failure != nil {
		defer C.free(unsafe.Pointer(failure))
		// The loader begins with the path, which the caller has.
		return entries{}, errors.New(strings.TrimPrefix(C.GoString(failure), path+": "))
	}
	return e, nil
}
