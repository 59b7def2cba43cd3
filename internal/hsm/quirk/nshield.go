package quirk

import "github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"

// ncSHA256HMAC is nShield's CKM_NC_SHA256_HMAC_KEY_GEN.
const ncSHA256HMAC cryptoki.MechanismType = 0xDE436972 + 0x25

var nShield = Make{
	Name: "Entrust nShield", Versions: "Security World 12.80 to 13.6",
	Marks: []Mark{{Module: "nCipher"}, {Token: "nCipher"}},
	Differences: Differences{
		HMAC:     &HMAC{Mechanism: ncSHA256HMAC, KeyType: sha256HMAC},
		OneByOne: true,
		Late:     true,
	},
	Evidence: []Evidence{
		{
			"Marks", "Module and token call the manufacturer nCipher Corp. Ltd.",
			Source, "notary, pkcs11 tests; graphene, tests",
		},
		{
			"HMAC", "Keys for HMAC have mechanisms and key types of their own.",
			Source, "crypto11, hmac.go and symmetric.go",
		},
		{
			"OneByOne", "C_GetAttributeValue for many attributes may answer CKR_FUNCTION_FAILED (the vendor's bug " +
				"30966).",
			Source, "pkcs11-tools, pkcs11_peekpoke.c",
		},
		{
			"Late", "Keys are files of the host, so that another host sees a new one only after they were copied.",
			Guess, "nShield documentation 13.5, \"Objects\", says that they are files",
		},
		{
			"", "A public half must have CKA_PRIVATE=false.",
			Document, "nShield documentation 12.80, cited in krill issue 1019",
		},
		{"", "Ed25519 is known by its printable name alone.", Source, "xipki, vendor-ncipher.json"},
		{
			"", "C_Login fails in the slot \"accelerator\", which has no private objects.",
			Document, "nShield documentation 13.x",
		},
		{"", "C_SetAttributeValue changes labels, IDs and usage flags.", Guess, ""},
		{"Library", "The library lies there.", Report, "users' configurations"},
	},
	Setup: Setup{
		Library: "/opt/nfast/toolkits/pkcs11/libcknfast.so",
		Environment: []string{
			"CKNFAST_LOADSHARING: 1 for softcards and for several modules",
			"CKNFAST_OVERRIDE_SECURITY_ASSURANCES: only if an error names a security assurance",
		},
		PIN: "the passphrase of the softcard or of the card.",
		Notes: []string{
			"Choose a softcard or a card. The slot \"accelerator\" takes no login.",
			"A card set that needs several cards must be preloaded: C_Login reads one card.",
			"Several hosts must share the files of /opt/nfast/kmdata before they see each other's keys.",
		},
	},
}
