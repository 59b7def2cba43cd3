package quirk

import "github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"

const azureUsers = "Azure Cloud HSM makes users with its own tool: azcloudhsm_mgmt_util createUser."

var azure = Make{
	Name: "Azure Cloud HSM", Versions: "documentation of March 2026",
	Marks: []Mark{{Module: "Marvell"}, {Token: "Marvell"}},
	Differences: Differences{
		Refuses: map[Ask]string{
			MakeToken:  "Azure Cloud HSM is initialised with its own tool: azcloudhsm_mgmt_util.",
			SetPIN:     azureUsers,
			EraseToken: "Azure Cloud HSM is deleted in Azure, not by PKCS#11.",
		},
		Busy: map[string][]cryptoki.RV{"": {cryptoki.CKR_DEVICE_ERROR}},
		PIN: &PINForm{`[^:]+:.+`, "The PIN of Azure Cloud HSM is the name and the password of a crypto " +
			"user, with a colon between them."},
		SharedLogin: true,
	},
	Evidence: []Evidence{
		{"Marks", "The HSM is Marvell's LiquidSecurity.", Guess, ""},
		{
			"Refuses", "Users and the cluster are set up with tools of the vendor's.",
			Guess, "Azure Cloud HSM documentation names the tools, and does not say that PKCS#11 refuses",
		},
		{"Busy", "HSMs are exchanged, and clients must try again.", Document, "Azure Cloud HSM documentation"},
		{"Busy", "The code is CKR_DEVICE_ERROR.", Guess, ""},
		{"PIN", "The PIN is user:password.", Document, "Azure Cloud HSM documentation"},
		{
			"SharedLogin", "azcloudhsm_client runs on the host, and all its programs share the login.",
			Document, "Azure Cloud HSM documentation",
		},
		{
			"", "C_CopyObject and C_SetAttributeValue are there. CKA_EXTRACTABLE is true unless a template says " +
				"otherwise.",
			Document, "Azure Cloud HSM documentation",
		},
		{"Library", "The library lies there.", Document, "Azure Cloud HSM documentation, PKCS#11 guide"},
		{"Commands", "azcloudhsm_mgmt_util makes users.", Document, "Azure Cloud HSM documentation"},
	},
	Setup: Setup{
		Library: "/opt/azurecloudhsm/lib64/libazcloudhsm_pkcs11.so",
		PIN:     "user:password of a crypto user",
		Notes: []string{
			"azcloudhsm_client must run on the machine. A wrong PIN may pass there while another program is logged in.",
			"It makes about one key a second, and holds 3,200 handles, two a pair.",
		},
	},
}
