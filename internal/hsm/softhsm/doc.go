// Package softhsm has what only SoftHSM's tokens need: a gate that keeps calls that look at objects apart from calls
// that write them ([Gate]), a lock that lets one process write at a time ([ProcessLock]), and the repeated
// reading and clearing away of objects that are torn all the same ([Care]). The lock serves NSS and openCryptoki too.
// The rows of package quirk say what was seen, and with which versions.
package softhsm
