package object

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/rsa"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// KeyType is a type of key.
type KeyType string

// The types of key.
const (
	RSA KeyType = "RSA"
	EC  KeyType = "EC" // on any curve, Ed25519 among them: PKCS#11 has two values of CKA_KEY_TYPE for them
	// MLDSA is ML-DSA of each parameter set.
	MLDSA KeyType = "ML-DSA"
	// Secret is a secret key; a Template's Kind says of which kind.
	Secret KeyType = "secret"
)

// The kinds of secret key.
const (
	AES     = "aes"
	Generic = "generic" // bytes, for HMAC
)

// Spec is what differs between types of key. The table has a row for each CKA_KEY_TYPE.
type Spec struct {
	Name  KeyType
	Title string // in messages
	CKK   uint   // CKA_KEY_TYPE
	// Also are other values of CKA_KEY_TYPE that such keys have where others made them, or where the make wants it.
	Also []uint
	// Classes are the CKA_CLASS values of the objects that make a whole key: the one with the secret, then the public
	// half, if there is one.
	Classes   []uint
	Mechanism cryptoki.MechanismType   // that makes such a key
	otherwise []cryptoki.MechanismType // that make it where the token does not offer the Mechanism
	May       Usage                    // what such a key can be made for
	// Proofs show that the halves belong together, or that a secret key decrypts what it encrypts. The first one that
	// the key's usage and mechanisms allow, and that the token offers, is made.
	Proofs []Proof
	// Disproved says what a failed proof shows.
	Disproved string
	// Computes: where the token shows no check value, a key that may encrypt can compute it.
	Computes bool

	curves map[string]uint // by their JOSE names, with their size in bits; nil where the type has none
	kind   string          // of a secret key: AES or Generic
	usages Usage           // those that templates set explicitly
	// further are attributes that only such objects have, by their class. See [Further].
	further map[uint][]cryptoki.AttributeType
	// sort names the curve or the parameter set that a half shows, "" for none that is known. nil where the type has
	// none.
	sort func(half Object) string
	// template gives the attributes that say what key to make. They go into the public half's template, if there is
	// one.
	template func(Template, quirk.Differences) []cryptoki.Attribute
	// parse makes the public key of the public half's attributes; errors name the attribute. nil for secret keys.
	parse func(public Object) (crypto.PublicKey, error)
	// halves says whether the two halves show the same key. It is Undecided where the private half shows too little.
	// nil for secret keys.
	halves func(private, public Object) Verdict
	// shows is what a half shows of the key, in one form for both halves; "" where that is too little to tell the key from
	// others. nil for secret keys.
	shows func(half Object) string
	// whole says that a private half shows all of its public key. nil for secret keys.
	whole func(private Object) bool
	// differs says in what the key differs from what was asked for.
	differs func(Template, Key) []string
	// size is the key's size in bits. The mechanism that makes the key has bounds for it. nil where what tokens mean by
	// those bounds is not known.
	size func(Template) uint
	// leastMost is the lowest upper bound that can be in bits. Some tokens give bytes; their numbers are lower.
	leastMost uint
	// bytes: PKCS#11 has the mechanism's bounds in bytes. Bounds below leastMost are then read as bytes.
	bytes bool
	// sizes says what is wrong with the size that is asked for. nil where the caller has checked it.
	sizes func(Template) error
}

// Proof is an operation with a mechanism that shows that the parts of a key are one key, for keys whose usage allows it.
// Package hsm makes it.
type Proof struct {
	Usage     Usage
	Mechanism cryptoki.MechanismType
}

// by are proofs by a usage with each of the mechanisms.
func by(usage Usage, mechanisms ...cryptoki.MechanismType) (proofs []Proof) {
	for _, m := range mechanisms {
		proofs = append(proofs, Proof{usage, m})
	}
	return proofs
}

// halfClasses are the classes of the halves of a pair.
var halfClasses = []uint{cryptoki.CKO_PRIVATE_KEY, cryptoki.CKO_PUBLIC_KEY}

// strangers says what the failed proof of a pair shows.
const strangers = "the two halves do not belong together"

// Verdict says whether two things are the same.
type Verdict int

// The verdicts.
const (
	Undecided Verdict = iota
	Same
	Different
)

func verdictOf(equal bool) Verdict {
	if equal {
		return Same
	}
	return Different
}

// every is every usage of a private key. Templates also set what a type of key cannot do, as false: some tokens' default
// is true. In pairs, ofPairs is that too.
const (
	every   = Sign | Decrypt | Unwrap | Derive
	ofPairs = every | SignRecover
)

