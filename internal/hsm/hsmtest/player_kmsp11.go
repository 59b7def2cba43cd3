package hsmtest

import (
	"context"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

var kmsp11Player = Player{
	Make:   "Google Cloud KMS",
	Module: cryptoki.Info{Manufacturer: "Google", Description: "Cryptoki Library for Cloud KMS"},
	Token: func(i *cryptoki.TokenInfo) {
		i.Manufacturer, i.Model, i.Serial = "Google", "Cloud KMS Token", "0000000000000000"
		i.Flags = cryptoki.CKF_RNG | cryptoki.CKF_USER_PIN_INITIALIZED | cryptoki.CKF_TOKEN_INITIALIZED |
			cryptoki.CKF_SO_PIN_LOCKED
	},
	Rules: []Rule{
		{
			"Functions that change, initialise or derive are not supported.",
			quirk.Source, "kmsp11, user guide",
			refuse(
				cryptoki.CKR_FUNCTION_NOT_SUPPORTED, either(changes, initialise, derives)),
		},
		{
			"The public half's template is empty.",
			quirk.Source, "kmsp11, session.cc",
			refuse(
				cryptoki.CKR_TEMPLATE_INCONSISTENT, makesPair, func(_ context.Context, _ *Stage,
					c *cryptoki.Call) bool {
					return len(c.Public) > 0
				}),
		},
		{
			"A template has the label and CKA_KMS_ALGORITHM, and no more.",
			quirk.Source, "kmsp11, session.cc",
			both(
				refuse(cryptoki.CKR_TEMPLATE_INCONSISTENT, makes, namesOther(cryptoki.CKA_LABEL, kmsAlgorithm)),
				refuse(cryptoki.CKR_TEMPLATE_INCOMPLETE, makes, either(not(names(kmsAlgorithm)),
					not(names(cryptoki.CKA_LABEL)))),
			),
		},
		{
			"A label is a crypto key's name, and used once.",
			quirk.Source, "kmsp11, session.cc",
			kmsLabels(),
		},
		{
			"The algorithm says all of a key. Its ID is the resource name.",
			quirk.Source, "kmsp11, algorithm_details.cc and object.cc",
			kmsKeys(),
		},
		{
			"Ed25519 and CMAC are not there, nor AES-ECB.",
			quirk.Source, "kmsp11, algorithm_details.cc",
			lacks(append(noEdwardsNames,
				cryptoki.CKM_AES_ECB, cryptoki.CKM_AES_CMAC)...),
		},
		{
			"A key signs with one scheme and its hash.",
			quirk.Source, "kmsp11, algorithm_details.cc",
			kmsHashes(),
		},
		{
			"Keys cannot be changed.",
			quirk.Source, "kmsp11, object.cc",
			shows(unmodifiable),
		},
		{
			"A public half cannot be destroyed.",
			quirk.Source, "kmsp11, session.cc",
			refuse(cryptoki.CKR_ACTION_PROHIBITED, destroys,
				ofPublic),
		},
		{
			"Destroying the private half takes both.",
			quirk.Source, "kmsp11, session.cc",
			onePair(),
		},
		{
			"What others make is not seen.",
			quirk.Source, "kmsp11, user guide (refresh_interval_secs)",
			late(),
		},
	},
}
