package ck

/*
#include "calls.h"
#include <windows.h>

// ck_open loads a library and looks its two ways to the list of functions up. It gives the system's error, 0 for none.
// What the library needs is looked for beside it first, and not in the current folder, whose files may be anyone's: it
// is where Terraform runs. Another folder takes that one's place, and the system's is searched anyway.
static unsigned long ck_open(void *path, CK_C_GetInterface *getInterface, CK_C_GetFunctionList *getList) {
	wchar_t system[MAX_PATH];
	if (GetSystemDirectoryW(system, MAX_PATH) == 0 || !SetDllDirectoryW(system))
		return GetLastError();
	HMODULE library = LoadLibraryExW(path, NULL, LOAD_WITH_ALTERED_SEARCH_PATH);
	if (library == NULL)
		return GetLastError();
	*getInterface = (CK_C_GetInterface)(void *)GetProcAddress(library, "C_GetInterface");
	*getList = (CK_C_GetFunctionList)(void *)GetProcAddress(library, "C_GetFunctionList");
	return 0;
}
*/
import "C"

import (
	"errors"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// words say what some of the system's errors mean, whose own texts mislead, or have a %1 for the file's name.
var words = map[error]string{
	windows.ERROR_BAD_EXE_FORMAT: "it is not a DLL for 64-bit programs on " + runtime.GOARCH,
	windows.ERROR_MOD_NOT_FOUND: "a DLL that it needs is missing: it is neither in the module's folder, nor in " +
		"Windows' own, nor in one of the PATH",
}

// open loads the library of that path. None is ever unloaded: many crash when they are.
func open(path string) (entries, error) {
	wide, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return entries{}, err
	}
	var e entries
	if code := C.ck_open(unsafe.Pointer(wide), &e.getInterface, &e.getFunctionList); code != 0 {
		err := syscall.Errno(code)
		if text, ok := words[err]; ok {
			return entries{}, errors.New(text)
		}
		return entries{}, err
	}
	return e, nil
}
