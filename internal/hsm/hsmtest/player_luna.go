package hsmtest

import (
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

var lunaPlayer = Player{
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
}
