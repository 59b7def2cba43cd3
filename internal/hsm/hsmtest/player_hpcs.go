package hsmtest

import (
	"context"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

var hpcsPlayer = Player{
	Make:   "IBM HPCS (EP11)",
	Module: cryptoki.Info{Manufacturer: "IBM Cloud", Description: "GREP11 PKCS#11"},
	Token:  named("IBM Cloud", "GREP11"),
	Rules: []Rule{
		{
			"C_SetAttributeValue changes flags alone.",
			quirk.Document, "IBM Cloud, hs-crypto pkcs11-api-ref",
			refuse(
				cryptoki.CKR_ATTRIBUTE_READ_ONLY, changes, names(cryptoki.CKA_ID, cryptoki.CKA_LABEL)),
		},
		{
			"Ed25519 pairs are made by CKM_EC_KEY_PAIR_GEN, and the curve goes by its OID.",
			quirk.Document, "IBM Cloud, hs-crypto pkcs11-api-ref",
			both(
				lacks(cryptoki.CKM_EC_EDWARDS_KEY_PAIR_GEN),
				before(func(_ context.Context, _ *Stage, c *cryptoki.Call) {
					c.Mechanism = cryptoki.CKM_EC_EDWARDS_KEY_PAIR_GEN
				},
					makesPair, by(cryptoki.CKM_EC_KEY_PAIR_GEN), publicSays(cryptoki.Bytes(cryptoki.CKA_EC_PARAMS,
						edwardsOID))),
				edwards(edwardsOID)),
		},
		{
			"Ed25519 signs by CKM_IBM_ED25519_SHA512.",
			quirk.Document, "IBM Cloud, hs-crypto pkcs11-api-ref",
			calledFor(
				cryptoki.CKM_EDDSA, 0x8001001C, either(signs, asksOfIt)),
		},
	},
}
