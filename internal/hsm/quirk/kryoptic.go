package quirk

var kryoptic = Make{
	Name: "Kryoptic", Versions: "1.5.2",
	Marks: []Mark{{Module: "Kryoptic"}, {Token: "Kryoptic"}},
	Evidence: []Evidence{
		{"Marks", "Module and token call the manufacturer Kryoptic Project.", Source, "kryoptic, defaults.rs"},
		{"", "It keeps to the specification. EC points are raw by default.", Source, "kryoptic, config.rs"},
		{"", "All that the provider does works.", Guess, ""},
		{"Library", "The library lies there.", Report, "users' configurations on Fedora"},
	},
	Setup: Setup{
		Library:     "/usr/lib64/pkcs11/libkryoptic_pkcs11.so",
		Environment: []string{"KRYOPTIC_CONF: the configuration file. Without it, no token is there."},
		PIN:         "the token's user PIN",
	},
}
