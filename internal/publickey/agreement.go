package publickey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"errors"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// Agree makes a fresh key pair on the key's curve and agrees on a secret with the key (ECDH; SEC 1, 3.3.1). point is
// the fresh public point, uncompressed. With it, the holder of the private key finds the same secret, which is the x
// coordinate at full width. Errors: for a key that is not on a curve, or is on Ed25519, which only signs.
func Agree(pub crypto.PublicKey) (point, secret []byte, err error) {
	switch key := pub.(type) {
	case *ecdsa.PublicKey:
		theirs, err := key.ECDH()
		if err != nil {
			return nil, nil, err
		}
		ours, err := theirs.Curve().GenerateKey(rand.Reader)
		if err != nil {
			return nil, nil, err
		}
		secret, err := ours.ECDH(theirs)
		return ours.PublicKey().Bytes(), secret, err
	case *secp256k1.PublicKey:
		if key == nil {
			return nil, nil, errors.New("no public key")
		}
		ours, err := secp256k1.GeneratePrivateKey()
		if err != nil {
			return nil, nil, err
		}
		return ours.PubKey().SerializeUncompressed(), secp256k1.GenerateSharedSecret(ours, key), nil
	}
	return nil, nil, errors.New("no secret can be agreed on with this kind of key")
}
