package provider

import (
	"crypto"
	"errors"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/jwk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// publicForms are the texts that a public key is shown as.
type publicForms struct {
	kid, jwk, pem      string
	openSSH, sshDigest string // "" if OpenSSH does not know this kind of key
}

// formsOf gives the texts of a public key. Its JWK has the kid of the ID, if there is one, and the use and its alg,
// if use is not "": the first that allowed allows.
func formsOf(pub crypto.PublicKey, id []byte, use string, allowed func(alg string) bool) (f publicForms, err error) {
	if f.pem, err = publickey.PEM(pub); err != nil {
		return f, err
	}
	if f.openSSH, err = publickey.OpenSSH(pub); err != nil && !errors.Is(err, publickey.ErrNoOpenSSH) {
		return f, err
	}
	if f.sshDigest, err = publickey.OpenSSHFingerprint(pub); err != nil && !errors.Is(err, publickey.ErrNoOpenSSH) {
		return f, err
	}
	f.kid = jwk.KID(id)
	key := jwk.Key{PublicKey: pub, KID: f.kid, Use: use}
	if use != "" {
		key.Alg = jwk.DefaultAlg(pub, use, allowed)
	}
	f.jwk, err = key.JSON()
	return f, err
}
