package x509cert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// kind is a kind of key that certificates can be of.
type kind string

const (
	kindRSA     kind = "RSA"
	kindEC      kind = "EC"
	kindEd25519 kind = "Ed25519"
)

// kindOf is the kind of a key, or why no certificate can be of it.
func kindOf(pub crypto.PublicKey) (k kind, refusal string) {
	switch key := pub.(type) {
	case *rsa.PublicKey:
		if key != nil && key.N != nil {
			return kindRSA, ""
		}
	case *ecdsa.PublicKey:
		if name := publickey.Curve(key); name != "" {
			return kindEC, ""
		}
		return "", "The key is on a curve that is not supported. Use a key on P-256, P-384 or P-521."
	case ed25519.PublicKey:
		if len(key) == ed25519.PublicKeySize {
			return kindEd25519, ""
		}
	}
	if publickey.Curve(pub) == publickey.Secp256k1 {
		return "", "The key is on the curve secp256k1, which libraries for X.509 do not know: they could not read " +
			"the certificate. Use an RSA key, or one on P-256, P-384, P-521 or Ed25519."
	}
	if set := publickey.ParameterSet(pub); set != "" {
		return "", fmt.Sprintf("The key is %s, which most libraries for X.509 do not know yet: they could not read "+
			"the certificate. Use an RSA key, or one on P-256, P-384, P-521 or Ed25519.", set)
	}
	return "", "No certificate can be of this kind of key. Use an RSA key, or one on P-256, P-384, P-521 or Ed25519."
}

// bitsOf is the size of an RSA key's modulus, or of a curve.
func bitsOf(pub crypto.PublicKey) int {
	switch key := pub.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen()
	case *ecdsa.PublicKey:
		return key.Curve.Params().BitSize
	}
	return 256
}

// subjectKeyID is the identifier of a key by the first method of RFC 5280, 4.2.1.2: the SHA-1 of what is in the BIT
// STRING.
func subjectKeyID(pub crypto.PublicKey) ([]byte, error) {
	der, err := publickey.MarshalSPKI(pub)
	if err != nil {
		return nil, err
	}
	in := cryptobyte.String(der)
	var info cryptobyte.String
	var octets []byte
	if !in.ReadASN1(&info, cbasn1.SEQUENCE) || !info.SkipASN1(cbasn1.SEQUENCE) ||
		!info.ReadASN1BitStringAsBytes(&octets) {
		return nil, errors.New("x509cert: the key's SubjectPublicKeyInfo cannot be read")
	}
	sum := sha1.Sum(octets)
	return sum[:], nil
}

// throwAway is a key in memory of the same kind as another, made once in a process. A product is made with it first, to
// be linted. An RSA key is no larger than it must be: what is linted is not the signature.
func throwAway(pub crypto.PublicKey) (crypto.Signer, error) {
	k, refusal := kindOf(pub)
	if refusal != "" {
		return nil, fmt.Errorf("x509cert: %s", refusal)
	}
	if key, ok := pub.(*ecdsa.PublicKey); ok {
		return ecdsa.GenerateKey(key.Curve, rand.Reader)
	}
	if k == kindRSA {
		return throwAwayRSA()
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

var throwAwayRSA = sync.OnceValues(func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) })
