package jwk

import "github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"

// FromPEM is the JWK of a public key in PEM, as [publickey.ParsePEM] reads it. It has no use and no alg; kid "" is none.
func FromPEM(pem, kid string) (string, error) {
	pub, err := publickey.ParsePEM(pem)
	if err != nil {
		return "", err
	}
	return Key{PublicKey: pub, KID: kid}.JSON()
}

// ToPEM is the public key of a JWK as [publickey.PEM] writes it.
func ToPEM(jwk string) (string, error) {
	key, err := Parse(jwk)
	if err != nil {
		return "", err
	}
	return publickey.PEM(key.PublicKey)
}
