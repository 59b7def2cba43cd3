package hsmtest

import (
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

var yubihsmPlayer = Player{
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
}
