package hsmtest

import (
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

var fortanixPlayer = Player{
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
}
