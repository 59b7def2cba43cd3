package hsmtest

import (
	"context"
	"crypto"
	"fmt"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// named gives a token the manufacturer, the model, and no flag that only SoftHSM's tokens have.
func named(manufacturer, model string) func(*cryptoki.TokenInfo) {
	return func(i *cryptoki.TokenInfo) { i.Manufacturer, i.Model = manufacturer, model }
}

// Values that rules have in common.
var (
	publicPrivate = func(yes bool) cryptoki.Attribute { return cryptoki.Bool(cryptoki.CKA_PRIVATE, yes) }
	extractable   = cryptoki.Bool(cryptoki.CKA_EXTRACTABLE, true)
	unmodifiable  = []cryptoki.Attribute{cryptoki.Bool(cryptoki.CKA_MODIFIABLE, false)}
	noExponent    = not(publicSays(cryptoki.Bytes(cryptoki.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1})))
	anRSA         = by(cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN)
)

// Players play the makes of quirk.Makes.
var Players = []Player{
	lunaPlayer, nshieldPlayer, cloudhsmPlayer, yubihsmPlayer, kmsp11Player, utimacoPlayer, primusPlayer,
	nethsmPlayer, smartcardhsmPlayer, ykcs11Player, azurePlayer, fortanixPlayer, hpcsPlayer, kryopticPlayer,
}

// NoRow plays a make that has no row, and differs from others in what the provider finds out by itself.
var NoRow = Player{
	Make:   "a make without a row",
	Module: cryptoki.Info{Manufacturer: "Acme", Description: "Acme PKCS#11"},
	Token:  named("Acme", "One"),
	Rules: []Rule{
		{
			"Ed25519 goes by its OID.",
			quirk.Source, "RFC 8410",
			edwards(edwardsOID),
		},
		{
			"RSA pairs are made by CKM_RSA_X9_31_KEY_PAIR_GEN.",
			quirk.Document, "PKCS#11 v3.0",
			both(
				refuse(cryptoki.CKR_MECHANISM_INVALID, anRSA),
				before(asPKCS, either(makesPair, asksOfIt), by(x931)),
			),
		},
		{
			"C_DeriveKey wants the point in DER.",
			quirk.Document, "PKCS#11 v2.20",
			pointInDER(),
		},
		{
			"C_GetAttributeValue for many attributes fails.",
			quirk.Source, "pkcs11-tools, pkcs11_peekpoke.c",
			bulk(8, cryptoki.CKR_FUNCTION_FAILED),
		},
	},
}

// asPKCS makes RSA pairs by the mechanism that SoftHSM has.
func asPKCS(_ context.Context, _ *Stage, c *cryptoki.Call) {
	c.Mechanism = cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN
}

// asGeneric makes keys for HMAC by it.
func asGeneric(_ context.Context, _ *Stage, c *cryptoki.Call) {
	c.Mechanism = cryptoki.CKM_GENERIC_SECRET_KEY_GEN
}

// namesHMAC holds for a template of a key for HMAC.
var namesHMAC = says(cryptoki.ULong(cryptoki.CKA_KEY_TYPE, sha256HMACKey))

// findNothing has a search find nothing.
func findNothing(_ context.Context, _ *Stage, c *cryptoki.Call) {
	c.Template = []cryptoki.Attribute{cryptoki.ULong(cryptoki.CKA_CLASS, cryptoki.Unknown)}
}

// dropsLabels drops a new label of a half whose ID has two bytes if it is as long as the old one: such a half has no
// second object, and the length is all that is compared.
func dropsLabels() part {
	return func(*Stage) cryptoki.Hook {
		second := map[cryptoki.Object]bool{} // halves that have got one
		return func(ctx context.Context, c *cryptoki.Call, next func() error) error {
			label := valueOf(c.Template, cryptoki.CKA_LABEL)
			if c.Function != "C_SetAttributeValue" || label == nil {
				return next()
			}
			was, err := c.Behind().GetAttributeValue(ctx, c.Object, []cryptoki.AttributeType{cryptoki.CKA_ID,
				cryptoki.CKA_LABEL})
			if err != nil {
				return err
			}
			if len(was[cryptoki.CKA_ID]) == 2 && !second[c.Object] && len(was[cryptoki.CKA_LABEL]) == len(label) {
				if c.Template = strip(c.Template, cryptoki.CKA_LABEL); len(c.Template) == 0 {
					return nil
				}
				return next()
			}
			second[c.Object] = true
			return next()
		}
	}
}

// kmsAlgorithm is CKA_KMS_ALGORITHM.
const kmsAlgorithm cryptoki.AttributeType = 0x8001E101

