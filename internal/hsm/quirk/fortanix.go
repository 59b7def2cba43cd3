package quirk

var fortanix = Make{
	Name: "Fortanix DSM", Versions: "support pages of 2026",
	Marks: []Mark{{Module: "Fortanix"}, {Token: "Fortanix"}},
	Differences: Differences{
		Labels: Names{Unique: true, Says: "A label on Fortanix DSM is the name of a security object, which no other " +
			"has in the account."},
		Refuses: map[Ask]string{
			MakeToken:  "Fortanix DSM has groups and apps in place of tokens. Make them in its web interface.",
			SetPIN:     "Fortanix DSM gives an app its API key in its web interface.",
			EraseToken: "Fortanix DSM deletes groups in its web interface.",
		},
	},
	Evidence: []Evidence{
		{"Marks", "The manufacturer begins with Fortanix.", Guess, ""},
		{"Labels", "Names of security objects are unique in an account.", Guess, ""},
		{
			"Refuses", "Groups and apps are made in the web interface.",
			Guess, "Fortanix, \"Clients: PKCS#11 Library\", has no other way",
		},
		{
			"", "An app's API key in pkcs11.conf, or as the PIN, is the credential.",
			Document, "Fortanix, \"DSM Accelerator PKCS#11 Developer Guide\"",
		},
		{
			"", "It has RSA of 1024 to 8192 bits, EC, Ed25519, AES and HMAC of 112 to 8192 bits.",
			Document, "Fortanix, \"Clients: PKCS#11 Library\"",
		},
		{"Library", "The library lies there.", Guess, ""},
	},
	Setup: Setup{
		Library: "/opt/fortanix/pkcs11/fortanix_pkcs11.so",
		PIN:     "an app's API key, or file:///PATH of pkcs11.conf",
		Notes:   []string{"The configuration file is /etc/fortanix/pkcs11.conf."},
	},
}