var specs = []Spec{
	{
		Name: RSA, Title: "RSA", CKK: cryptoki.CKK_RSA, Classes: halfClasses, Mechanism: cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN,
		otherwise: []cryptoki.MechanismType{cryptoki.CKM_RSA_X9_31_KEY_PAIR_GEN},
		May:       Sign | Decrypt | Unwrap, usages: ofPairs,
		template: func(t Template, _ quirk.Differences) []cryptoki.Attribute {
			return []cryptoki.Attribute{
				cryptoki.ULong(cryptoki.CKA_MODULUS_BITS, uint(t.ModulusBits)),
				cryptoki.Bytes(cryptoki.CKA_PUBLIC_EXPONENT, big.NewInt(t.PublicExponent).Bytes()),
			}
		},
		parse: func(o Object) (crypto.PublicKey, error) { return publickey.ParseRSA(o.modulus, o.exponent) },
		// Anyone may write a public half with the right modulus and another exponent, under which signatures do not verify.
		halves: func(private, public Object) Verdict {
			if len(private.modulus) == 0 {
				return Undecided
			}
			return verdictOf(bytes.Equal(trimmed(private.modulus), trimmed(public.modulus)) &&
				(len(private.exponent) == 0 || bytes.Equal(trimmed(private.exponent), trimmed(public.exponent))))
		},
		shows: func(half Object) string { return string(trimmed(half.modulus)) },
		whole: func(private Object) bool { return len(private.modulus) > 0 && len(private.exponent) > 0 },
		differs: func(t Template, key Key) (problems []string) {
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
		Proofs: slices.Concat(by(Sign, cryptoki.CKM_RSA_PKCS, cryptoki.CKM_SHA256_RSA_PKCS, cryptoki.CKM_RSA_PKCS_PSS,
			cryptoki.CKM_SHA256_RSA_PKCS_PSS, cryptoki.CKM_SHA384_RSA_PKCS, cryptoki.CKM_SHA384_RSA_PKCS_PSS,
			cryptoki.CKM_SHA512_RSA_PKCS, cryptoki.CKM_SHA512_RSA_PKCS_PSS), by(Decrypt, cryptoki.CKM_RSA_PKCS_OAEP)),
		Disproved: strangers,
	},
	onCurves(Spec{
		Title: "EC", CKK: cryptoki.CKK_EC, Mechanism: cryptoki.CKM_EC_KEY_PAIR_GEN,
		curves: map[string]uint{publickey.P256: 256, publickey.P384: 384, publickey.P521: 521, publickey.Secp256k1: 256},
		May:    Sign | Derive,
		Proofs: slices.Concat(by(Sign, cryptoki.CKM_ECDSA, cryptoki.CKM_ECDSA_SHA256, cryptoki.CKM_ECDSA_SHA384,
			cryptoki.CKM_ECDSA_SHA512), by(Derive, cryptoki.CKM_ECDH1_DERIVE)),
	}),
	onCurves(Spec{
		Title: "Edwards", CKK: cryptoki.CKK_EC_EDWARDS, Mechanism: cryptoki.CKM_EC_EDWARDS_KEY_PAIR_GEN,
		curves: map[string]uint{publickey.Ed25519: 255},
		May:    Sign,
		Proofs: by(Sign, cryptoki.CKM_EDDSA),
	}),
	mlDSA,
	secret(Spec{
		Title: "AES", CKK: cryptoki.CKK_AES, Mechanism: cryptoki.CKM_AES_KEY_GEN, kind: AES,
		May:       Encrypt | Decrypt | Wrap | Unwrap | Sign | Verify,
		leastMost: 128, bytes: true, Computes: true,
		sizes: func(t Template) error {
			if t.Bits != 128 && t.Bits != 192 && t.Bits != 256 {
				return unfit("AES keys have 128, 192 or 256 bits, not %d", t.Bits)
			}
			return nil
		},
		Proofs: slices.Concat(by(Encrypt|Decrypt, cryptoki.CKM_AES_ECB), by(Sign|Verify, cryptoki.CKM_AES_CMAC)),
	}),
	secret(Spec{
		Title: "generic", CKK: cryptoki.CKK_GENERIC_SECRET, Mechanism: cryptoki.CKM_GENERIC_SECRET_KEY_GEN, kind: Generic,
		Also: []uint{cryptoki.CKK_SHA256_HMAC, cryptoki.CKK_SHA384_HMAC, cryptoki.CKK_SHA512_HMAC, cryptoki.CKK_SHA224_HMAC,
			cryptoki.CKK_SHA_1_HMAC, cryptoki.CKK_MD5_HMAC},
		May:       Sign | Verify,
		leastMost: 1024,
		sizes: func(t Template) error {
			if t.Bits < 128 || t.Bits > 4096 || t.Bits%8 != 0 {
				return unfit("generic keys have whole bytes, from 128 to 4096 bits, not %d bits", t.Bits)
			}
			return nil
		},
		Proofs: by(Sign|Verify, cryptoki.CKM_SHA256_HMAC, cryptoki.CKM_SHA_1_HMAC),
	}),
}

// trimmed is a big-endian number without zeros in front.
func trimmed(number []byte) []byte { return bytes.TrimLeft(number, "\x00") }

// secret fills in what all types of secret key have in common.
func secret(spec Spec) Spec {
	spec.Name, spec.Classes = Secret, []uint{cryptoki.CKO_SECRET_KEY}
	spec.usages, spec.Disproved = every|Encrypt|Verify|Wrap,
		"it does not decrypt what it has encrypted, or does not verify what it has signed"
	spec.template = func(t Template, d quirk.Differences) (attributes []cryptoki.Attribute) {
		h := quirk.HMAC{}
		if t.Kind == Generic && d.HMAC != nil {
			h = *d.HMAC
		}
		if h.KeyType != 0 {
			attributes = append(attributes, cryptoki.ULong(cryptoki.CKA_CLASS, cryptoki.CKO_SECRET_KEY),
				cryptoki.ULong(cryptoki.CKA_KEY_TYPE, h.KeyType))
		}
		if !h.NoLength {
			attributes = append(attributes, cryptoki.ULong(cryptoki.CKA_VALUE_LEN, uint(t.Bits)/8))
		}
		return attributes
	}
	spec.differs = func(t Template, key Key) []string {
		if key.Bits != 0 && key.Bits != t.Bits { // 0: the token does not tell
			return []string{fmt.Sprintf("it has %d bits, not %d", key.Bits, t.Bits)}
		}
		return nil
	}
	spec.size = func(t Template) uint { return uint(t.Bits) }
	return spec
}

// onCurves fills in what all types of key on curves have in common.
func onCurves(spec Spec) Spec {
	spec.Name, spec.Classes, spec.usages, spec.leastMost, spec.Disproved = EC, halfClasses, ofPairs, 112, strangers
	spec.template = func(t Template, d quirk.Differences) []cryptoki.Attribute {
		write := publickey.ECParams
		switch d.Ed25519 {
		case quirk.EdwardsPrintable:
		case quirk.EdwardsOID:
			write = publickey.ECParamsOID
		case quirk.EdwardsGNU:
			write = publickey.ECParamsGNU
		}
		params, _ := write(t.Curve) // the row has the curve
		return []cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_EC_PARAMS, params)}
	}
	spec.sort = func(half Object) string {
		if len(half.params) == 0 {
			return ""
		}
		curve, _ := publickey.ParseECParams(half.params)
		return curve
	}
	spec.parse = func(o Object) (crypto.PublicKey, error) {
		key, curve, err := publickey.ParseEC(o.params, o.point)
		if err == nil && spec.curves[curve] == 0 {
			return nil, fmt.Errorf("CKA_EC_PARAMS names %s, which is not a curve for the CKA_KEY_TYPE", curve)
		}
		return key, err
	}
	spec.halves = func(private, public Object) Verdict {
		if len(private.point) > 0 {
			mine, err := spec.parse(private)
			theirs, publicErr := spec.parse(public)
			if err == nil && publicErr == nil {
				return verdictOf(publickey.Equal(mine, theirs))
			}
		}
		// Many private halves show no point. Some show their curve.
		curve, err := publickey.ParseECParams(private.params)
		if other, publicErr := publickey.ParseECParams(public.params); err == nil && publicErr == nil && curve != other {
			return Different
		}
		return Undecided
	}
	spec.shows = func(half Object) string {
		if len(half.point) == 0 {
			return ""
		}
		key, err := spec.parse(half)
		if err != nil {
			return ""
		}
		return publickey.Curve(key) + string(publickey.Point(key))
	}
	spec.whole = func(private Object) bool { return spec.shows(private) != "" }
	spec.differs = func(t Template, key Key) []string {
		if curve := publickey.Curve(key.PublicKey); curve != t.Curve {
			return []string{fmt.Sprintf("it is on the curve %s, not on %s", curve, t.Curve)}
		}
		return nil
	}
	spec.size = func(t Template) uint { return spec.curves[t.Curve] }
	return spec
}

