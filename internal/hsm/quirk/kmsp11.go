package quirk

import "github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"

// kmsAlgorithm is CKA_KMS_ALGORITHM of kmsp11.h.
const kmsAlgorithm cryptoki.AttributeType = 0x8001E101

const kmsNoChange = "Cloud KMS never changes a key version by PKCS#11. Make another key."

var cloudKMS = Make{
	Name: "Google Cloud KMS", Versions: "kmsp11 1.9",
	Marks: []Mark{{Module: "Google", Description: "Cryptoki Library for Cloud " +
		"KMS"}, {Token: "Google", Model: "Cloud KMS"}},
	Differences: Differences{
		PublicPrivate: Unwritten,
		Only:          []cryptoki.AttributeType{cryptoki.CKA_LABEL, kmsAlgorithm},
		Algorithms: &Algorithms{Attribute: kmsAlgorithm, Known: []Algorithm{
			{Name: "RSA_SIGN_PKCS1_2048_SHA256", Number: 5, Type: "RSA", Bits: 2048, Usage: "sign"},
			{Name: "RSA_SIGN_PKCS1_3072_SHA256", Number: 6, Type: "RSA", Bits: 3072, Usage: "sign"},
			{Name: "RSA_SIGN_PKCS1_4096_SHA256", Number: 7, Type: "RSA", Bits: 4096, Usage: "sign"},
			{Name: "RSA_SIGN_PKCS1_4096_SHA512", Number: 16, Type: "RSA", Bits: 4096, Usage: "sign"},
			{Name: "RSA_SIGN_PSS_2048_SHA256", Number: 2, Type: "RSA", Bits: 2048, Usage: "sign"},
			{Name: "RSA_SIGN_PSS_3072_SHA256", Number: 3, Type: "RSA", Bits: 3072, Usage: "sign"},
			{Name: "RSA_SIGN_PSS_4096_SHA256", Number: 4, Type: "RSA", Bits: 4096, Usage: "sign"},
			{Name: "RSA_SIGN_PSS_4096_SHA512", Number: 15, Type: "RSA", Bits: 4096, Usage: "sign"},
			{Name: "RSA_SIGN_RAW_PKCS1_2048", Number: 28, Type: "RSA", Bits: 2048, Usage: "sign"},
			{Name: "RSA_SIGN_RAW_PKCS1_3072", Number: 29, Type: "RSA", Bits: 3072, Usage: "sign"},
			{Name: "RSA_SIGN_RAW_PKCS1_4096", Number: 30, Type: "RSA", Bits: 4096, Usage: "sign"},
			{Name: "RSA_DECRYPT_OAEP_2048_SHA256", Number: 8, Type: "RSA", Bits: 2048, Usage: "decrypt"},
			{Name: "RSA_DECRYPT_OAEP_3072_SHA256", Number: 9, Type: "RSA", Bits: 3072, Usage: "decrypt"},
			{Name: "RSA_DECRYPT_OAEP_4096_SHA256", Number: 10, Type: "RSA", Bits: 4096, Usage: "decrypt"},
			{Name: "RSA_DECRYPT_OAEP_4096_SHA512", Number: 17, Type: "RSA", Bits: 4096, Usage: "decrypt"},
			{Name: "EC_SIGN_P256_SHA256", Number: 12, Type: "EC", Curve: "P-256", Usage: "sign"},
			{Name: "EC_SIGN_P384_SHA384", Number: 13, Type: "EC", Curve: "P-384", Usage: "sign"},
			{Name: "AES_128_GCM", Number: 41, Type: "aes", Bits: 128, Usage: "encrypt"},
			{Name: "AES_256_GCM", Number: 19, Type: "aes", Bits: 256, Usage: "encrypt"},
			{Name: "AES_128_CBC", Number: 42, Type: "aes", Bits: 128, Usage: "encrypt"},
			{Name: "AES_256_CBC", Number: 43, Type: "aes", Bits: 256, Usage: "encrypt"},
			{Name: "AES_128_CTR", Number: 44, Type: "aes", Bits: 128, Usage: "encrypt"},
			{Name: "AES_256_CTR", Number: 45, Type: "aes", Bits: 256, Usage: "encrypt"},
			{Name: "HMAC_SHA256", Number: 32, Type: "generic", Bits: 256, Usage: "sign"},
			{Name: "HMAC_SHA1", Number: 33, Type: "generic", Bits: 160, Usage: "sign"},
			{Name: "HMAC_SHA224", Number: 36, Type: "generic", Bits: 224, Usage: "sign"},
			{Name: "HMAC_SHA384", Number: 34, Type: "generic", Bits: 384, Usage: "sign"},
			{Name: "HMAC_SHA512", Number: 35, Type: "generic", Bits: 512, Usage: "sign"},
		}},
		NoKeys: []NoKey{
			{Extractable: true, Attribute: "extractable", Says: "No key leaves Cloud KMS: extractable must be false."},
			{Type: "RSA", Exponent: true, Attribute: "public_exponent", Says: "Cloud KMS makes RSA keys with the " +
				"public exponent 65537 only."},
			{Curve: "P-521", Attribute: "curve", Says: kmsCurves},
			{Curve: "secp256k1", Attribute: "curve", Says: kmsCurves},
			{Curve: "Ed25519", Attribute: "curve", Says: kmsCurves},
			{With: []string{"derive", "unwrap", "wrap"}, Attribute: "usage", Says: "Keys of Cloud KMS sign, decrypt " +
				"or make MACs. They neither derive nor wrap."},
		},
		IDs: Names{Assigned: true, Says: "Cloud KMS chooses the ID of a key: the resource name of its version. " +
			"Leave key_id out."},
		Labels: Names{
			Unique: true, Lasting: true, Least: 1, Most: 63, Alphabet: `[a-zA-Z0-9_-]+`,
			Says: "A label on Cloud KMS is the name of a crypto key: 1 to 63 letters, digits, hyphens and " +
				"underscores. A " +
				"name that was ever used in the key ring is used for good.",
		},
		Refuses: map[Ask]string{
			ChangeLabel: kmsNoChange, ChangeID: kmsNoChange, ChangeUsage: kmsNoChange, ChangeSecrecy: kmsNoChange,
			WriteCertificate: "The library of Cloud KMS has no C_CreateObject.",
			MakeToken: "A token of Cloud KMS is a key ring. Make it with gcloud kms keyrings create, and name it " +
				"in the library's configuration file.",
			SetPIN:     "Cloud KMS has no PIN: access is given in IAM.",
			EraseToken: "A key ring of Cloud KMS is never deleted.",
		},
		OnePair:          true,
		NoSessionObjects: true,
		Late:             true,
		NoLogin:          true,
	},
	Evidence: []Evidence{
		{
			"Marks", "Module and token call the manufacturer Google. The token's model is Cloud KMS Token.",
			Source, "kmsp11, provider.cc and token.cc",
		},
		{"PublicPrivate", "The public half's template must be empty.", Source, "kmsp11, session.cc, GenerateKeyPair"},
		{
			"Only", "Every other attribute of a template is CKR_TEMPLATE_INCONSISTENT.",
			Source, "kmsp11, session.cc, ExtractKeyGenerationParams",
		},
		{
			"Algorithms", "CKA_KMS_ALGORITHM is required, and says type, size, hash and use of a key.",
			Source, "kmsp11, kmsp11.h and algorithm_details.cc",
		},
		{
			"NoKeys", "The algorithms have RSA, P-256, P-384, AES and HMAC, for one purpose each. Keys show " +
				"CKA_EXTRACTABLE, CKA_DERIVE and CKA_UNWRAP as false.",
			Source, "kmsp11, object.cc",
		},
		{"IDs", "CKA_ID is the resource name of the key's version.", Source, "kmsp11, object.cc"},
		{
			"Labels", "A label is a crypto key's name, of [a-zA-Z0-9_-]{1,63}. A used one is CKR_ARGUMENTS_BAD.",
			Source, "kmsp11, session.cc",
		},
		{"Labels", "The label of a destroyed version stays used.", Guess, ""},
		{
			"Refuses", "C_SetAttributeValue, C_CreateObject, C_InitToken and C_InitPIN are not supported.",
			Source, "kmsp11, user guide",
		},
		{
			"OnePair", "A public half answers CKR_ACTION_PROHIBITED to C_DestroyObject. Destroying the private one " +
				"takes both.",
			Source, "kmsp11, session.cc, DestroyObject",
		},
		{"NoSessionObjects", "There is no C_DeriveKey and no C_CreateObject.", Source, "kmsp11, user guide"},
		{"Late", "What others make shows after refresh_interval_secs, or never.", Source, "kmsp11, user guide"},
		{
			"NoLogin", "The token does not ask for a login. Private halves show CKA_PRIVATE=false.",
			Source, "kmsp11, token.cc and object.cc",
		},
		{
			"", "A key signs with one scheme and hash. There is neither AES-ECB nor AES-CMAC.",
			Source, "kmsp11, algorithm_details.cc",
		},
		{"Commands", "Key rings are made with gcloud kms keyrings create.", Document, "Google Cloud, gcloud reference"},
	},
	Setup: Setup{
		Library: "libkmsp11.so, wherever you put it",
		Environment: []string{
			"KMS_PKCS11_CONFIG: the configuration file, which only its owner may write",
			"GOOGLE_APPLICATION_CREDENTIALS: the credentials, where the machine has none of its own",
		},
		PIN:      "none",
		Selector: "Give each key ring a label in the configuration file. The serial number is all zeros.",
		Notes: []string{
			"Set refresh_interval_secs, or a process sees only the keys that were there when it started, and its own.",
			"Ory Hydra's key sets have dots in their names, which Cloud KMS does not take.",
		},
	},
}

const kmsCurves = "Cloud KMS makes keys on P-256 and P-384 only by PKCS#11."
