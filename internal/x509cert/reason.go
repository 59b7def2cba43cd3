package x509cert

import "slices"

// reasons are the words for why a certificate is revoked (RFC 5280, 5.3.1). 7 is not used. 8, removeFromCRL, is for
// delta lists alone.
var reasons = []struct {
	word string
	code int
}{
	{"unspecified", 0},
	{"key_compromise", 1},
	{"ca_compromise", 2},
	{"affiliation_changed", 3},
	{"superseded", 4},
	{"cessation_of_operation", 5},
	{"certificate_hold", 6},
	{"privilege_withdrawn", 9},
	{"aa_compromise", 10},
}

// Reasons are the words for why a certificate is revoked (RFC 5280, 5.3.1), such as key_compromise.
func Reasons() []string {
	words := make([]string, len(reasons))
	for i, r := range reasons {
		words[i] = r.word
	}
	return words
}

// reasonCode is the number of a word; "" is unspecified.
func reasonCode(word string) int {
	if i := slices.Index(Reasons(), word); i >= 0 {
		return reasons[i].code
	}
	return 0
}

// removeFromCRL is the word for 8.
const removeFromCRL = "remove_from_crl"
