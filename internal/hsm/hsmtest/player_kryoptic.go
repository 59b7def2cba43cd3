package hsmtest

import (
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

var kryopticPlayer = Player{
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
}
