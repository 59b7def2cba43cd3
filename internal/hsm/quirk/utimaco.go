package quirk

var utimaco = Make{
	Name: "Utimaco", Versions: "CryptoServer, PKCS#11 R3, SecurityServer 4.45",
	Marks: []Mark{{Module: "Utimaco"}, {Token: "Utimaco"}},
	Differences: Differences{
		Refuses: map[Ask]string{
			MakeToken: "A Utimaco slot is initialised with its own tool, after a login as administrator: p11tool2 " +
				"InitToken.",
			EraseToken: "A Utimaco slot is erased with its own tool, after a login as administrator: p11tool2 " +
				"InitToken.",
		},
	},
	Evidence: []Evidence{
		{"Marks", "The module's manufacturer begins with Utimaco.", Source, "xipki, vendor-utimaco.json"},
		{"Marks", "The token's manufacturer does too.", Guess, ""},
		{
			"Refuses", "C_InitToken follows a login of the administrator, which the PKCS#11 user types do not have.",
			Source, "a set-up script for the vendor's simulator, p11tool2",
		},
		{"", "CKU_CS_GENERIC, 0x83, logs in a user by name: user,password.", Source, "xipki, vendor-utimaco.json"},
		{"", "RSA pairs are made, and used, by Krill.", Report, "krill issue 732"},
		{"", "C_SetAttributeValue changes labels, IDs and usage flags.", Guess, ""},
		{"Library", "The library lies there.", Report, "users' configurations; others have put it elsewhere"},
		{"Commands", "p11tool2 has InitToken.", Source, "a set-up script for the vendor's simulator"},
	},
	Setup: Setup{
		Library:     "/opt/utimaco/lib/libcs_pkcs11_R3.so",
		Environment: []string{"CS_PKCS11_R3_CFG: the configuration file, which names the device"},
		PIN:         "the slot's user PIN. With user_type = \"0x83\": user,password.",
	},
}
