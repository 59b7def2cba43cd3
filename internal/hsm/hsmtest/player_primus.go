package hsmtest

import (
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

var primusPlayer = Player{
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
}
