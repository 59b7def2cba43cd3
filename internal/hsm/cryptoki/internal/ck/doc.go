// Package ck calls PKCS#11 modules: it loads a module, takes its list of functions, and makes each call with memory of
// the call's own. It is the only package that uses C and unsafe.
//
// A module is other people's code in our process, and its answers may be wrong. So this package checks every answer
// before it believes it: a length is no larger than the buffer, a count no larger than the list, a handle is not zero,
// and what should have been written was written. Every such lie is a [LieError]. Every code other than CKR_OK is a
// [CodeError].
//
// A call gives the module a copy of its input, in a [frame]. So a caller that stops waiting may use its own memory as
// it likes, and the module has its copy for as long as it is inside the call, even for ever.
//
// The layout of structures, the width of a CK_ULONG and the loading of a library differ between platforms: see
// platform_unix.h and load_unix.go, platform_windows.h and load_windows.go.
package ck
