package quirk

const (
	pivMakes = "The YubiKey's PIV module fixes the labels of its keys. Make the key with ykman piv keys generate, " +
		"and import it."
	pivChanges = "The YubiKey's PIV module changes nothing of a key."
)

var yubiKey = Make{
	Name: "YubiKey PIV", Versions: "ykcs11 2.7.2",
	Marks: []Mark{{Module: "Yubico", Description: "PKCS#11 PIV Library"}, {Token: "Yubico", Model: "YubiKey"}},
	Differences: Differences{
		NoKeys: []NoKey{{Says: pivMakes}},
		IDs: Names{
			Unique: true, Least: 1, Most: 1, Alphabet: "[\x01-\x19]",
			Says: "An ID on a YubiKey is one byte from 01 to 19: the number of a PIV slot.",
		},
		Labels: Names{Assigned: true, Says: "A label on a YubiKey is the name of a PIV slot."},
		Refuses: map[Ask]string{
			ChangeLabel: pivChanges, ChangeID: pivChanges, ChangeUsage: pivChanges, ChangeSecrecy: pivChanges,
			Destroy: "The YubiKey's PIV module removes a certificate, but never a key. Use ykman piv keys delete.",
			MakeToken: "The YubiKey's PIV module has no label and no token to make. Set its PINs with ykman piv " +
				"access.",
			SetPIN:     "The YubiKey's PIN is set with ykman piv access change-pin.",
			EraseToken: "The YubiKey's PIV application is reset with ykman piv reset.",
		},
	},
	Evidence: []Evidence{
		{
			"Marks", "The module's description begins with PKCS#11 PIV Library, the token's model with YubiKey.",
			Source, "ykcs11.c and token.c",
		},
		{
			"NoKeys", "The halves of a pair have labels of their own, which a template does not change. A new key " +
				"replaces the slot's old one.",
			Source, "ykcs11.c and objects.c",
		},
		{
			"IDs", "IDs are one byte, 1 to 25, and another one is CKR_ATTRIBUTE_VALUE_INVALID.",
			Source, "objects.c, check_pvtkey_template",
		},
		{"Labels", "Labels are those of the slots.", Source, "objects.c"},
		{
			"Refuses", "There is no C_SetAttributeValue and no C_InitPIN. C_DestroyObject removes the certificate, " +
				"and the key stays. C_InitToken resets the application.",
			Source, "ykcs11.c",
		},
		{
			"", "Making and destroying need the security officer, whose PIN is the management key in hexadecimal.",
			Source, "ykcs11.c",
		},
		{"", "There is no C_GenerateKey.", Source, "ykcs11.c"},
		{"Library", "The library lies there.", Guess, ""},
		{"Commands", "ykman piv has keys generate, keys delete, access change-pin and reset.", Document, "ykman, manual"},
	},
	Setup: Setup{
		Library:  "/usr/lib/x86_64-linux-gnu/libykcs11.so.2",
		PIN:      "the PIV PIN of 6 to 8 characters",
		Argument: "token_serial",
		Selector: "The label is YubiKey PIV # and the serial number.",
		Notes:    []string{"It is for reading, importing and publishing keys that ykman has made."},
	},
}
