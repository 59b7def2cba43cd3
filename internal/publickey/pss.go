package publickey

import (
	"crypto"
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidPSS  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10} // id-RSASSA-PSS, RFC 4055, 1.2
	oidMGF1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
)

// PSS is what the parameters of an id-RSASSA-PSS key restrict its signatures to (RFC 4055, 3.1).
type PSS struct {
	Hash    crypto.Hash // 0 where the key has no parameters: any hash, any mask, any salt
	Mask    crypto.Hash // the hash of MGF1
	MinSalt int         // the least length of the salt, in bytes
}

// The hashes that parameters may name (RFC 4055, 2.1).
var pssHashes = map[string]crypto.Hash{
	"1.3.14.3.2.26":          crypto.SHA1,
	"2.16.840.1.101.3.4.2.4": crypto.SHA224,
	"2.16.840.1.101.3.4.2.1": crypto.SHA256,
	"2.16.840.1.101.3.4.2.2": crypto.SHA384,
	"2.16.840.1.101.3.4.2.3": crypto.SHA512,
}

var errPSS = errors.New("the key is one for RSASSA-PSS alone, and its parameters cannot be read")

// parsePSS reads RSASSA-PSS-params, or that there are none.
func parsePSS(params cryptobyte.String) (*PSS, error) {
	if params.Empty() {
		return &PSS{}, nil
	}
	var fields, hash, mask cryptobyte.String
	var hasHash, hasMask bool
	pss, trailer := &PSS{Hash: crypto.SHA1, Mask: crypto.SHA1}, 0
	tag := func(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }
	if !params.ReadASN1(&fields, cbasn1.SEQUENCE) || !params.Empty() ||
		!fields.ReadOptionalASN1(&hash, &hasHash, tag(0)) || !fields.ReadOptionalASN1(&mask, &hasMask, tag(1)) ||
		!fields.ReadOptionalASN1Integer(&pss.MinSalt, tag(2), 20) || pss.MinSalt < 0 ||
		!fields.ReadOptionalASN1Integer(&trailer, tag(3), 1) || trailer != 1 || !fields.Empty() {
		return nil, errPSS
	}
	var err error
	if hasHash {
		if pss.Hash, err = readHash(hash); err != nil {
			return nil, err
		}
	}
	if hasMask {
		var function cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !mask.ReadASN1(&function, cbasn1.SEQUENCE) || !mask.Empty() || !function.ReadASN1ObjectIdentifier(&oid) {
			return nil, errPSS
		}
		if !oid.Equal(oidMGF1) {
			return nil, fmt.Errorf("the key is one for RSASSA-PSS alone, with the mask function %s, which is not MGF1",
				oid)
		}
		if pss.Mask, err = readHash(function); err != nil {
			return nil, err
		}
	}
	return pss, nil
}

// readHash reads an AlgorithmIdentifier of a hash.
func readHash(in cryptobyte.String) (crypto.Hash, error) {
	var identifier, null cryptobyte.String
	var oid asn1.ObjectIdentifier
	var hasNull bool
	if !in.ReadASN1(&identifier, cbasn1.SEQUENCE) || !in.Empty() || !identifier.ReadASN1ObjectIdentifier(&oid) ||
		!identifier.ReadOptionalASN1(&null, &hasNull, cbasn1.NULL) || !null.Empty() || !identifier.Empty() {
		return 0, errPSS
	}
	hash, ok := pssHashes[oid.String()]
	if !ok {
		return 0, fmt.Errorf("the key is one for RSASSA-PSS alone, with the hash %s, which is not supported", oid)
	}
	return hash, nil
}
