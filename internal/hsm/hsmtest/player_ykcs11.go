package hsmtest

import (
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

var ykcs11Player = Player{
	Make:   "YubiKey PIV",
	Module: cryptoki.Info{Manufacturer: "Yubico (www.yubico.com)", Description: "PKCS#11 PIV Library (SP-800-73)"},
	Token:  named("Yubico (www.yubico.com)", "YubiKey YK5"),
	Rules: []Rule{
		{
			"The security officer's PIN is the management key.",
			quirk.Source, "ykcs11.c",
			users(cryptoki.CKU_USER, cryptoki.CKU_SO),
		},
		{
			"Nothing changes, and there is no C_InitPIN.",
			quirk.Source, "ykcs11.c",
			refuse(
				cryptoki.CKR_FUNCTION_NOT_SUPPORTED, either(changes, calls("C_InitPIN"), makesKey)),
		},
		{
			"Making and destroying need the security officer.",
			quirk.Source, "ykcs11.c",
			refuse(
				errUserType, either(makesPair, destroys), not(loggedIn(cryptoki.CKU_SO))),
		},
		{
			"A key is not destroyed; its certificate is.",
			quirk.Source, "ykcs11.c",
			ignore(destroys, either(ofPublic, ofPrivate)),
		},
		{
			"An ID is the number of a slot.",
			quirk.Source, "objects.c",
			refuse(cryptoki.CKR_ATTRIBUTE_VALUE_INVALID, makesPair,
				not(pivID)),
		},
		{
			"No key can be extracted.",
			quirk.Source, "objects.c",
			refuse(cryptoki.CKR_ATTRIBUTE_VALUE_INVALID,
				makesPair, says(extractable)),
		},
		{
			"A label is the name of a slot.",
			quirk.Source, "objects.c",
			both(
				shows([]cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_LABEL, []byte("Private key for PIV "+
					"Authentication"))}, ofPrivate),
				shows([]cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_LABEL, []byte("Public key for PIV "+
					"Authentication"))}, ofPublic)),
		},
	},
}