// Alone says that a key of the type is one object: a secret key.
func (s *Spec) Alone() bool { return len(s.Classes) == 1 }

// Mechanisms make keys of the type on tokens of a make, in the order of choice.
func (s *Spec) Mechanisms(d quirk.Differences) []cryptoki.MechanismType {
	usual := s.Mechanism
	if s.kind == Generic && d.HMAC != nil && d.HMAC.Mechanism != 0 {
		usual = d.HMAC.Mechanism
	}
	if instead := d.Generating[usual]; len(instead) > 0 {
		return instead
	}
	return append([]cryptoki.MechanismType{usual}, s.otherwise...)
}

// Noun is such as "RSA key pairs".
func (s *Spec) Noun() string {
	if s.Alone() {
		return s.Title + " keys"
	}
	return s.Title + " key pairs"
}

// Composition is such as "a private key and a public key".
func (s *Spec) Composition() string {
	var each []string
	for _, class := range s.Classes {
		each = append(each, "a "+ClassNames[class])
	}
	return strings.Join(each, " and ")
}

// Parts picks the objects that make a whole key of the type. ok is false where one of them is missing or malformed.
// public is nil for a secret key.
func (s *Spec) Parts(objects []Object) (private, public *Object, ok bool) {
	of := map[uint]*Object{}
	for i := range objects {
		of[objects[i].Class] = &objects[i]
	}
	for _, class := range s.Classes {
		if of[class] == nil || of[class].Err != nil {
			return nil, nil, false
		}
	}
	if s.Alone() {
		return of[s.Classes[0]], nil, true
	}
	return of[s.Classes[0]], of[s.Classes[1]], true
}

