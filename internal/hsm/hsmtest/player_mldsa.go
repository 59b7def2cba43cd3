package hsmtest

import (
	"context"
	"crypto/sha256"
	"slices"

	"github.com/cloudflare/circl/sign"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
	"github.com/cloudflare/circl/sign/mldsa/mldsa87"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// PlayMLDSA is a hook that gives a token ML-DSA as PKCS#11 3.2 has it (CKK_ML_DSA), and as openCryptoki 3.27 was seen to do
// it. Behind each pair stands an RSA pair of the token, whose length is that of no other key: it says which parameter
// set is played, and the modulus is the seed of the key. So the hook keeps nothing, and another process that has it sees
// the same keys.
func PlayMLDSA(ctx context.Context, c *cryptoki.Call, next func() error) error {
	switch c.Function {
	case "C_GetMechanismList":
		err := next()
		list := c.Result.(*[]cryptoki.MechanismType)
		*list = append(*list, cryptoki.CKM_ML_DSA_KEY_PAIR_GEN, cryptoki.CKM_ML_DSA)
		return err
	case "C_GetMechanismInfo":
		if flags, ok := playedMechanisms[c.Mechanism]; ok {
			*c.Result.(*cryptoki.MechanismInfo) = cryptoki.MechanismInfo{MinKeySize: 1312, MaxKeySize: 2592, Flags: flags}
			return nil
		}
	case "C_FindObjectsInit":
		c.Template = exchanged(c.Template, func(a cryptoki.Attribute) []cryptoki.Attribute {
			if ofType := cryptoki.ULong(cryptoki.CKA_KEY_TYPE, cryptoki.CKK_ML_DSA); a.Type == ofType.Type &&
				string(a.Value) == string(ofType.Value) {
				return []cryptoki.Attribute{cryptoki.ULong(cryptoki.CKA_KEY_TYPE, cryptoki.CKK_RSA)}
			}
			return []cryptoki.Attribute{a}
		})
	case "C_GenerateKeyPair":
		if c.Mechanism == cryptoki.CKM_ML_DSA_KEY_PAIR_GEN {
			return generatePlayed(c, next)
		}
	case "C_GetAttributeValue":
		return readPlayed(ctx, c, next)
	case "C_SignInit":
		return beginPlayed(ctx, c, next)
	case "C_Sign":
		if key, ok := playedKeyOf(ctx, c); ok {
			_, private := key.pair()
			*c.Result.(*[]byte) = key.scheme.Sign(private, c.Data, nil)
			return nil
		}
	}
	return next()
}

// playedMechanisms are the mechanisms of ML-DSA, with their flags: CKF_GENERATE_KEY_PAIR, and CKF_SIGN with CKF_VERIFY.
var playedMechanisms = map[cryptoki.MechanismType]uint{
	cryptoki.CKM_ML_DSA_KEY_PAIR_GEN: 0x10000, cryptoki.CKM_ML_DSA: 0x2800,
}

// playedSets are the parameter sets by their number, with the length of the RSA modulus behind them.
var playedSets = []struct {
	ckp, bits uint
	scheme    sign.Scheme
}{{1, 1032, mldsa44.Scheme()}, {2, 1040, mldsa65.Scheme()}, {3, 1048, mldsa87.Scheme()}}

func exchanged(template []cryptoki.Attribute, by func(cryptoki.Attribute) []cryptoki.Attribute) (all []cryptoki.Attribute) {
	for _, a := range template {
		all = append(all, by(a)...)
	}
	return all
}

func generatePlayed(c *cryptoki.Call, next func() error) error {
	known := false
	c.Public = exchanged(c.Public, func(a cryptoki.Attribute) []cryptoki.Attribute {
		if a.Type != cryptoki.CKA_PARAMETER_SET {
			return []cryptoki.Attribute{a}
		}
		for _, set := range playedSets {
			if string(a.Value) == string(cryptoki.ULong(a.Type, set.ckp).Value) {
				known = true
				return []cryptoki.Attribute{
					cryptoki.ULong(cryptoki.CKA_MODULUS_BITS, set.bits),
					cryptoki.Bytes(cryptoki.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}),
				}
			}
		}
		return nil
	})
	if !known {
		return &cryptoki.Error{Function: c.Function, Code: cryptoki.CKR_TEMPLATE_INCOMPLETE}
	}
	c.Mechanism = cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN
	return next()
}

