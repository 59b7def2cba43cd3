package hsmtest

import (
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

var nshieldPlayer = Player{
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
}
