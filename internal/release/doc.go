// Package release has the tests of what a release is made of: names, sums, signature, manifest, archives, binaries, bills
// of materials and licences, as the registry and users look at them. scripts/release-check runs them on a release that it
// has just built, and without one they are skipped. Each check is also shown what it has to find.
package release
