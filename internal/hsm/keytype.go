package hsm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// KeyType is a type of key.
type KeyType string

// The types of key.
const (
	RSA KeyType = "RSA"
	EC  KeyType = "EC" // on any curve, Ed25519 among them: PKCS#11 has two values of CKA_KEY_TYPE for them
	// Secret: a key that is no pair, of a Template's Kind.
	Secret KeyType = "secret"
)

// The kinds of secret key.
const (
	AES     = "aes"
	Generic = "generic" // bytes, for HMAC
)

// keyType is what differs between types of key: a row of keyTypes for each CKA_KEY_TYPE.
type keyType struct {
	name     KeyType
	title    string // in messages
	ckk      uint   // CKA_KEY_TYPE
	classes  []uint // CKA_CLASS of the objects that make a key whole: that which holds the secret, then its public half, if it has one
	generate cryptoki.MechanismType
	curves   map[string]uint // by their JOSE names, with their size in bits; nil where the type has none
	kind     string          // of a secret key: AES or Generic
	may      Usage           // what such a key can be made for
	usages   Usage           // those that are written explicitly
	// template gives the attributes that say what kind of key to make: of the public half, where there is one.
	template func(Template) []cryptoki.Attribute
	// parse makes the public key of the public half's attributes; errors name the attribute. nil where there is none.
	parse func(public object) (crypto.PublicKey, error)
	// twins says whether the two halves show the same key: unknown where the private half shows too little. nil where
	// a key is one object.
	twins func(private, public object) verdict
	// differs says in what the key differs from what was asked for.
	differs func(Template, WholeKey) []string
	// size is the key's size in bits, as the generating mechanism bounds it.
	size func(Template) uint
	// leastMost is the lowest upper bound that can be a number of bits: some tokens give bytes.
	leastMost uint
	// bytes: PKCS#11 has the mechanism's bounds in bytes. Such that can be no bits are taken for that.
	bytes bool
	// sizes says what is wrong with the size that is asked for, where any would be; nil where the caller's word will do.
	sizes func(Template) error
	// check computes a secret key's check value, where it may encrypt and the token shows none.
	check func(context.Context, *cryptoki.Session, cryptoki.Object) ([]byte, error)
	// proofs show that the halves belong together, by usage; the first that the key's usage allows is made.
	proofs []proof
	// disproved is what a proof that fails shows.
	disproved string
}

// halves are the classes of the halves of a pair.
var halves = []uint{cryptoki.CKO_PRIVATE_KEY, cryptoki.CKO_PUBLIC_KEY}

// strangers is what the failed proof of a pair shows.
const strangers = "the two halves do not belong together"

// verdict is what can be told of two things being the same.
type verdict int

const (
	unknown verdict = iota
	same
	different
)

func verdictOf(equal bool) verdict {
	if equal {
		return same
	}
	return different
}

// every usage of a private key. What a type of key cannot do is written too, as false: SoftHSM's default is true.
const every = Sign | Decrypt | Unwrap | Derive

