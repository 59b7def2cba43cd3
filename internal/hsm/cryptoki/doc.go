// Package cryptoki is the boundary to PKCS#11 modules: it loads a module once a process, opens sessions, and
// makes calls whose errors carry the name of the C function. It knows calls and codes, and nothing of key
// pairs, policies or Terraform; what a token holds and what may be done to it is package hsm.
//
// A module is opened by its path with [Open], which the example shows, or with [OpenWith] where it wants parameters, and
// given back with [Module.Close].
//
// Each method that reaches the module bears the name of the PKCS#11 function without its C_ and takes a
// context. A call inside a module cannot be interrupted: when the context ends first, the method returns a
// [HangError] that names the function, and the session is lost ([Session.Lost]). Everything goes through one
// place, where [Hook]s can watch a call, or stand in for it.
//
// A module may be wrong about anything. What makes no sense is an [AnswerError], and not used; internal/ck, which makes
// the calls, checks every length, count and handle.
package cryptoki
