package hsmtest

import (
	"context"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

var azurePlayer = Player{
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
}
