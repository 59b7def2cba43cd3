package x509cert

import (
	"crypto"
	"crypto/x509"
	"slices"
)

// algorithms are the words for how something is signed (those of x509.SignatureAlgorithm), and what signs so.
var algorithms = []struct {
	word string
	x509 x509.SignatureAlgorithm
	kind kind
	hash crypto.Hash
	pss  bool
}{
	{"SHA256-RSA", x509.SHA256WithRSA, kindRSA, crypto.SHA256, false},
	{"SHA384-RSA", x509.SHA384WithRSA, kindRSA, crypto.SHA384, false},
	{"SHA512-RSA", x509.SHA512WithRSA, kindRSA, crypto.SHA512, false},
	{"SHA256-RSAPSS", x509.SHA256WithRSAPSS, kindRSA, crypto.SHA256, true},
	{"SHA384-RSAPSS", x509.SHA384WithRSAPSS, kindRSA, crypto.SHA384, true},
	{"SHA512-RSAPSS", x509.SHA512WithRSAPSS, kindRSA, crypto.SHA512, true},
	{"ECDSA-SHA256", x509.ECDSAWithSHA256, kindEC, crypto.SHA256, false},
	{"ECDSA-SHA384", x509.ECDSAWithSHA384, kindEC, crypto.SHA384, false},
	{"ECDSA-SHA512", x509.ECDSAWithSHA512, kindEC, crypto.SHA512, false},
	{"Ed25519", x509.PureEd25519, kindEd25519, 0, false},
}

// SignatureAlgorithms are the words for how something is signed, such as SHA256-RSA, SHA384-RSAPSS, ECDSA-SHA256 and
// Ed25519.
func SignatureAlgorithms() []string {
	words := make([]string, len(algorithms))
	for i, a := range algorithms {
		words[i] = a.word
	}
	return words
}

// DefaultSignatureAlgorithm is the word for how a key signs where nothing else is asked for: by SHA-256 with RSA, by
// the hash of the curve's size, or by Ed25519. It is "" for a key that signs no certificates.
func DefaultSignatureAlgorithm(pub crypto.PublicKey) string {
	switch k, _ := kindOf(pub); k {
	case kindRSA:
		return "SHA256-RSA"
	case kindEC:
		return map[int]string{256: "ECDSA-SHA256", 384: "ECDSA-SHA384", 521: "ECDSA-SHA512"}[bitsOf(pub)]
	case kindEd25519:
		return "Ed25519"
	}
	return ""
}

// algorithmOf is a word as X.509 has it; "" is the default of the key.
func algorithmOf(word string, pub crypto.PublicKey) x509.SignatureAlgorithm {
	if word == "" {
		word = DefaultSignatureAlgorithm(pub)
	}
	if i := slices.Index(SignatureAlgorithms(), word); i >= 0 {
		return algorithms[i].x509
	}
	return x509.UnknownSignatureAlgorithm
}

// algorithmsOf are the words for how a kind of key signs.
func algorithmsOf(k kind) []string {
	var words []string
	for _, a := range algorithms {
		if a.kind == k {
			words = append(words, a.word)
		}
	}
	return words
}