// Belong says whether the parts show the same key.
func (s *Spec) Belong(private, public *Object) Verdict {
	if s.Alone() {
		return Same
	}
	return s.halves(*private, *public)
}

// Fingerprint is the fingerprint of one object, in lower-case hex: of a public half the SHA-256 of the key's
// SubjectPublicKeyInfo, of a secret key its check value. It is "" where the object shows too little.
func (s *Spec) Fingerprint(o Object) string {
	if s.Alone() {
		return hex.EncodeToString(o.checkValue)
	}
	_, fingerprint, _ := s.read(o)
	return fingerprint
}

// read gives the public key of a public half, and its fingerprint. Errors: *MalformedError.
func (s *Spec) read(public Object) (key crypto.PublicKey, fingerprint string, err error) {
	if key, err = s.parse(public); err == nil {
		fingerprint, err = publickey.Fingerprint(key)
	}
	if err != nil {
		return nil, "", &MalformedError{Object: public.Name(), Err: err}
	}
	return key, fingerprint, nil
}

// Offered compares a key's size with the bounds of the mechanism that makes it. Bounds are hints: it ignores those
// that cannot be in bits, and some tokens round up to whole bytes. Errors: *MechanismError.
func (s *Spec) Offered(t Template, info cryptoki.MechanismInfo) error {
	if s.size == nil {
		return nil
	}
	bits, least, most := s.size(t), info.MinKeySize, info.MaxKeySize
	if s.bytes && most < s.leastMost {
		least, most = 8*least, 8*most
	}
	if most < s.leastMost || least > most || most == cryptoki.Unknown || (bits+7)/8*8 >= least && bits <= most {
		return nil
	}
	return &MechanismError{
		Wanted: strings.TrimSpace(fmt.Sprintf("%s keys of %d bits %s", s.Title, bits, t.Curve)),
		Offers: fmt.Sprintf("%s keys of %d to %d bits", s.Title, least, most),
	}
}

// Permits is an *UnfitError where keys of the type cannot have the usage.
func (s *Spec) Permits(usage Usage) error {
	if s.May.Has(usage) {
		return nil
	}
	return unfit("%s keys are for %s, not for %s", s.Title, s.May, usage&^s.May)
}

func unfit(format string, args ...any) error { return &UnfitError{fmt.Sprintf(format, args...)} }

// Makes says that a key of the type may have that CKA_KEY_TYPE.
func (s *Spec) Makes(ckk uint) bool { return s.CKK == ckk || slices.Contains(s.Also, ckk) }

// SpecOf gives the row of a CKA_KEY_TYPE, nil where there is none.
func SpecOf(ckk uint) *Spec {
	for i := range specs {
		if specs[i].Makes(ckk) {
			return &specs[i]
		}
	}
	return nil
}

func typeName(ckk uint) string {
	if s := SpecOf(ckk); s != nil {
		return s.Title
	}
	return fmt.Sprintf("type 0x%X", ckk)
}

// word is the type as data, not as a message: of a secret key it is what configurations call it.
func (s *Spec) word() string { return cmp.Or(s.kind, s.Title) }

// KeyTypes are the names of the key types that an Entry may have. Other types have their number.
func KeyTypes() []string {
	var names []string
	for _, s := range specs {
		names = append(names, s.word())
	}
	slices.Sort(names)
	return slices.Compact(names)
}
