// Package ck calls PKCS#11 modules: it loads one, takes its list of functions, and makes each call with memory of
// the call's own. It is the only package that uses C and unsafe.
//
// A module is other people's code in our process, and what it says may be wrong. So nothing that it answers is
// believed before it is checked: a length is never larger than the buffer that was lent, a count never larger than
// the list, a handle is never zero, and what should have been written was written. Every such lie is a [LieError].
// Every code other than CKR_OK is a [CodeError].
//
// What a call lends to the module is a copy, in a [frame]: a caller that stops waiting may do with its own memory as
// it likes, and the module has its own for as long as it is inside the call, be it for ever.
//
// How structures are laid out, how wide a CK_ULONG is and how a library is loaded differ from platform to platform:
// platform_unix.h and load_unix.go, platform_windows.h and load_windows.go.
package ck
