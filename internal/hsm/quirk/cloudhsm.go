package quirk

import "github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"

// x931 is CKM_RSA_X9_31_KEY_PAIR_GEN.
const x931 cryptoki.MechanismType = 0xA

var cloudHSM = Make{
	Name: "AWS CloudHSM", Versions: "client SDK 5.13",
	Marks: []Mark{{Module: "CloudHSM"}, {Module: "AWS CloudHSM"}, {Token: "AWS CloudHSM"}},
	Differences: Differences{
		PublicPrivate:  WrittenTrue,
		NoPublicDerive: true,
		Omits:          []cryptoki.AttributeType{cryptoki.CKA_SIGN_RECOVER, cryptoki.CKA_VERIFY_RECOVER},
		Generating: map[cryptoki.MechanismType][]cryptoki.MechanismType{
			cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN: {x931, cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN},
		},
		IDs: Names{Unique: true, Says: "On AWS CloudHSM, an ID belongs to one key or key pair."},
		Refuses: map[Ask]string{
			ChangeLabel:   "AWS CloudHSM changes a label only with its own CLI: cloudhsm-cli key set-attribute.",
			ChangeID:      "AWS CloudHSM never changes the ID of a key. Make another key with the new ID.",
			ChangeUsage:   "AWS CloudHSM changes usages only with its own CLI: cloudhsm-cli key set-attribute.",
			ChangeSecrecy: "AWS CloudHSM does not change this by PKCS#11. Make another key.",
			MakeToken: "An AWS CloudHSM cluster is initialised by AWS and its own CLI: cloudhsm-cli cluster " +
				"activate.",
			SetPIN:     "AWS CloudHSM makes users with its own CLI: cloudhsm-cli user create.",
			EraseToken: "An AWS CloudHSM cluster is deleted by AWS, not by PKCS#11.",
		},
		Busy: map[string][]cryptoki.RV{"C_GetAttributeValue": {cryptoki.CKR_DEVICE_ERROR}},
		PIN: &PINForm{`[^:]+:.+`, "The PIN of AWS CloudHSM is the name and the password of a crypto user, with a " +
			"colon between them."},
	},
	Evidence: []Evidence{
		{
			"Marks", "The manufacturer's text has CloudHSM in it.",
			Guess, "xipki, vendor-cloudhsm.json, has the word, but not the whole text",
		},
		{
			"PublicPrivate", "A public half must have CKA_PRIVATE=true.",
			Report, "OpenSC issue 2747, python-pkcs11 issue 14",
		},
		{
			"NoPublicDerive", "A public half must have CKA_DERIVE=false.",
			Document, "AWS CloudHSM user guide, pkcs11-attributes",
		},
		{
			"Omits", "Templates must not name CKA_SIGN_RECOVER and CKA_VERIFY_RECOVER.",
			Source, "xipki, vendor-cloudhsm.json",
		},
		{
			"Generating", "RSA pairs are made by CKM_RSA_X9_31_KEY_PAIR_GEN. The usual mechanism works too, by a " +
				"report.",
			Document, "AWS CloudHSM user guide, pkcs11-mechanisms; vaultplugin-hsmpki issue 25",
		},
		{
			"IDs", "A second key with an ID is refused (CKR_ATTRIBUTE_VALUE_INVALID).",
			Report, "aws-cloudhsm-pkcs11-examples issue 65",
		},
		{
			"Refuses", "There is no C_SetAttributeValue, C_InitToken and C_InitPIN.",
			Document, "AWS CloudHSM user guide, pkcs11-apis and cloudhsm_cli-key-set-attribute",
		},
		{
			"Busy", "C_GetAttributeValue answers CKR_DEVICE_ERROR when it is throttled.",
			Document, "AWS CloudHSM user guide, ki-pkcs11-sdk",
		},
		{"PIN", "The PIN is user:password.", Document, "AWS CloudHSM user guide, pkcs11-pin"},
		{"", "Read-only sessions answer CKR_FUNCTION_FAILED.", Document, "AWS CloudHSM user guide, ki-pkcs11-sdk"},
		{"Library", "The library lies there.", Report, "users' configurations"},
		{
			"Commands", "cloudhsm-cli has key set-attribute and cluster activate.",
			Document, "AWS CloudHSM user guide, cloudhsm_cli",
		},
		{"Commands", "It has user create.", Guess, ""},
	},
	Setup: Setup{
		Library:  "/opt/cloudhsm/lib/libcloudhsm_pkcs11.so",
		PIN:      "user:password of a crypto user",
		Selector: "There is one token.",
		Notes: []string{
			"A new key must reach two HSMs of the cluster. A cluster of one needs configure-pkcs11 " +
				"--disable-key-availability-check.",
			"Certificates need hsm2m.medium, SDK 5.13 and configure-pkcs11 --enable-certificate-storage.",
		},
	},
}
