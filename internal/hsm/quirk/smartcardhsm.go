package quirk

const (
	scHSMNoSecret = "OpenSC makes no secret keys on a SmartCard-HSM. Use sc-hsm-tool or the vendor's Smart Card Shell."
	scHSMNoEd     = "A SmartCard-HSM has no keys on Ed25519."
)

var smartCardHSM = Make{
	Name: "SmartCard-HSM", Versions: "OpenSC of August 2026, and so the Nitrokey HSM 2",
	Marks: []Mark{{Module: "OpenSC", Token: "www.CardContact.de"}},
	Differences: Differences{
		NoKeys: []NoKey{
			{Type: "aes", Says: scHSMNoSecret},
			{Type: "generic", Says: scHSMNoSecret},
			{Curve: "Ed25519", Attribute: "curve", Says: scHSMNoEd},
		},
		Refuses: map[Ask]string{
			ChangeUsage:   "OpenSC never changes what a key of a SmartCard-HSM can be used for. Make another key.",
			ChangeSecrecy: "OpenSC never changes whether a key of a SmartCard-HSM can be extracted.",
		},
		Follows: true,
		OnePair: true,
	},
	Evidence: []Evidence{
		{"Marks", "The token's manufacturer is www.CardContact.de.", Source, "OpenSC, pkcs15-sc-hsm.c"},
		{
			"NoKeys", "Pairs are RSA and EC. OpenSC generates no AES keys on the card.",
			Source, "OpenSC, framework-pkcs15.c, gen_keypair and pkcs15-sc-hsm.c",
		},
		{
			"Refuses", "C_SetAttributeValue changes CKA_LABEL and CKA_ID; everything else is CKR_ATTRIBUTE_READ_ONLY.",
			Source, "OpenSC, framework-pkcs15.c, pkcs15_set_attrib",
		},
		{
			"Follows", "A public half answers CKR_ARGUMENTS_BAD to a new label. Its label is the private half's.",
			Report, "OpenSC issue 1632",
		},
		{
			"OnePair", "Destroying a public half does nothing. The private half takes it along.",
			Source, "OpenSC, pkcs15-sc-hsm.c",
		},
		{
			"", "CKA_VERIFY, CKA_WRAP and CKA_ENCRYPT in a private template are CKR_ATTRIBUTE_TYPE_INVALID; so are " +
				"CKA_SIGN, CKA_UNWRAP and CKA_DECRYPT in a public one.",
			Source, "OpenSC, framework-pkcs15.c",
		},
		{"", "Private halves show no CKA_EC_POINT.", Source, "OpenSC, framework-pkcs15.c"},
		{"Library", "The library lies there.", Report, "users' configurations on Debian"},
	},
	Setup: Setup{
		Library:     "/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so",
		Environment: []string{"OPENSC_CONF: opensc.conf, which governs slots and locking"},
		PIN:         "6 to 15 characters. The card locks after three wrong ones.",
		Notes:       []string{"The SO PIN is 16 hexadecimal digits."},
	},
}