// playedKey is an ML-DSA key that is played.
type playedKey struct {
	ckp     uint
	scheme  sign.Scheme
	modulus []byte // of the RSA key behind it
	class   uint
	signs   bool
}

func (k playedKey) pair() (sign.PublicKey, sign.PrivateKey) {
	seed := sha256.Sum256(k.modulus)
	return k.scheme.DeriveKey(seed[:])
}

// playedKeyOf is the key that the call's object is a half of. ok is false for every other object.
func playedKeyOf(ctx context.Context, c *cryptoki.Call) (key playedKey, ok bool) {
	a, err := c.Behind().GetAttributeValue(ctx, c.Object, []cryptoki.AttributeType{
		cryptoki.CKA_CLASS, cryptoki.CKA_KEY_TYPE, cryptoki.CKA_MODULUS, cryptoki.CKA_SIGN,
	})
	if ckk, _, _ := a.ULong(cryptoki.CKA_KEY_TYPE); err != nil || ckk != cryptoki.CKK_RSA {
		return key, false
	}
	key.modulus = a[cryptoki.CKA_MODULUS]
	key.class, _, _ = a.ULong(cryptoki.CKA_CLASS)
	key.signs, _, _ = a.Bool(cryptoki.CKA_SIGN)
	for _, set := range playedSets {
		if 8*uint(len(key.modulus)) == set.bits {
			key.ckp, key.scheme = set.ckp, set.scheme
			return key, true
		}
	}
	return key, false
}

// readPlayed shows a played key as what it is. The value of a private half is sensitive.
func readPlayed(ctx context.Context, c *cryptoki.Call, next func() error) error {
	if err := next(); err != nil {
		return err
	}
	key, ok := playedKeyOf(ctx, c)
	if !ok {
		return nil
	}
	shown := c.Result.(*cryptoki.Reading).Attributes
	for _, hidden := range []cryptoki.AttributeType{
		cryptoki.CKA_MODULUS, cryptoki.CKA_PUBLIC_EXPONENT, cryptoki.CKA_VALUE,
	} {
		delete(shown, hidden)
	}
	asked := func(t cryptoki.AttributeType) bool { return slices.Contains(c.Types, t) }
	show := func(a cryptoki.Attribute) { shown[a.Type] = a.Value }
	if asked(cryptoki.CKA_KEY_TYPE) {
		show(cryptoki.ULong(cryptoki.CKA_KEY_TYPE, cryptoki.CKK_ML_DSA))
	}
	if asked(cryptoki.CKA_PARAMETER_SET) {
		show(cryptoki.ULong(cryptoki.CKA_PARAMETER_SET, key.ckp))
	}
	if asked(cryptoki.CKA_VALUE) && key.class == cryptoki.CKO_PUBLIC_KEY {
		public, _ := key.pair()
		value, err := public.MarshalBinary()
		show(cryptoki.Bytes(cryptoki.CKA_VALUE, value))
		return err
	}
	return nil
}

// beginPlayed begins a signature: by a played key if the mechanism is ML-DSA's, and else by another one.
func beginPlayed(ctx context.Context, c *cryptoki.Call, next func() error) error {
	key, played := playedKeyOf(ctx, c)
	switch mechanism := c.Mechanism == cryptoki.CKM_ML_DSA; {
	case played != mechanism:
		return &cryptoki.Error{Function: c.Function, Code: cryptoki.CKR_KEY_TYPE_INCONSISTENT}
	case played && (!key.signs || key.class != cryptoki.CKO_PRIVATE_KEY):
		return &cryptoki.Error{Function: c.Function, Code: cryptoki.CKR_KEY_FUNCTION_NOT_PERMITTED}
	case played:
		return nil // C_Sign does it all
	}
	return next()
}
