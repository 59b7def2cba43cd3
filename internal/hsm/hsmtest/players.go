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
	{
		Make:   "Thales Luna",
		Module: cryptoki.Info{Manufacturer: "SafeNet", Description: "Chrystoki"},
		Token:  named("SafeNet", "Luna K7"),
		Rules: []Rule{
			{
				"A partition in FIPS mode makes RSA pairs by the mechanisms of FIPS 186-3 alone.",
				quirk.Document, "Keyfactor EJBCA, \"Thales Luna HSM\"",
				both(
					refuse(cryptoki.CKR_MECHANISM_INVALID, anRSA),
					before(asPKCS, either(makesPair, asksOfIt), by(0x80000142, 0x80000143)),
				),
			},
			{
				"Ed25519 goes by the OID 1.3.6.1.4.1.11591.15.1.",
				quirk.Source, "luna-kmu, p11.c",
				edwards(edwardsGNU),
			},
			{
				"C_DeriveKey wants the point in DER.",
				quirk.Source, "xipki, vendor-luna.json",
				pointInDER(),
			},
			{
				"CKA_SENSITIVE=false is refused.",
				quirk.Report, "node-webcrypto-p11 issue 63",
				refuse(
					cryptoki.CKR_ATTRIBUTE_VALUE_INVALID, makes, says(cryptoki.Bool(cryptoki.CKA_SENSITIVE, false))),
			},
			{
				"The crypto user logs in as 0x80000001.",
				quirk.Source, "luna-kmu, p11.c",
				users(cryptoki.CKU_USER, 0x80000001),
			},
		},
	},
	{
		Make:   "Entrust nShield",
		Module: cryptoki.Info{Manufacturer: "nCipher Corp. Ltd", Description: "nCipher PKCS#11"},
		Token:  named("nCipher Corp. Ltd", ""),
		Rules: []Rule{
			{
				"A public half must have CKA_PRIVATE=false.",
				quirk.Document, "nShield documentation 12.80, cited in krill issue 1019",
				refuse(
					cryptoki.CKR_TEMPLATE_INCONSISTENT, makesPair, publicSays(publicPrivate(true))),
			},
			{
				"C_GetAttributeValue for many attributes fails.",
				quirk.Source, "pkcs11-tools, pkcs11_peekpoke.c",
				bulk(8, cryptoki.CKR_FUNCTION_FAILED),
			},
			{
				"Keys for HMAC have a mechanism of their own.",
				quirk.Source, "crypto11, hmac.go",
				both(
					refuse(cryptoki.CKR_MECHANISM_INVALID, makesKey, by(cryptoki.CKM_GENERIC_SECRET_KEY_GEN),
						namesHMAC),
					before(asGeneric, either(makesKey, asksOfIt), by(0xDE436997)),
					hmacKeys(),
				),
			},
			{
				"Ed25519 goes by its printable name.",
				quirk.Source, "xipki, vendor-ncipher.json",
				edwards(softHSMEdwards),
			},
			{
				"What another host makes is not seen.",
				quirk.Guess, "nShield documentation 13.5, \"Objects\"",
				late(),
			},
		},
	},
	{
		Make:   "AWS CloudHSM",
		Module: cryptoki.Info{Manufacturer: "AWS CloudHSM", Description: "AWS CloudHSM PKCS#11"},
		Token:  named("AWS CloudHSM", "CloudHSM"),
		PIN:    "cu1:password",
		Rules: []Rule{
			{
				"There is no C_SetAttributeValue, C_CopyObject, C_InitToken or C_InitPIN.",
				quirk.Document, "AWS CloudHSM user guide, pkcs11-apis",
				refuse(
					cryptoki.CKR_FUNCTION_NOT_SUPPORTED, either(changes, initialise)),
			},
			{
				"A public half must have CKA_PRIVATE=true.",
				quirk.Report, "OpenSC issue 2747",
				refuse(
					cryptoki.CKR_TEMPLATE_INCONSISTENT, makesPair, not(publicSays(publicPrivate(true)))),
			},
			{
				"A public half must have CKA_DERIVE=false.",
				quirk.Document, "AWS CloudHSM user guide, pkcs11-attributes",
				refuse(
					cryptoki.CKR_ATTRIBUTE_VALUE_INVALID, makesPair, publicSays(cryptoki.Bool(cryptoki.CKA_DERIVE,
						true))),
			},
			{
				"Signing with recovery stands in no template.",
				quirk.Source, "xipki, vendor-cloudhsm.json",
				refuse(
					cryptoki.CKR_ATTRIBUTE_TYPE_INVALID, makes, either(names(cryptoki.CKA_SIGN_RECOVER),
						publicNames(cryptoki.CKA_VERIFY_RECOVER))),
			},
			{
				"RSA pairs are made by CKM_RSA_X9_31_KEY_PAIR_GEN.",
				quirk.Document, "AWS CloudHSM user guide, pkcs11-mechanisms",
				both(
					refuse(cryptoki.CKR_MECHANISM_INVALID, anRSA),
					before(asPKCS, either(makesPair, asksOfIt), by(x931)),
				),
			},
			{
				"An ID belongs to one key.",
				quirk.Report, "aws-cloudhsm-pkcs11-examples issue 65",
				uniqueIDs(cryptoki.CKR_ATTRIBUTE_VALUE_INVALID),
			},
			{
				"C_GetAttributeValue answers CKR_DEVICE_ERROR when it is throttled.",
				quirk.Document, "AWS CloudHSM user guide, ki-pkcs11-sdk",
				throttles(
					cryptoki.CKR_DEVICE_ERROR, reads),
			},
		},
	},
	{
		Make:   "YubiHSM 2",
		Module: cryptoki.Info{Manufacturer: "Yubico (www.yubico.com)", Description: "YubiHSM PKCS#11 Library"},
		Token: func(i *cryptoki.TokenInfo) {
			i.Manufacturer, i.Model, i.Label = "Yubico (www.yubico.com)", "YubiHSM", "YubiHSM"
		},
		PIN: "0001password",
		Rules: []Rule{
			{
				"C_InitToken, C_InitPIN and C_SetPIN are not supported.",
				quirk.Source, "yubihsm_pkcs11.c",
				refuse(cryptoki.CKR_FUNCTION_NOT_SUPPORTED,
					initialise),
			},
			{
				"C_SetAttributeValue changes CKA_ID and CKA_LABEL alone.",
				quirk.Source, "yubihsm_pkcs11.c",
				refuse(
					cryptoki.CKR_FUNCTION_NOT_SUPPORTED, changes, namesOther(cryptoki.CKA_ID, cryptoki.CKA_LABEL)),
			},
			{
				"A label of the old one's length is dropped, unless the key has a second object.",
				quirk.Source, "yubihsm_pkcs11.c",
				dropsLabels(),
			},
			{
				"Destroying a public half does nothing.",
				quirk.Source, "yubihsm_pkcs11.c",
				ignore(destroys, ofPublic),
			},
			{
				"Destroying the private half takes both.",
				quirk.Source, "yubihsm_pkcs11.c",
				onePair(),
			},
			{
				"RSA has 2048, 3072 or 4096 bits, and the exponent 65537.",
				quirk.Source, "util_pkcs11.c",
				refuse(
					cryptoki.CKR_ATTRIBUTE_VALUE_INVALID, makesPair, anRSA, either(noExponent, not(publicSays(
						cryptoki.ULong(cryptoki.CKA_MODULUS_BITS, 2048), cryptoki.ULong(cryptoki.CKA_MODULUS_BITS,
							3072),
						cryptoki.ULong(cryptoki.CKA_MODULUS_BITS, 4096))))),
			},
			{
				"Ed25519 goes by its printable name.",
				quirk.Source, "util_pkcs11.c",
				edwards(softHSMEdwards),
			},
			{
				"A search for the type of Ed25519 finds nothing.",
				quirk.Source, "yubihsm_pkcs11.c",
				before(findNothing, calls("C_FindObjectsInit"),
					says(cryptoki.ULong(cryptoki.CKA_KEY_TYPE, cryptoki.CKK_EC_EDWARDS))),
			},
			{
				"CKA_VALUE_LEN is refused for HMAC.",
				quirk.Source, "util_pkcs11.c, parse_hmac_template",
				refuse(
					cryptoki.CKR_ATTRIBUTE_TYPE_INVALID, makesKey, by(cryptoki.CKM_GENERIC_SECRET_KEY_GEN),
					names(cryptoki.CKA_VALUE_LEN)),
			},
			{
				"Keys for HMAC have a type of their own.",
				quirk.Source, "yubihsm_pkcs11.c, C_GenerateKey",
				hmacKeys(),
			},
			{
				"An AES key encrypts and decrypts alone.",
				quirk.Source, "util_pkcs11.c",
				refuse(
					cryptoki.CKR_ATTRIBUTE_VALUE_INVALID, makesKey, by(cryptoki.CKM_AES_KEY_GEN), says(
						cryptoki.Bool(cryptoki.CKA_SIGN, true), cryptoki.Bool(cryptoki.CKA_VERIFY, true),
						cryptoki.Bool(cryptoki.CKA_WRAP, true), cryptoki.Bool(cryptoki.CKA_UNWRAP, true))),
			},
			{
				"There is no CMAC.",
				quirk.Source, "yubihsm_pkcs11.c",
				lacks(cryptoki.CKM_AES_CMAC),
			},
			{
				"Every key shows CKA_MODIFIABLE=false.",
				quirk.Source, "util_pkcs11.c",
				shows(unmodifiable),
			},
		},
	},
	{
		Make:   "Google Cloud KMS",
		Module: cryptoki.Info{Manufacturer: "Google", Description: "Cryptoki Library for Cloud KMS"},
		Token: func(i *cryptoki.TokenInfo) {
			i.Manufacturer, i.Model, i.Serial = "Google", "Cloud KMS Token", "0000000000000000"
			i.Flags = cryptoki.CKF_RNG | cryptoki.CKF_USER_PIN_INITIALIZED | cryptoki.CKF_TOKEN_INITIALIZED |
				cryptoki.CKF_SO_PIN_LOCKED
		},
		Rules: []Rule{
			{
				"Functions that change, initialise or derive are not supported.",
				quirk.Source, "kmsp11, user guide",
				refuse(
					cryptoki.CKR_FUNCTION_NOT_SUPPORTED, either(changes, initialise, derives)),
			},
			{
				"The public half's template is empty.",
				quirk.Source, "kmsp11, session.cc",
				refuse(
					cryptoki.CKR_TEMPLATE_INCONSISTENT, makesPair, func(_ context.Context, _ *Stage,
						c *cryptoki.Call) bool {
						return len(c.Public) > 0
					}),
			},
			{
				"A template has the label and CKA_KMS_ALGORITHM, and no more.",
				quirk.Source, "kmsp11, session.cc",
				both(
					refuse(cryptoki.CKR_TEMPLATE_INCONSISTENT, makes, namesOther(cryptoki.CKA_LABEL, kmsAlgorithm)),
					refuse(cryptoki.CKR_TEMPLATE_INCOMPLETE, makes, either(not(names(kmsAlgorithm)),
						not(names(cryptoki.CKA_LABEL)))),
				),
			},
			{
				"A label is a crypto key's name, and used once.",
				quirk.Source, "kmsp11, session.cc",
				kmsLabels(),
			},
			{
				"The algorithm says all of a key. Its ID is the resource name.",
				quirk.Source, "kmsp11, algorithm_details.cc and object.cc",
				kmsKeys(),
			},
			{
				"Ed25519 and CMAC are not there, nor AES-ECB.",
				quirk.Source, "kmsp11, algorithm_details.cc",
				lacks(append(noEdwardsNames,
					cryptoki.CKM_AES_ECB, cryptoki.CKM_AES_CMAC)...),
			},
			{
				"A key signs with one scheme and its hash.",
				quirk.Source, "kmsp11, algorithm_details.cc",
				kmsHashes(),
			},
			{
				"Keys cannot be changed.",
				quirk.Source, "kmsp11, object.cc",
				shows(unmodifiable),
			},
			{
				"A public half cannot be destroyed.",
				quirk.Source, "kmsp11, session.cc",
				refuse(cryptoki.CKR_ACTION_PROHIBITED, destroys,
					ofPublic),
			},
			{
				"Destroying the private half takes both.",
				quirk.Source, "kmsp11, session.cc",
				onePair(),
			},
			{
				"What others make is not seen.",
				quirk.Source, "kmsp11, user guide (refresh_interval_secs)",
				late(),
			},
		},
	},
	{
		Make:   "Utimaco",
		Module: cryptoki.Info{Manufacturer: "Utimaco IS GmbH", Description: "CryptoServer PKCS#11"},
		Token:  named("Utimaco IS GmbH", "CryptoServer"),
		Rules: []Rule{
			{
				"C_InitToken wants the administrator.",
				quirk.Source, "a set-up script for the vendor's simulator",
				refuse(
					cryptoki.CKR_USER_NOT_LOGGED_IN, calls("C_InitToken")),
			},
			{
				"CKU_CS_GENERIC logs in too.",
				quirk.Source, "xipki, vendor-utimaco.json",
				users(cryptoki.CKU_USER, cryptoki.CKU_SO, 0x83),
			},
			{
				"CKA_ALLOWED_MECHANISMS stands in no template.",
				quirk.Source, "xipki, vendor-utimaco.json",
				refuse(
					cryptoki.CKR_ATTRIBUTE_TYPE_INVALID, makes, names(cryptoki.CKA_ALLOWED_MECHANISMS)),
			},
		},
	},
	{
		Make:   "Securosys Primus",
		Module: cryptoki.Info{Manufacturer: "Securosys SA", Description: "Primus HSM PKCS#11"},
		Token:  named("Securosys SA", "Primus HSM"),
		Rules: []Rule{
			{
				"The PIN is set on the HSM.",
				quirk.Guess, "Securosys documentation, pkcs",
				refuse(cryptoki.CKR_FUNCTION_NOT_SUPPORTED, initialise),
			},
			{
				"Session objects need a policy.",
				quirk.Document, "Securosys documentation, pkcs",
				refuse(0x8000005F, derives),
			},
			{
				"The ID and the label of a destroyed key are refused.",
				quirk.Document, "Securosys documentation, pkcs (Key Invalidation)",
				shadows(
					cryptoki.CKR_ATTRIBUTE_VALUE_INVALID),
			},
		},
	},
	{
		Make:   "Nitrokey NetHSM",
		Module: cryptoki.Info{Manufacturer: "Nitrokey", Description: "Nitrokey NetHsm PKCS#11 library"},
		Token: func(i *cryptoki.TokenInfo) {
			i.Manufacturer, i.Model = "Nitrokey GmbH", "NetHSM"
			i.Flags = cryptoki.CKF_RNG | cryptoki.CKF_USER_PIN_INITIALIZED | cryptoki.CKF_TOKEN_INITIALIZED
		},
		Rules: []Rule{
			{
				"With both passphrases in p11nethsm.conf, no login is required.",
				quirk.Source, "nethsm-pkcs11, api/token.rs and backend/login.rs",
				loggedInAlready(),
			},
			{
				"C_InitToken is not supported, nor are C_DeriveKey and C_Verify.",
				quirk.Source, "nethsm-pkcs11, api",
				refuse(
					cryptoki.CKR_FUNCTION_NOT_SUPPORTED, either(calls("C_InitToken", "C_InitPIN", "C_VerifyInit"),
						derives)),
			},
			{
				"C_SetAttributeValue changes CKA_ID alone.",
				quirk.Source, "nethsm-pkcs11, api/object.rs",
				refuse(
					cryptoki.CKR_ATTRIBUTE_READ_ONLY, changes, namesOther(cryptoki.CKA_ID)),
			},
			{
				"A new ID is that of both halves, and their label.",
				quirk.Source, "nethsm-pkcs11, backend/session.rs, rename_objects",
				both(
					follows(), before(labelledByID, changes)),
			},
			{
				"Ed25519 goes by its OID.",
				quirk.Source, "nethsm-pkcs11, backend/key.rs",
				edwards(edwardsOID),
			},
			{
				"A key is named by its ID.",
				quirk.Source, "nethsm-pkcs11, backend/key.rs",
				both(
					refuse(cryptoki.CKR_ATTRIBUTE_VALUE_INVALID, makes, not(named62)),
					uniqueIDs(cryptoki.CKR_DEVICE_ERROR),
					before(labelledByID, makes)),
			},
			{
				"Usages follow from the type, and the exponent is 65537.",
				quirk.Source, "nethsm-pkcs11, backend/db/object.rs",
				both(
					before(netHSMUsages, makes), shows(noPublicUses, ofPublic)),
			},
			{
				"A secret key is a generic one of unknown length, which neither signs nor verifies.",
				quirk.Source, "nethsm-pkcs11, backend/db/object.rs",
				shows(
					netHSMSecret, of(cryptoki.ULong(cryptoki.CKA_CLASS, cryptoki.CKO_SECRET_KEY))),
			},
			{
				"CKA_LOCAL and CKA_MODIFIABLE are false.",
				quirk.Source, "nethsm-pkcs11, backend/db/object.rs",
				shows(append(
					slices.Clone(unmodifiable), cryptoki.Bool(cryptoki.CKA_LOCAL, false))),
			},
			{
				"A public half that is destroyed is hidden from the process.",
				quirk.Source, "nethsm-pkcs11, backend/session.rs, delete_object",
				hidesDestroyed(ofPublic),
			},
			{
				"Destroying the private half takes both.",
				quirk.Source, "nethsm-pkcs11, backend/session.rs, delete_object",
				onePair(),
			},
			{
				"There is no MAC.",
				quirk.Source, "nethsm-pkcs11, backend/mechanism.rs",
				lacks(cryptoki.CKM_AES_CMAC, cryptoki.CKM_SHA256_HMAC,
					cryptoki.CKM_SHA_1_HMAC, cryptoki.CKM_AES_ECB),
			},
		},
	},
	// SoftHSM refuses the same uses in templates, and its private halves show no CKA_EC_POINT either.
	{
		Make:   "SmartCard-HSM",
		Module: cryptoki.Info{Manufacturer: "OpenSC Project", Description: "OpenSC smartcard framework"},
		Token:  named("www.CardContact.de", "PKCS#15 emulated"),
		Rules: []Rule{
			{
				"C_SetAttributeValue changes CKA_ID and CKA_LABEL alone.",
				quirk.Source, "OpenSC, framework-pkcs15.c",
				refuse(
					cryptoki.CKR_ATTRIBUTE_READ_ONLY, changes, namesOther(cryptoki.CKA_ID, cryptoki.CKA_LABEL)),
			},
			{
				"Nothing of a public half changes.",
				quirk.Report, "OpenSC issue 1632",
				refuse(cryptoki.CKR_ARGUMENTS_BAD, changes, ofPublic),
			},
			{
				"The public half follows.",
				quirk.Report, "OpenSC issue 1632",
				follows(),
			},
			{
				"Pairs are RSA and EC, and there are no secret keys.",
				quirk.Source, "OpenSC, framework-pkcs15.c",
				both(
					lacks(append(noEdwardsNames, cryptoki.CKM_AES_KEY_GEN, cryptoki.CKM_GENERIC_SECRET_KEY_GEN)...),
					refuse(cryptoki.CKR_FUNCTION_NOT_SUPPORTED, makesKey)),
			},
			{
				"Destroying a public half does nothing.",
				quirk.Source, "OpenSC, pkcs15-sc-hsm.c",
				ignore(destroys, ofPublic),
			},
			{
				"Destroying the private half takes both.",
				quirk.Source, "OpenSC, pkcs15-sc-hsm.c",
				onePair(),
			},
		},
	},
	{
		Make:   "YubiKey PIV",
		Module: cryptoki.Info{Manufacturer: "Yubico (www.yubico.com)", Description: "PKCS#11 PIV Library (SP-800-73)"},
		Token:  named("Yubico (www.yubico.com)", "YubiKey YK5"),
		Rules: []Rule{
			{
				"The security officer's PIN is the management key.",
				quirk.Source, "ykcs11.c",
				users(cryptoki.CKU_USER, cryptoki.CKU_SO),
			},
			{
				"Nothing changes, and there is no C_InitPIN.",
				quirk.Source, "ykcs11.c",
				refuse(
					cryptoki.CKR_FUNCTION_NOT_SUPPORTED, either(changes, calls("C_InitPIN"), makesKey)),
			},
			{
				"Making and destroying need the security officer.",
				quirk.Source, "ykcs11.c",
				refuse(
					errUserType, either(makesPair, destroys), not(loggedIn(cryptoki.CKU_SO))),
			},
			{
				"A key is not destroyed; its certificate is.",
				quirk.Source, "ykcs11.c",
				ignore(destroys, either(ofPublic, ofPrivate)),
			},
			{
				"An ID is the number of a slot.",
				quirk.Source, "objects.c",
				refuse(cryptoki.CKR_ATTRIBUTE_VALUE_INVALID, makesPair,
					not(pivID)),
			},
			{
				"No key can be extracted.",
				quirk.Source, "objects.c",
				refuse(cryptoki.CKR_ATTRIBUTE_VALUE_INVALID,
					makesPair, says(extractable)),
			},
			{
				"A label is the name of a slot.",
				quirk.Source, "objects.c",
				both(
					shows([]cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_LABEL, []byte("Private key for PIV "+
						"Authentication"))}, ofPrivate),
					shows([]cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_LABEL, []byte("Public key for PIV "+
						"Authentication"))}, ofPublic)),
			},
		},
	},
	{
		Make:   "Azure Cloud HSM",
		Module: cryptoki.Info{Manufacturer: "Marvell", Description: "LiquidSecurity PKCS#11"},
		Token:  named("Marvell", "LiquidSecurity"),
		PIN:    "cu1:password",
		Rules: []Rule{
			{
				"Another program of the host has logged in.",
				quirk.Document, "Azure Cloud HSM documentation",
				loggedInAlready(),
			},
			{
				"PKCS#11 makes no tokens and no users.",
				quirk.Guess, "",
				refuse(cryptoki.CKR_FUNCTION_NOT_SUPPORTED, initialise),
			},
			{
				"A key is extractable unless its template says otherwise.",
				quirk.Document, "Azure Cloud HSM documentation",
				before(
					func(_ context.Context, _ *Stage, c *cryptoki.Call) { set(&c.Template, extractable) }, makes,
					not(names(cryptoki.CKA_EXTRACTABLE))),
			},
			{
				"An HSM that is exchanged answers CKR_DEVICE_ERROR.",
				quirk.Guess, "Azure Cloud HSM documentation says that clients must try again",
				throttles(
					cryptoki.CKR_DEVICE_ERROR, either(reads, calls("C_FindObjectsInit", "C_GetTokenInfo"))),
			},
		},
	},
	{
		Make:   "Fortanix DSM",
		Module: cryptoki.Info{Manufacturer: "Fortanix", Description: "Fortanix PKCS#11"},
		Token:  named("Fortanix", "DSM"),
		Rules: []Rule{
			{
				"PKCS#11 makes no tokens and no PINs.",
				quirk.Guess, "",
				refuse(cryptoki.CKR_FUNCTION_NOT_SUPPORTED, initialise),
			},
			{
				"A name belongs to one key.",
				quirk.Guess, "",
				uniqueLabels(cryptoki.CKR_ATTRIBUTE_VALUE_INVALID),
			},
			{
				"RSA has 1024 bits or more.",
				quirk.Document, "Fortanix, \"Clients: PKCS#11 Library\"",
				refuse(cryptoki.CKR_KEY_SIZE_RANGE, makesPair,
					publicSays(cryptoki.ULong(cryptoki.CKA_MODULUS_BITS, 512))),
			},
		},
	},
	{
		Make:   "IBM HPCS (EP11)",
		Module: cryptoki.Info{Manufacturer: "IBM Cloud", Description: "GREP11 PKCS#11"},
		Token:  named("IBM Cloud", "GREP11"),
		Rules: []Rule{
			{
				"C_SetAttributeValue changes flags alone.",
				quirk.Document, "IBM Cloud, hs-crypto pkcs11-api-ref",
				refuse(
					cryptoki.CKR_ATTRIBUTE_READ_ONLY, changes, names(cryptoki.CKA_ID, cryptoki.CKA_LABEL)),
			},
			{
				"Ed25519 pairs are made by CKM_EC_KEY_PAIR_GEN, and the curve goes by its OID.",
				quirk.Document, "IBM Cloud, hs-crypto pkcs11-api-ref",
				both(
					lacks(cryptoki.CKM_EC_EDWARDS_KEY_PAIR_GEN),
					before(func(_ context.Context, _ *Stage, c *cryptoki.Call) {
						c.Mechanism = cryptoki.CKM_EC_EDWARDS_KEY_PAIR_GEN
					},
						makesPair, by(cryptoki.CKM_EC_KEY_PAIR_GEN), publicSays(cryptoki.Bytes(cryptoki.CKA_EC_PARAMS,
							edwardsOID))),
					edwards(edwardsOID)),
			},
			{
				"Ed25519 signs by CKM_IBM_ED25519_SHA512.",
				quirk.Document, "IBM Cloud, hs-crypto pkcs11-api-ref",
				calledFor(
					cryptoki.CKM_EDDSA, 0x8001001C, signs),
			},
		},
	},
	{
		Make:   "Kryoptic",
		Module: cryptoki.Info{Manufacturer: "Kryoptic Project", Description: "Kryoptic PKCS11 Module"},
		Token:  named("Kryoptic Project", "v1"),
		Rules: []Rule{
			{
				"EC points are raw.",
				quirk.Source, "kryoptic, config.rs",
				rawPoints(),
			},
		},
	},
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