// kmsKnown are algorithms of Cloud KMS: the numbers of kmsp11.h, with what algorithm_details.cc says of them.
var kmsKnown = map[uint]struct {
	by     cryptoki.MechanismType // that makes the key
	params []cryptoki.Attribute
	uses   []cryptoki.AttributeType
	allows []cryptoki.MechanismType
	hash   crypto.Hash // of what is signed; 0: any
}{
	5: {cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN, rsaOf(2048), []cryptoki.AttributeType{cryptoki.CKA_SIGN},
		[]cryptoki.MechanismType{cryptoki.CKM_RSA_PKCS, cryptoki.CKM_SHA256_RSA_PKCS}, crypto.SHA256},
	8: {cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN, rsaOf(2048), []cryptoki.AttributeType{cryptoki.CKA_DECRYPT},
		[]cryptoki.MechanismType{cryptoki.CKM_RSA_PKCS_OAEP}, 0},
	12: {cryptoki.CKM_EC_KEY_PAIR_GEN, onCurve(6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7),
		[]cryptoki.AttributeType{cryptoki.CKA_SIGN},
		[]cryptoki.MechanismType{cryptoki.CKM_ECDSA, cryptoki.CKM_ECDSA_SHA256}, crypto.SHA256},
	13: {cryptoki.CKM_EC_KEY_PAIR_GEN, onCurve(6, 5, 0x2B, 0x81, 4, 0, 34), []cryptoki.AttributeType{cryptoki.CKA_SIGN},
		[]cryptoki.MechanismType{cryptoki.CKM_ECDSA, cryptoki.CKM_ECDSA_SHA384}, crypto.SHA384},
	19: {cryptoki.CKM_AES_KEY_GEN, bytesOf(32), []cryptoki.AttributeType{cryptoki.CKA_ENCRYPT, cryptoki.CKA_DECRYPT},
		[]cryptoki.MechanismType{0x8001E101}, 0}, // CKM_CLOUDKMS_AES_GCM
	32: {cryptoki.CKM_GENERIC_SECRET_KEY_GEN, bytesOf(32), []cryptoki.AttributeType{cryptoki.CKA_SIGN,
		cryptoki.CKA_VERIFY},
		[]cryptoki.MechanismType{cryptoki.CKM_SHA256_HMAC}, 0},
}

func rsaOf(bits uint) []cryptoki.Attribute {
	return []cryptoki.Attribute{cryptoki.ULong(cryptoki.CKA_MODULUS_BITS, bits),
		cryptoki.Bytes(cryptoki.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1})}
}

func onCurve(oid ...byte) []cryptoki.Attribute {
	return []cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_EC_PARAMS, oid)}
}

func bytesOf(n uint) []cryptoki.Attribute {
	return []cryptoki.Attribute{cryptoki.ULong(cryptoki.CKA_VALUE_LEN, n)}
}

// kmsLabels takes a label that is a crypto key's name, once.
func kmsLabels() part {
	good := func(_ context.Context, _ *Stage, c *cryptoki.Call) bool {
		return madeOf(valueOf(c.Template, cryptoki.CKA_LABEL), 63, "_-")
	}
	return both(refuse(cryptoki.CKR_ATTRIBUTE_VALUE_INVALID, makes, not(good)), func(s *Stage) cryptoki.Hook {
		used := map[string]bool{}
		return refuse(cryptoki.CKR_ARGUMENTS_BAD, makes, func(_ context.Context, _ *Stage, c *cryptoki.Call) bool {
			label := string(valueOf(c.Template, cryptoki.CKA_LABEL))
			was := used[label]
			used[label] = true
			return was
		})(s)
	})
}

// madeOf says that a text has 1 to so many letters, digits and the others.
func madeOf(text []byte, most int, others string) bool {
	for _, c := range text {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && !slices.Contains([]byte(others), c) {
			return false
		}
	}
	return len(text) > 0 && len(text) <= most
}

