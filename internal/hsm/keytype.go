package hsm

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"fmt"
	"math/big"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// KeyType is a type of key pair.
type KeyType string

// The types of key pair.
const (
	RSA KeyType = "RSA"
)

// keyType is what differs between types of key pair: a row each of keyTypes.
type keyType struct {
	name     KeyType
	ckk      uint // CKA_KEY_TYPE
	generate cryptoki.MechanismType
	usages   Usage // those that are written explicitly
	// public gives the attributes of the public half's template that say what kind of key to make.
	public func(Template) ([]cryptoki.Attribute, error)
	// parse makes the public key of the public half's attributes; errors name the attribute.
	parse func(public object) (crypto.PublicKey, error)
	// twins says whether the two halves show the same key; known is false where the private half shows too little.
	twins func(private, public object) (same, known bool)
	// differs says in what the key differs from what was asked for.
	differs func(Template, crypto.PublicKey) []string
	// size checks the template against what the token says of the generating mechanism.
	size func(Template, cryptoki.MechanismInfo) error
	// proofs show that the halves belong together, by usage; the first that the pair's usage allows is made.
	proofs []proof
}

var keyTypes = []keyType{
	{
		name: RSA, ckk: cryptoki.CKK_RSA, generate: cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN, usages: Sign | Decrypt | Unwrap,
		public: func(t Template) ([]cryptoki.Attribute, error) {
			return []cryptoki.Attribute{
				cryptoki.ULong(cryptoki.CKA_MODULUS_BITS, uint(t.ModulusBits)),
				cryptoki.Bytes(cryptoki.CKA_PUBLIC_EXPONENT, big.NewInt(t.PublicExponent).Bytes()),
			}, nil
		},
		parse: func(o object) (crypto.PublicKey, error) { return publickey.ParseRSA(o.modulus, o.exponent) },
		twins: func(private, public object) (same, known bool) {
			trim := func(b []byte) []byte { return bytes.TrimLeft(b, "\x00") }
			return bytes.Equal(trim(private.modulus), trim(public.modulus)), len(private.modulus) > 0
		},
		differs: func(t Template, key crypto.PublicKey) (problems []string) {
			pub := key.(*rsa.PublicKey)
			if bits := pub.N.BitLen(); bits != t.ModulusBits {
				problems = append(problems, fmt.Sprintf("its modulus has %d bits, not %d", bits, t.ModulusBits))
			}
			if int64(pub.E) != t.PublicExponent {
				problems = append(problems, fmt.Sprintf("its public exponent is %d, not %d", pub.E, t.PublicExponent))
			}
			return problems
		},
		size:   rsaSize,
		proofs: []proof{{Sign, proveRSASignature}, {Decrypt, proveRSADecryption}},
	},
}

// rsaSize holds the modulus against the mechanism's bounds. They are hints: bounds that cannot be bits (some
// tokens give bytes) are passed over.
func rsaSize(t Template, info cryptoki.MechanismInfo) error {
	least, most := info.MinKeySize, info.MaxKeySize
	if most < 1024 || least > most || most == cryptoki.Unknown || uint(t.ModulusBits) >= least && uint(t.ModulusBits) <= most {
		return nil
	}
	return &MechanismError{Wanted: fmt.Sprintf("RSA keys of %d bits", t.ModulusBits), Offers: fmt.Sprintf("RSA keys of %d to %d bits", least, most)}
}

// typeOf is the row of a CKA_KEY_TYPE, or nil where it is not a key pair's.
func typeOf(ckk uint) *keyType {
	for i := range keyTypes {
		if keyTypes[i].ckk == ckk {
			return &keyTypes[i]
		}
	}
	return nil
}

// otherTypes names key types that are met on tokens and are no rows of keyTypes.
var otherTypes = map[uint]string{
	cryptoki.CKK_EC: "EC", cryptoki.CKK_EC_EDWARDS: "Edwards", cryptoki.CKK_AES: "AES", cryptoki.CKK_GENERIC_SECRET: "generic",
}

func keyTypeName(ckk uint) string {
	if t := typeOf(ckk); t != nil {
		return string(t.name)
	}
	if name, ok := otherTypes[ckk]; ok {
		return name
	}
	return fmt.Sprintf("type 0x%X", ckk)
}
