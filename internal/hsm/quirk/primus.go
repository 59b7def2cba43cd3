package quirk

var primus = Make{
	Name: "Securosys Primus", Versions: "Primus PKCS#11 provider 2.x",
	Marks: []Mark{{Token: "Securosys"}, {Module: "Securosys"}},
	Differences: Differences{
		IDs:    Names{Lasting: true},
		Labels: Names{Lasting: true},
		Refuses: map[Ask]string{
			MakeToken:  "A partition of a Primus HSM is made on the HSM, not by PKCS#11.",
			SetPIN:     "The PIN of a Primus partition is set on the HSM, not by PKCS#11.",
			EraseToken: "A partition of a Primus HSM is erased on the HSM, not by PKCS#11.",
		},
		NoSessionObjects: true,
	},
	Evidence: []Evidence{
		{
			"Marks", "The token's manufacturer is Securosys SA, its model Primus HSM.",
			Document, "Securosys documentation, p11tool --list-tokens",
		},
		{"Marks", "The module's manufacturer is the same.", Guess, ""},
		{
			"IDs", "With Key Invalidation, a destroyed key leaves a shadow, so that its ID is refused.",
			Document, "Securosys documentation, pkcs",
		},
		{"Labels", "So is its label.", Document, "Securosys documentation, pkcs"},
		{"Refuses", "The PIN is set on the HSM.", Guess, "Securosys documentation, pkcs, has no other way"},
		{
			"NoSessionObjects", "Session objects need a policy of the partition, and are refused with 0x8000005F " +
				"without it.",
			Document, "Securosys documentation, pkcs",
		},
		{"", "C_SetAttributeValue changes labels, IDs and usage flags.", Guess, ""},
		{"Library", "The library lies there.", Document, "Securosys documentation, pkcs"},
	},
	Setup: Setup{
		Library: "/usr/local/primus/lib/libprimusP11.so",
		Environment: []string{
			"SECUROSYS_PKCS11_CONF: primus.cfg, where it is not in /etc/primus",
			"SECUROSYS_SECRETS_CONF: .secrets.cfg, where it is not in /etc/primus",
		},
		PIN: "the PKCS#11 password of the partition",
		Notes: []string{
			"Run ppin once, which fetches the permanent secret.",
			"Session objects, import and extraction are policies of the partition. Without session objects, a pair " +
				"that only derives cannot be proven.",
		},
	},
}