var keyTypes = []keyType{
	{
		name: RSA, title: "RSA", ckk: cryptoki.CKK_RSA, classes: halves, generate: cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN,
		may: Sign | Decrypt | Unwrap, usages: Sign | Decrypt | Unwrap,
		template: func(t Template) []cryptoki.Attribute {
			return []cryptoki.Attribute{
				cryptoki.ULong(cryptoki.CKA_MODULUS_BITS, uint(t.ModulusBits)),
				cryptoki.Bytes(cryptoki.CKA_PUBLIC_EXPONENT, big.NewInt(t.PublicExponent).Bytes()),
			}
		},
		parse: func(o object) (crypto.PublicKey, error) { return publickey.ParseRSA(o.modulus, o.exponent) },
		twins: func(private, public object) verdict {
			if len(private.modulus) == 0 {
				return unknown
			}
			trim := func(b []byte) []byte { return bytes.TrimLeft(b, "\x00") }
			return verdictOf(bytes.Equal(trim(private.modulus), trim(public.modulus)))
		},
		differs: func(t Template, key WholeKey) (problems []string) {
			pub := key.PublicKey.(*rsa.PublicKey)
			if bits := pub.N.BitLen(); bits != t.ModulusBits {
				problems = append(problems, fmt.Sprintf("its modulus has %d bits, not %d", bits, t.ModulusBits))
			}
			if int64(pub.E) != t.PublicExponent {
				problems = append(problems, fmt.Sprintf("its public exponent is %d, not %d", pub.E, t.PublicExponent))
			}
			return problems
		},
		size: func(t Template) uint { return uint(t.ModulusBits) }, leastMost: 1024,
		proofs: []proof{{Sign, proveRSASignature}, {Decrypt, proveRSADecryption}}, disproved: strangers,
	},
	onCurves(keyType{
		title: "EC", ckk: cryptoki.CKK_EC, generate: cryptoki.CKM_EC_KEY_PAIR_GEN,
		curves: map[string]uint{publickey.P256: 256, publickey.P384: 384, publickey.P521: 521, publickey.Secp256k1: 256},
		may:    Sign | Derive,
		proofs: []proof{{Sign, proveECDSA}, {Derive, proveAgreement}},
	}),
	onCurves(keyType{
		title: "Edwards", ckk: cryptoki.CKK_EC_EDWARDS, generate: cryptoki.CKM_EC_EDWARDS_KEY_PAIR_GEN,
		curves: map[string]uint{publickey.Ed25519: 255},
		may:    Sign,
		proofs: []proof{{Sign, proveEdDSA}},
	}),
	secret(keyType{
		title: "AES", ckk: cryptoki.CKK_AES, generate: cryptoki.CKM_AES_KEY_GEN, kind: AES,
		may:       Encrypt | Decrypt | Wrap | Unwrap | Sign | Verify,
		leastMost: 128, bytes: true, check: aesCheckValue,
		sizes: func(t Template) error {
			if t.Bits != 128 && t.Bits != 192 && t.Bits != 256 {
				return unfit("AES keys have 128, 192 or 256 bits, not %d", t.Bits)
			}
			return nil
		},
		proofs: []proof{{Encrypt | Decrypt, proveCipher}, {Sign | Verify, proveMAC(cryptoki.CKM_AES_CMAC)}},
	}),
	secret(keyType{
		title: "generic", ckk: cryptoki.CKK_GENERIC_SECRET, generate: cryptoki.CKM_GENERIC_SECRET_KEY_GEN, kind: Generic,
		may:       Sign | Verify,
		leastMost: 1024,
		sizes: func(t Template) error {
			if t.Bits < 128 || t.Bits > 4096 || t.Bits%8 != 0 {
				return unfit("generic keys have whole bytes, from 128 to 4096 bits, not %d bits", t.Bits)
			}
			return nil
		},
		proofs: []proof{{Sign | Verify, proveMAC(cryptoki.CKM_SHA256_HMAC)}, {Sign | Verify, proveMAC(cryptoki.CKM_SHA_1_HMAC)}},
	}),
}

// secret fills in what all types of secret key have in common.
func secret(kt keyType) keyType {
	kt.name, kt.classes = Secret, []uint{cryptoki.CKO_SECRET_KEY}
	kt.usages, kt.disproved = every|Encrypt|Verify|Wrap, "it does not undo, or does not verify, what it has done itself"
	kt.template = func(t Template) []cryptoki.Attribute {
		return []cryptoki.Attribute{cryptoki.ULong(cryptoki.CKA_VALUE_LEN, uint(t.Bits)/8)}
	}
	kt.differs = func(t Template, key WholeKey) []string {
		if key.Bits != 0 && key.Bits != t.Bits { // 0 is not told
			return []string{fmt.Sprintf("it has %d bits, not %d", key.Bits, t.Bits)}
		}
		return nil
	}
	kt.size = func(t Template) uint { return uint(t.Bits) }
	return kt
}

