// Package softhsm is what SoftHSM's tokens need, and no other make's but for the lock, which NSS's take too: a gate
// that keeps calls that look and calls that write apart ([Gate]), a lock that lets one process of a machine write at a
// time ([ProcessLock]), and the reading anew and clearing away of what is torn all the same ([Care]). The rows of
// package quirk say what was seen, and with which versions.
package softhsm