// kmsKeys makes what an algorithm says.
func kmsKeys() part {
	return both(
		refuse(cryptoki.CKR_TEMPLATE_INCONSISTENT, makes, func(_ context.Context, _ *Stage, c *cryptoki.Call) bool {
			n, _, err := cryptoki.Attributes{kmsAlgorithm: valueOf(c.Template, kmsAlgorithm)}.ULong(kmsAlgorithm)
			return err != nil || kmsKnown[n].by != c.Mechanism
		}),
		before(func(_ context.Context, _ *Stage, c *cryptoki.Call) {
			n, _, _ := cryptoki.Attributes{kmsAlgorithm: valueOf(c.Template, kmsAlgorithm)}.ULong(kmsAlgorithm)
			known, label := kmsKnown[n], valueOf(c.Template, cryptoki.CKA_LABEL)
			name := []cryptoki.Attribute{
				cryptoki.Bool(cryptoki.CKA_TOKEN, true), cryptoki.Bool(cryptoki.CKA_PRIVATE, false),
				cryptoki.Bytes(cryptoki.CKA_LABEL, label), cryptoki.Bytes(cryptoki.CKA_ID, fmt.Appendf(nil,
					"projects/p/locations/l/keyRings/r/cryptoKeys/%s/cryptoKeyVersions/1", label)),
			}
			c.Template = append(slices.Clone(name), cryptoki.Bool(cryptoki.CKA_SENSITIVE, true),
				cryptoki.Bool(cryptoki.CKA_EXTRACTABLE, false))
			uses := []cryptoki.AttributeType{
				cryptoki.CKA_SIGN, cryptoki.CKA_DECRYPT, cryptoki.CKA_UNWRAP, cryptoki.CKA_DERIVE,
			}
			if c.Function == "C_GenerateKey" {
				uses = append(uses, cryptoki.CKA_ENCRYPT, cryptoki.CKA_VERIFY, cryptoki.CKA_WRAP)
				c.Template = append(c.Template, known.params...)
			} else {
				uses = append(uses, cryptoki.CKA_SIGN_RECOVER)
				c.Public = append(append(name, known.params...), cryptoki.Bool(cryptoki.CKA_WRAP, false),
					cryptoki.Bool(cryptoki.CKA_VERIFY_RECOVER, false),
					cryptoki.Bool(cryptoki.CKA_VERIFY, slices.Contains(known.uses, cryptoki.CKA_SIGN)),
					cryptoki.Bool(cryptoki.CKA_ENCRYPT, slices.Contains(known.uses, cryptoki.CKA_DECRYPT)))
			}
			for _, use := range uses {
				c.Template = append(c.Template, cryptoki.Bool(use, slices.Contains(known.uses, use)))
			}
		}, makes),
		shows([]cryptoki.Attribute{cryptoki.ULong(cryptoki.CKA_KEY_TYPE, sha256HMACKey)}, ofGeneric),
	)
}

// kmsHashes signs digests of the key's own hash alone, and RSA by PKCS#1 v1.5 alone: of the algorithms that are known.
func kmsHashes() part {
	return func(*Stage) cryptoki.Hook {
		signing := map[uint]cryptoki.MechanismType{} // by session
		return func(ctx context.Context, c *cryptoki.Call, next func() error) error {
			switch c.Function {
			case "C_SignInit":
				if slices.Contains([]cryptoki.MechanismType{
					cryptoki.CKM_RSA_PKCS_PSS, cryptoki.CKM_SHA256_RSA_PKCS_PSS, cryptoki.CKM_SHA384_RSA_PKCS,
					cryptoki.CKM_SHA512_RSA_PKCS,
				}, c.Mechanism) {
					return &cryptoki.Error{Function: c.Function, Code: cryptoki.CKR_KEY_FUNCTION_NOT_PERMITTED}
				}
				signing[c.Session] = c.Mechanism
			case "C_Sign":
				want, code := 0, errData
				switch {
				case signing[c.Session] == cryptoki.CKM_RSA_PKCS:
					want = 19 + 32 // DigestInfo of SHA-256
				case signing[c.Session] == cryptoki.CKM_ECDSA && of(onCurve(6, 5, 0x2B, 0x81, 4, 0, 34)...)(ctx, nil,
					c):
					want, code = 48, errDataLength
				case signing[c.Session] == cryptoki.CKM_ECDSA:
					want, code = 32, errDataLength
				}
				if want != 0 && len(c.Data) != want {
					c.Data = make([]byte, want)
					_ = next() // ends the operation, as the refusal does
					return &cryptoki.Error{Function: c.Function, Code: code}
				}
			}
			return next()
		}
	}
}

// shadows refuses the ID and the label of what was destroyed.
func shadows(code cryptoki.RV) part {
	return func(*Stage) cryptoki.Hook {
		gone := map[string]bool{}
		return func(ctx context.Context, c *cryptoki.Call, next func() error) error {
			switch c.Function {
			case "C_GenerateKey", "C_GenerateKeyPair":
				if gone["ID "+string(valueOf(c.Template, cryptoki.CKA_ID))] || gone["label "+string(valueOf(c.Template,
					cryptoki.CKA_LABEL))] {
					return &cryptoki.Error{Function: c.Function, Code: code}
				}
			case "C_DestroyObject":
				was, err := c.Behind().GetAttributeValue(ctx, c.Object, []cryptoki.AttributeType{cryptoki.CKA_ID,
					cryptoki.CKA_LABEL})
				if err == nil {
					gone["ID "+string(was[cryptoki.CKA_ID])], gone["label "+string(was[cryptoki.CKA_LABEL])] = true,
						true
				}
			}
			return next()
		}
	}
}

