package hsmtest

import (
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

var nethsmPlayer = Player{
	Make:   "Nitrokey NetHSM",
	Module: cryptoki.Info{Manufacturer: "Nitrokey", Description: "Nitrokey NetHsm PKCS#11 library"},
	Token: func(i *cryptoki.TokenInfo) {
		i.Manufacturer, i.Model = "Nitrokey GmbH", "NetHSM"
		i.Flags = cryptoki.CKF_RNG | cryptoki.CKF_USER_PIN_INITIALIZED | cryptoki.CKF_TOKEN_INITIALIZED
	},
	Rules: []Rule{
		{
			"With both passphrases in p11nethsm.conf, no login is required.",
			quirk.Source, "nethsm-pkcs11, api/token.rs and backend/login.rs",
			loggedInAlready(),
		},
		{
			"C_InitToken is not supported, nor are C_DeriveKey and C_Verify.",
			quirk.Source, "nethsm-pkcs11, api",
			refuse(
				cryptoki.CKR_FUNCTION_NOT_SUPPORTED, either(calls("C_InitToken", "C_InitPIN", "C_VerifyInit"),
					derives)),
		},
		{
			"C_SetAttributeValue changes CKA_ID alone.",
			quirk.Source, "nethsm-pkcs11, api/object.rs",
			refuse(
				cryptoki.CKR_ATTRIBUTE_READ_ONLY, changes, namesOther(cryptoki.CKA_ID)),
		},
		{
			"A new ID is that of both halves, and their label.",
			quirk.Source, "nethsm-pkcs11, backend/session.rs, rename_objects",
			both(
				follows(), before(labelledByID, changes)),
		},
		{
			"Ed25519 goes by its OID.",
			quirk.Source, "nethsm-pkcs11, backend/key.rs",
			edwards(edwardsOID),
		},
		{
			"A key is named by its ID.",
			quirk.Source, "nethsm-pkcs11, backend/key.rs",
			both(
				refuse(cryptoki.CKR_ATTRIBUTE_VALUE_INVALID, makes, not(named62)),
				uniqueIDs(cryptoki.CKR_DEVICE_ERROR),
				before(labelledByID, makes)),
		},
		{
			"Usages follow from the type, and the exponent is 65537.",
			quirk.Source, "nethsm-pkcs11, backend/db/object.rs",
			both(
				before(netHSMUsages, makes), shows(noPublicUses, ofPublic)),
		},
		{
			"A secret key is a generic one of unknown length, which neither signs nor verifies.",
			quirk.Source, "nethsm-pkcs11, backend/db/object.rs",
			shows(
				netHSMSecret, of(cryptoki.ULong(cryptoki.CKA_CLASS, cryptoki.CKO_SECRET_KEY))),
		},
		{
			"CKA_LOCAL and CKA_MODIFIABLE are false.",
			quirk.Source, "nethsm-pkcs11, backend/db/object.rs",
			shows(append(
				slices.Clone(unmodifiable), cryptoki.Bool(cryptoki.CKA_LOCAL, false))),
		},
		{
			"A public half that is destroyed is hidden from the process.",
			quirk.Source, "nethsm-pkcs11, backend/session.rs, delete_object",
			hidesDestroyed(ofPublic),
		},
		{
			"Destroying the private half takes both.",
			quirk.Source, "nethsm-pkcs11, backend/session.rs, delete_object",
			onePair(),
		},
		{
			"There is no MAC.",
			quirk.Source, "nethsm-pkcs11, backend/mechanism.rs",
			lacks(cryptoki.CKM_AES_CMAC, cryptoki.CKM_SHA256_HMAC,
				cryptoki.CKM_SHA_1_HMAC, cryptoki.CKM_AES_ECB),
		},
	},
}
