// Package cryptoki is the boundary to PKCS#11 modules: it loads a module once a process, opens sessions, and
// makes calls whose errors carry the name of the C function. It knows calls and codes, and nothing of key
// pairs, policies or Terraform; what a token holds and what may be done to it is package hsm.
//
// A module is opened by its path with [Open], which the example shows, or with [OpenWith] where it wants parameters, and
// given back with [Module.Close].
//
// Each method that calls the module has the name of the PKCS#11 function without its C_, and takes a context. A call
// inside a module cannot be interrupted: when the context ends first, the method returns a [HangError] that names the
// function, and the session is lost ([Session.Lost]). Every call goes through one place, where a [Hook] can watch it or
// replace it.
//
// A module may be wrong about anything. An answer that makes no sense is an [AnswerError], and is not used. Package
// internal/ck makes the calls, and checks every length, count and handle.
package cryptoki
