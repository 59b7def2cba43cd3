package publickey

import (
	"crypto"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"

	"github.com/cloudflare/circl/sign"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
	"github.com/cloudflare/circl/sign/mldsa/mldsa87"
)

// The parameter sets of ML-DSA (FIPS 204, 4), by the names that FIPS 204 and JOSE give them (RFC 9964).
const (
	MLDSA44 = "ML-DSA-44"
	MLDSA65 = "ML-DSA-65"
	MLDSA87 = "ML-DSA-87"
)

// parameterSet is what differs between parameter sets. The table parameterSets has a row for each.
type parameterSet struct {
	name   string
	ckp    uint                  // the value of CKA_PARAMETER_SET: CKP_ML_DSA_44, ... (PKCS#11 3.2)
	oid    asn1.ObjectIdentifier // RFC 9881, 2
	scheme sign.Scheme
}

var parameterSets = []parameterSet{
	{MLDSA44, 1, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 17}, mldsa44.Scheme()},
	{MLDSA65, 2, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 18}, mldsa65.Scheme()},
	{MLDSA87, 3, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 19}, mldsa87.Scheme()},
}

// MLDSAPublicKey is a public key of ML-DSA. It is kept as its bytes: each string of the right length is a key (FIPS 204,
// 7.2, pkDecode), and what verification makes of it is many times as long.
type MLDSAPublicKey struct {
	set   *parameterSet
	bytes string
}

// ParameterSets lists the parameter sets of ML-DSA.
func ParameterSets() []string {
	names := make([]string, len(parameterSets))
	for i, p := range parameterSets {
		names[i] = p.name
	}
	return names
}

// ParameterSet is the name of the parameter set of an ML-DSA key, "" for any other key and for what is none.
func ParameterSet(pub crypto.PublicKey) string {
	if key := mldsaOf(pub); key != nil {
		return key.set.name
	}
	return ""
}

// MLDSABytes are the bytes of an ML-DSA key (FIPS 204, 7.2, pkEncode), nil for any other key and for what is none.
func MLDSABytes(pub crypto.PublicKey) []byte {
	if key := mldsaOf(pub); key != nil {
		return []byte(key.bytes)
	}
	return nil
}

// SignatureSize is how many bytes a signature by an ML-DSA key has, 0 for any other key and for what is none.
func SignatureSize(pub crypto.PublicKey) int {
	if key := mldsaOf(pub); key != nil {
		return key.set.scheme.SignatureSize()
	}
	return 0
}

// ParameterSetNumber is the CKA_PARAMETER_SET of a parameter set by its name. ok is false where there is none of the name.
func ParameterSetNumber(name string) (ckp uint, ok bool) {
	if p := findParameterSet(func(p *parameterSet) bool { return p.name == name }); p != nil {
		return p.ckp, true
	}
	return 0, false
}

// ParseParameterSet gives the name of the parameter set that CKA_PARAMETER_SET of an ML-DSA key names. The error is an
// [UnsupportedParameterSetError].
func ParseParameterSet(ckp uint) (name string, err error) {
	if p := findParameterSet(func(p *parameterSet) bool { return p.ckp == ckp }); p != nil {
		return p.name, nil
	}
	return "", &UnsupportedParameterSetError{Number: ckp}
}

// ParseMLDSA makes a public key of CKA_PARAMETER_SET and CKA_VALUE (PKCS#11 3.2, ML-DSA public key objects). An error
// names the attribute at fault.
func ParseMLDSA(ckp uint, value []byte) (crypto.PublicKey, error) {
	name, err := ParseParameterSet(ckp)
	if err != nil {
		return nil, fmt.Errorf("CKA_PARAMETER_SET %w", err)
	}
	if len(value) == 0 {
		return nil, errors.New("CKA_VALUE is absent")
	}
	key, err := NewMLDSA(name, value)
	if err != nil {
		return nil, fmt.Errorf("CKA_VALUE makes no key: %w", err)
	}
	return key, nil
}

// NewMLDSA makes the key of a parameter set and its bytes, as [MLDSABytes] gives them.
func NewMLDSA(set string, octets []byte) (crypto.PublicKey, error) {
	p := findParameterSet(func(p *parameterSet) bool { return p.name == set })
	if p == nil {
		return nil, fmt.Errorf("the parameter set %q is not one of %s", set, strings.Join(ParameterSets(), ", "))
	}
	if want := p.scheme.PublicKeySize(); len(octets) != want {
		return nil, fmt.Errorf("an %s public key has %d bytes, not %d", set, want, len(octets))
	}
	return &MLDSAPublicKey{p, string(octets)}, nil
}

// UnsupportedParameterSetError says that CKA_PARAMETER_SET is a number that is not one of ML-DSA's.
type UnsupportedParameterSetError struct{ Number uint }

func (e *UnsupportedParameterSetError) Error() string {
	return fmt.Sprintf("is %d, which is not one of %s", e.Number, strings.Join(ParameterSets(), ", "))
}

// Equal says that the other key is the same.
func (k *MLDSAPublicKey) Equal(other crypto.PublicKey) bool { return Equal(k, other) }

// verify says that a signature of a text is the key's: pure ML-DSA without a context (FIPS 204, 5.3).
func (k *MLDSAPublicKey) verify(text, signature []byte) bool {
	pub, err := k.set.scheme.UnmarshalBinaryPublicKey([]byte(k.bytes))
	return err == nil && k.set.scheme.Verify(pub, text, signature, nil)
}

// mldsaOf is the key if it is one of ML-DSA, else nil.
func mldsaOf(pub crypto.PublicKey) *MLDSAPublicKey {
	if key, ok := pub.(*MLDSAPublicKey); ok && key != nil && key.set != nil {
		return key
	}
	return nil
}

func findParameterSet(is func(*parameterSet) bool) *parameterSet {
	for i := range parameterSets {
		if is(&parameterSets[i]) {
			return &parameterSets[i]
		}
	}
	return nil
}
