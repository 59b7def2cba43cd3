package hsmtest

import (
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

var utimacoPlayer = Player{
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
}
