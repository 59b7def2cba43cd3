package jwk

import (
	"crypto"
	"fmt"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// FromPEM is the JWK of a public key in PEM, as [publickey.ReadPEM] reads it; kid "" is none. It has no use, and only
// a key for RSASSA-PSS alone has an alg: without one, readers would take it for RS256.
func FromPEM(pem, kid string) (string, error) {
	info, err := publickey.ReadPEM(pem)
	if err != nil {
		return "", err
	}
	alg, err := pssAlg(info.PSS)
	if err != nil {
		return "", err
	}
	return Key{PublicKey: info.PublicKey, KID: kid, Alg: alg}.JSON()
}

// pssAlgs are the algs of RSASSA-PSS, whose mask has the same hash and whose salt is as long as that (RFC 7518, 3.5).
var pssAlgs = map[crypto.Hash]string{crypto.SHA256: "PS256", crypto.SHA384: "PS384", crypto.SHA512: "PS512"}

// pssAlg is the alg of a key that is restricted to RSASSA-PSS, "" for one that is not. A key without parameters may use
// any hash, and gets the one that most readers know.
func pssAlg(pss *publickey.PSS) (string, error) {
	switch {
	case pss == nil:
		return "", nil
	case pss.Hash == 0:
		return pssAlgs[crypto.SHA256], nil
	}
	alg, ok := pssAlgs[pss.Hash]
	if !ok || pss.Mask != pss.Hash || pss.MinSalt > pss.Hash.Size() {
		return "", fmt.Errorf("the key is one for RSASSA-PSS alone, with %s, a mask with %s and a salt of at least %d "+
			"bytes, and JOSE has no alg for that", pss.Hash, pss.Mask, pss.MinSalt)
	}
	return alg, nil
}

// ToPEM is the public key of a JWK as [publickey.PEM] writes it.
func ToPEM(jwk string) (string, error) {
	key, err := Parse(jwk)
	if err != nil {
		return "", err
	}
	return publickey.PEM(key.PublicKey)
}
