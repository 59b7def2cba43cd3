package quirk

const netHSMNoSecret = "The NetHSM shows every secret key as a generic one of unknown length that encrypts and " +
	"decrypts, " +
	"so no secret key can be kept on it."

var netHSM = Make{
	Name: "Nitrokey NetHSM", Versions: "nethsm-pkcs11 2.2.0",
	Marks: []Mark{{Module: "Nitrokey", Description: "Nitrokey NetHsm"}, {Token: "Nitrokey", Model: "NetHSM"}},
	Differences: Differences{
		NoPublicUsage: true,
		Ed25519:       EdwardsOID,
		NoKeys: []NoKey{
			{Type: "aes", Says: netHSMNoSecret},
			{Type: "generic", Says: netHSMNoSecret},
			{Extractable: true, Attribute: "extractable", Says: "No key leaves a NetHSM: extractable must be false."},
			{Type: "RSA", Exponent: true, Attribute: "public_exponent", Says: "The NetHSM makes RSA keys with the " +
				"public exponent 65537 only."},
		},
		IDs: Names{
			Unique: true, Least: 1, Most: 128, Alphabet: `[A-Za-z0-9][A-Za-z0-9._-]*`,
			Says: "An ID on a NetHSM has 1 to 128 letters, digits, dots, hyphens and underscores, and begins with a " +
				"letter or a digit.",
		},
		LabelIsID: true,
		Refuses: map[Ask]string{
			ChangeLabel:   "On a NetHSM, the label is the text of the ID. Change key_id.",
			ChangeUsage:   "The NetHSM fixes the usage of a key by its type.",
			ChangeSecrecy: "No key leaves a NetHSM. That cannot be changed.",
			MakeToken:     "A NetHSM is provisioned with its own tool: nitropy nethsm provision.",
			SetPIN:        "A NetHSM has users with passphrases: nitropy nethsm add-user.",
			EraseToken:    "A NetHSM is reset with its own tool: nitropy nethsm factory-reset.",
		},
		Usages: map[string][]string{
			"RSA": {"decrypt", "sign"}, "EC": {"derive", "sign"}, "Edwards": {"derive", "sign"},
		},
		NoModifiable: true,
		OnePair:      true,
	},
	Evidence: []Evidence{
		{
			"Marks", "The module's manufacturer is Nitrokey, its description begins with Nitrokey NetHsm.",
			Source, "nethsm-pkcs11, defs.rs",
		},
		{
			"Marks", "The token's manufacturer and model are what the device says: Nitrokey GmbH, NetHSM.",
			Guess, "nethsm-pkcs11, api/token.rs, passes them on",
		},
		{"NoPublicUsage", "All usage flags of a public half are false.", Source, "nethsm-pkcs11, backend/db/object.rs"},
		{"Ed25519", "CKA_EC_PARAMS must be an OID.", Source, "nethsm-pkcs11, backend/key.rs, key_type_from_params"},
		{
			"NoKeys", "A secret key shows CKK_GENERIC_SECRET, CKA_VALUE_LEN 0, and neither sign nor verify. " +
				"CKA_EXTRACTABLE is always false.",
			Source, "nethsm-pkcs11, backend/db/object.rs",
		},
		{
			"NoKeys", "The exponent of a template does not reach the device.",
			Source, "nethsm-pkcs11, backend/key.rs, generate_key_from_template",
		},
		{
			"IDs", "An ID has 1 to 128 of [A-Za-z0-9._-]. Others are kept in hexadecimal, and have at most 62 bytes.",
			Source, "nethsm-pkcs11, backend/key.rs",
		},
		{
			"LabelIsID", "The label reads back as the ID. The label of a template counts only without an ID.",
			Source, "nethsm-pkcs11, backend/key.rs and db/object.rs",
		},
		{
			"Refuses", "C_SetAttributeValue changes CKA_ID alone; everything else is CKR_ATTRIBUTE_READ_ONLY. " +
				"C_InitToken is not supported.",
			Source, "nethsm-pkcs11, api/object.rs and api/token.rs",
		},
		{
			"Usages", "RSA keys show sign and decrypt, EC keys sign and derive, whatever their template says. " +
				"CKA_LOCAL is false.",
			Source, "nethsm-pkcs11, backend/db/object.rs",
		},
		{
			"NoModifiable", "Every key shows CKA_MODIFIABLE=false, and takes a new ID.",
			Source, "nethsm-pkcs11, backend/db/object.rs",
		},
		{
			"OnePair", "Destroying a private half takes the public half and the certificate. Destroying a public " +
				"half hides it from this process alone.",
			Source, "nethsm-pkcs11, backend/session.rs, delete_object",
		},
		{
			"", "Making, renaming and destroying need the administrator, signing the operator. There is no " +
				"C_DeriveKey.",
			Source, "nethsm-pkcs11, backend/session.rs",
		},
		{"Commands", "nitropy nethsm has provision, add-user and factory-reset.", Guess, ""},
	},
	Setup: Setup{
		Library:     "libnethsm_pkcs11.so, wherever you put it",
		Environment: []string{"P11NETHSM_CONFIG_FILE: p11nethsm.conf"},
		PIN:         "none, with the passphrases of the operator and the administrator in p11nethsm.conf",
		Selector: "p11nethsm.conf gives the slot its label. Without the administrator, the serial number is " +
			"unknown.",
		Notes: []string{
			"Making and destroying keys needs the administrator, proving and using them the operator. Put both into " +
				"p11nethsm.conf: then no login is required.",
			"Rings of keys change labels, which a NetHSM does not have.",
		},
	},
}