// uniqueLabels refuses a new key whose label another key has.
func uniqueLabels(code cryptoki.RV) part {
	return refuse(code, makes, func(ctx context.Context, _ *Stage, c *cryptoki.Call) bool {
		found, err := c.Behind().FindObjects(ctx, []cryptoki.Attribute{
			cryptoki.Bytes(cryptoki.CKA_LABEL, valueOf(c.Template, cryptoki.CKA_LABEL)),
		})
		return err != nil || len(found) > 0
	})
}

// labelledByID has the label be the ID.
func labelledByID(_ context.Context, _ *Stage, c *cryptoki.Call) {
	id := valueOf(c.Template, cryptoki.CKA_ID)
	set(&c.Template, cryptoki.Bytes(cryptoki.CKA_LABEL, id))
	if c.Public != nil {
		set(&c.Public, cryptoki.Bytes(cryptoki.CKA_ID, id), cryptoki.Bytes(cryptoki.CKA_LABEL, id))
	}
}

// named62 holds for an ID that a NetHSM keeps: any of up to 62 bytes, and 128 of its own characters.
func named62(_ context.Context, _ *Stage, c *cryptoki.Call) bool {
	id := valueOf(c.Template, cryptoki.CKA_ID)
	return len(id) > 0 && (len(id) <= 62 || madeOf(id, 128, "._-"))
}

// netHSMUsages writes the flags that NetHSM's keys have, and the only exponent.
func netHSMUsages(_ context.Context, _ *Stage, c *cryptoki.Call) {
	flags := func(uses ...cryptoki.AttributeType) {
		for _, use := range []cryptoki.AttributeType{
			cryptoki.CKA_SIGN, cryptoki.CKA_DECRYPT, cryptoki.CKA_UNWRAP, cryptoki.CKA_DERIVE,
		} {
			set(&c.Template, cryptoki.Bool(use, slices.Contains(uses, use)))
		}
	}
	set(&c.Template, cryptoki.Bool(cryptoki.CKA_EXTRACTABLE, false), cryptoki.Bool(cryptoki.CKA_SENSITIVE, true))
	switch c.Mechanism {
	case cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN:
		flags(cryptoki.CKA_SIGN, cryptoki.CKA_DECRYPT)
		set(&c.Public, cryptoki.Bytes(cryptoki.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}))
	case cryptoki.CKM_EC_KEY_PAIR_GEN, cryptoki.CKM_EC_EDWARDS_KEY_PAIR_GEN:
		flags(cryptoki.CKA_SIGN, cryptoki.CKA_DERIVE)
	}
}

// What NetHSM's keys show.
var (
	noPublicUses = []cryptoki.Attribute{
		cryptoki.Bool(cryptoki.CKA_VERIFY, false), cryptoki.Bool(cryptoki.CKA_ENCRYPT, false),
		cryptoki.Bool(cryptoki.CKA_WRAP, false),
		cryptoki.Bool(cryptoki.CKA_DERIVE, false), cryptoki.Bool(cryptoki.CKA_VERIFY_RECOVER, false),
	}
	netHSMSecret = []cryptoki.Attribute{
		cryptoki.ULong(cryptoki.CKA_KEY_TYPE, cryptoki.CKK_GENERIC_SECRET), cryptoki.ULong(cryptoki.CKA_VALUE_LEN, 0),
		cryptoki.Bool(cryptoki.CKA_SIGN, false), cryptoki.Bool(cryptoki.CKA_VERIFY, false),
		cryptoki.Bool(cryptoki.CKA_ENCRYPT, true), cryptoki.Bool(cryptoki.CKA_DECRYPT, true),
	}
)

// pivID holds for the ID of a PIV slot.
func pivID(_ context.Context, _ *Stage, c *cryptoki.Call) bool {
	id := valueOf(c.Template, cryptoki.CKA_ID)
	return len(id) == 1 && id[0] >= 1 && id[0] <= 25
}

// rawPoints shows a point without the OCTET STRING around it.
func rawPoints() part {
	return after(func(_ context.Context, _ *Stage, c *cryptoki.Call) {
		shown := c.Result.(*cryptoki.Reading).Attributes
		if point := shown[cryptoki.CKA_EC_POINT]; len(point) > 2 && point[0] == 4 && int(point[1]) == len(point)-2 {
			shown[cryptoki.CKA_EC_POINT] = point[2:]
		}
	}, reads)
}
