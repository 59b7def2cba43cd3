package quirk

import "github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"

// ibmEd25519 is CKM_IBM_ED25519_SHA512.
const ibmEd25519 cryptoki.MechanismType = 0x8001001C

var hpcs = Make{
	Name: "IBM HPCS (EP11)", Versions: "documentation of 2025",
	Marks: []Mark{{Description: "GREP11"}, {Model: "GREP11"}},
	Differences: Differences{
		Generating: map[cryptoki.MechanismType][]cryptoki.MechanismType{
			cryptoki.CKM_EC_EDWARDS_KEY_PAIR_GEN: {cryptoki.CKM_EC_KEY_PAIR_GEN},
		},
		Ed25519: EdwardsOID,
		Refuses: map[Ask]string{
			ChangeLabel: "IBM HPCS changes only flags of a key. Make another key with the new label.",
			ChangeID:    "IBM HPCS changes only flags of a key. Make another key with the new ID.",
		},
		EdDSA: ibmEd25519,
	},
	Evidence: []Evidence{
		{"Marks", "The module calls itself GREP11.", Guess, ""},
		{
			"Generating", "Ed25519 pairs are made by CKM_EC_KEY_PAIR_GEN.",
			Document, "IBM Cloud, hs-crypto pkcs11-api-ref",
		},
		{"Ed25519", "The curve is named by its OID.", Guess, "IBM's samples for GREP11 do"},
		{
			"Refuses", "C_SetAttributeValue changes boolean attributes only.",
			Document, "IBM Cloud, hs-crypto pkcs11-api-ref",
		},
		{"EdDSA", "Ed25519 signs by CKM_IBM_ED25519_SHA512.", Document, "IBM Cloud, hs-crypto pkcs11-api-ref"},
		{
			"Library", "The file is pkcs11-grep11-PLATFORM.so.VERSION.",
			Document, "IBM Cloud, hs-crypto best practices for PKCS#11 access",
		},
	},
	Setup: Setup{
		Library:     "pkcs11-grep11-amd64.so, wherever you put it",
		Environment: []string{"EP11CLIENT_CFG: the folder of grep11client.yaml, which names the endpoints"},
		PIN:         "an API key of the normal user's service ID",
		Notes: []string{
			"An EP11 token of openCryptoki is another module. It is known as openCryptoki.",
			"Domains of the crypto cards can forbid mechanisms.",
		},
	},
}