// onCurves fills in what all types of key on curves have in common.
func onCurves(kt keyType) keyType {
	kt.name, kt.classes, kt.usages, kt.leastMost, kt.disproved = EC, halves, every, 112, strangers
	kt.template = func(t Template) []cryptoki.Attribute {
		params, _ := publickey.ECParams(t.Curve) // the row has the curve
		return []cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_EC_PARAMS, params)}
	}
	kt.parse = func(o object) (crypto.PublicKey, error) {
		key, curve, err := publickey.ParseEC(o.params, o.point)
		if err == nil && kt.curves[curve] == 0 {
			return nil, fmt.Errorf("CKA_EC_PARAMS names %s, which is no curve of the CKA_KEY_TYPE", curve)
		}
		return key, err
	}
	kt.twins = func(private, public object) verdict {
		mine, err := kt.parse(private)
		theirs, publicErr := kt.parse(public)
		if err == nil && publicErr == nil {
			return verdictOf(publickey.Equal(mine, theirs))
		}
		// Many a private half shows no point, and its curve at best.
		curve, err := publickey.ParseECParams(private.params)
		if other, publicErr := publickey.ParseECParams(public.params); err == nil && publicErr == nil && curve != other {
			return different
		}
		return unknown
	}
	kt.differs = func(t Template, key WholeKey) []string {
		if curve := publickey.Curve(key.PublicKey); curve != t.Curve {
			return []string{fmt.Sprintf("it is on the curve %s, not on %s", curve, t.Curve)}
		}
		return nil
	}
	kt.size = func(t Template) uint { return kt.curves[t.Curve] }
	return kt
}

// alone says that a key is one object, which has no twin.
func (kt *keyType) alone() bool { return len(kt.classes) == 1 }

// noun is such as "RSA key pairs".
func (kt *keyType) noun() string {
	if kt.alone() {
		return kt.title + " keys"
	}
	return kt.title + " key pairs"
}

// composition is such as "a private key and a public key".
func (kt *keyType) composition() string {
	var each []string
	for _, class := range kt.classes {
		each = append(each, "a "+classes[class])
	}
	return strings.Join(each, " and ")
}

// parts picks out of objects those that make a key of the type whole. ok is false where one of them is missing or makes
// no sense. There is no public part where a key is one object.
func (kt *keyType) parts(objects []object) (private, public object, ok bool) {
	of := map[uint]object{}
	for _, o := range objects {
		of[o.class] = o
	}
	ok = !slices.ContainsFunc(kt.classes, func(class uint) bool { return !of[class].read || of[class].err != nil })
	if kt.alone() {
		return of[kt.classes[0]], object{}, ok
	}
	return of[kt.classes[0]], of[kt.classes[1]], ok
}

// belong says whether the parts show the same key.
func (kt *keyType) belong(private, public object) verdict {
	if kt.alone() {
		return same
	}
	return kt.twins(private, public)
}

// fingerprint is that of what an object shows of its key, "" where that is too little.
func (kt *keyType) fingerprint(o object) string {
	if kt.alone() {
		return hex.EncodeToString(o.checkValue)
	}
	_, fingerprint, _ := kt.read(o)
	return fingerprint
}

// offered holds a key's size against the bounds of the mechanism that makes it. They are hints: bounds that cannot be
// bits are passed over, and some tokens round up to whole bytes.
func (kt *keyType) offered(t Template, info cryptoki.MechanismInfo) error {
	bits, least, most := kt.size(t), info.MinKeySize, info.MaxKeySize
	if kt.bytes && most < kt.leastMost {
		least, most = 8*least, 8*most
	}
	if most < kt.leastMost || least > most || most == cryptoki.Unknown || (bits+7)/8*8 >= least && bits <= most {
		return nil
	}
	return &MechanismError{
		Wanted: strings.TrimSpace(fmt.Sprintf("%s keys of %d bits %s", kt.title, bits, t.Curve)),
		Offers: fmt.Sprintf("%s keys of %d to %d bits", kt.title, least, most),
	}
}

// permits is an error where such a key cannot have the usage.
func (kt *keyType) permits(usage Usage) error {
	if kt.may.Has(usage) {
		return nil
	}
	return unfit("%s keys are for %s, not for %s", kt.title, kt.may, usage&^kt.may)
}

func unfit(format string, args ...any) error { return &UnfitError{fmt.Sprintf(format, args...)} }

// typeOf is the row of a CKA_KEY_TYPE, or nil where there is none.
func typeOf(ckk uint) *keyType {
	for i := range keyTypes {
		if keyTypes[i].ckk == ckk {
			return &keyTypes[i]
		}
	}
	return nil
}

func keyTypeName(ckk uint) string {
	if t := typeOf(ckk); t != nil {
		return t.title
	}
	return fmt.Sprintf("type 0x%X", ckk)
}
