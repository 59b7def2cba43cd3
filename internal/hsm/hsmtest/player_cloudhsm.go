package hsmtest

import (
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

var cloudhsmPlayer = Player{
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
}
