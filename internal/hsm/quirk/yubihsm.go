package quirk

import "github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"

// sha256HMAC is CKK_SHA256_HMAC.
const sha256HMAC uint = 0x2B

var yubiHSM = Make{
	Name: "YubiHSM 2", Versions: "yubihsm-shell 2.8.0",
	Marks: []Mark{{Module: "Yubico", Description: "YubiHSM"}, {Token: "Yubico", Model: "YubiHSM"}},
	Differences: Differences{
		HMAC: &HMAC{Mechanism: cryptoki.CKM_GENERIC_SECRET_KEY_GEN, KeyType: sha256HMAC, NoLength: true},
		NoKeys: []NoKey{
			{
				Type: "RSA", Exponent: true, Attribute: "public_exponent",
				Says: "The YubiHSM makes RSA keys with the public exponent 65537 only.",
			},
			{
				Type: "aes", With: []string{"sign", "verify", "wrap", "unwrap"}, Attribute: "usage",
				Says: "An AES key of a YubiHSM only encrypts and decrypts. Wrap keys are made with yubihsm-shell.",
			},
		},
		IDs:    Names{Most: 256, Says: "An ID on a YubiHSM has at most 256 bytes."},
		Labels: Names{Most: 256, Says: "A label on a YubiHSM has at most 256 bytes."},
		Refuses: map[Ask]string{
			ChangeUsage:   "The YubiHSM never changes what a key can be used for. Make another key.",
			ChangeSecrecy: "The YubiHSM never changes whether a key can be exported. Make another key.",
			MakeToken:     "A YubiHSM is set up with yubihsm-setup or yubihsm-shell, not by PKCS#11.",
			SetPIN:        "A YubiHSM gets its authentication keys with yubihsm-shell: put authkey.",
			EraseToken:    "A YubiHSM is erased with yubihsm-shell: reset.",
		},
		NoModifiable: true,
		OnePair:      true,
		PIN: &PINForm{
			`@?[0-9a-fA-F]{4}.{8,64}|#.+`,
			"The PIN of a YubiHSM is the ID of an authentication key in four hexadecimal digits, and then its " +
				"password of " +
				"8 to 64 characters.",
		},
	},
	Evidence: []Evidence{
		{
			"Marks", "The module's manufacturer is Yubico (www.yubico.com), its description and the token's model " +
				"begin with YubiHSM.",
			Source, "yubihsm_pkcs11.c",
		},
		{
			"HMAC", "C_GenerateKey wants CKA_CLASS and CKA_KEY_TYPE for HMAC, and refuses CKA_VALUE_LEN.",
			Source, "yubihsm_pkcs11.c, parse_hmac_template",
		},
		{
			"NoKeys", "Another exponent than 65537 is CKR_ATTRIBUTE_VALUE_INVALID. So are CKA_SIGN, CKA_VERIFY, " +
				"CKA_WRAP and CKA_UNWRAP of an AES key.",
			Source, "util_pkcs11.c",
		},
		{
			"IDs", "An ID of two bytes is the object's own. Any other, up to 256 bytes, takes a second object, of " +
				"which there are 256.",
			Source, "util_pkcs11.c, parse_meta_id_template",
		},
		{
			"Labels", "A label has up to 256 bytes. One of more than 40 takes a second object.",
			Source, "util_pkcs11.c, parse_meta_label_template",
		},
		{
			"Refuses", "C_SetAttributeValue changes CKA_ID and CKA_LABEL alone. C_InitToken, C_InitPIN and C_SetPIN " +
				"are not supported.",
			Source, "yubihsm_pkcs11.c",
		},
		{
			"", "Without a second object, a new label of the old one's length is answered with CKR_OK, and dropped.",
			Source, "yubihsm_pkcs11.c, C_SetAttributeValue",
		},
		{
			"NoModifiable", "Every key shows CKA_MODIFIABLE=false, and takes a new ID and label.",
			Source, "util_pkcs11.c",
		},
		{
			"OnePair", "Destroying the public half is answered with CKR_OK, and does nothing. Destroying the " +
				"private one takes both.",
			Source, "yubihsm_pkcs11.c, C_DestroyObject",
		},
		{
			"PIN", "The PIN is four hexadecimal digits and a password of 8 to 64 characters.",
			Document, "yubihsm-shell, pkcs11/README.adoc",
		},
		{
			"", "A search for keys of the type CKK_EC_EDWARDS finds nothing.",
			Source, "yubihsm_pkcs11.c, C_FindObjectsInit",
		},
		{"Library", "The library lies there.", Report, "users' configurations on Debian"},
		{"Commands", "yubihsm-shell has put authkey.", Document, "yubihsm-shell, manual"},
		{"Commands", "It has reset.", Guess, ""},
	},
	Setup: Setup{
		Library:     "/usr/lib/x86_64-linux-gnu/pkcs11/yubihsm_pkcs11.so",
		Environment: []string{"YUBIHSM_PKCS11_CONF: the file that names the connector"},
		PIN:         "four hexadecimal digits of the authentication key, then its password, such as 0001password",
		Argument:    "token_serial",
		Selector:    "Every token has the label YubiHSM.",
		Notes: []string{
			"It holds 256 objects. An ID of another length than two bytes costs one more, such as the random ID " +
				"that a key gets without key_id.",
			"A new label of the old one's length is dropped by a key whose ID has two bytes. The provider notices, " +
				"and says so.",
		},
	},
}
