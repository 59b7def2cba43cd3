package object

import "github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"

// algorithms says, for each alg of JOSE, with which mechanisms a token does it: the private half's part of it (RFC 7518,
// 3.1 and 4.1; RFC 8037; RFC 8812; RFC 9964). Each has one that hashes by itself and one that does not.
var algorithms = map[string][]cryptoki.MechanismType{
	"RS256":          {cryptoki.CKM_RSA_PKCS, cryptoki.CKM_SHA256_RSA_PKCS},
	"RS384":          {cryptoki.CKM_RSA_PKCS, cryptoki.CKM_SHA384_RSA_PKCS},
	"RS512":          {cryptoki.CKM_RSA_PKCS, cryptoki.CKM_SHA512_RSA_PKCS},
	"PS256":          {cryptoki.CKM_RSA_PKCS_PSS, cryptoki.CKM_SHA256_RSA_PKCS_PSS},
	"PS384":          {cryptoki.CKM_RSA_PKCS_PSS, cryptoki.CKM_SHA384_RSA_PKCS_PSS},
	"PS512":          {cryptoki.CKM_RSA_PKCS_PSS, cryptoki.CKM_SHA512_RSA_PKCS_PSS},
	"RSA-OAEP":       {cryptoki.CKM_RSA_PKCS_OAEP},
	"RSA-OAEP-256":   {cryptoki.CKM_RSA_PKCS_OAEP},
	"RSA-OAEP-384":   {cryptoki.CKM_RSA_PKCS_OAEP},
	"RSA-OAEP-512":   {cryptoki.CKM_RSA_PKCS_OAEP},
	"RSA1_5":         {cryptoki.CKM_RSA_PKCS},
	"ES256":          {cryptoki.CKM_ECDSA, cryptoki.CKM_ECDSA_SHA256},
	"ES256K":         {cryptoki.CKM_ECDSA, cryptoki.CKM_ECDSA_SHA256},
	"ES384":          {cryptoki.CKM_ECDSA, cryptoki.CKM_ECDSA_SHA384},
	"ES512":          {cryptoki.CKM_ECDSA, cryptoki.CKM_ECDSA_SHA512},
	"EdDSA":          {cryptoki.CKM_EDDSA},
	"Ed25519":        {cryptoki.CKM_EDDSA},
	"ML-DSA-44":      {cryptoki.CKM_ML_DSA},
	"ML-DSA-65":      {cryptoki.CKM_ML_DSA},
	"ML-DSA-87":      {cryptoki.CKM_ML_DSA},
	"ECDH-ES":        ecdh,
	"ECDH-ES+A128KW": ecdh,
	"ECDH-ES+A192KW": ecdh,
	"ECDH-ES+A256KW": ecdh,
}

var ecdh = []cryptoki.MechanismType{cryptoki.CKM_ECDH1_DERIVE, cryptoki.CKM_ECDH1_COFACTOR_DERIVE}

// AllowsAlg says that the key's allowed mechanisms have one for an alg of JOSE. An alg that is not known is allowed only
// where every mechanism is.
func (c Claims) AllowsAlg(alg string) bool { return c.Allows(algorithms[alg]...) }
