package hsmtest

import (
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// SoftHSM refuses the same uses in templates, and its private halves show no CKA_EC_POINT either.
var smartcardhsmPlayer = Player{
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
}
