package quirk

import "github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"

// Mechanisms of Luna's own header, which make RSA pairs where FIPS 140 binds the HSM.
const (
	lunaAuxPrimes  cryptoki.MechanismType = 0x80000142 // CKM_RSA_FIPS_186_3_AUX_PRIME_KEY_PAIR_GEN
	lunaPrimePairs cryptoki.MechanismType = 0x80000143 // CKM_RSA_FIPS_186_3_PRIME_KEY_PAIR_GEN
)

var luna = Make{
	Name: "Thales Luna", Versions: "Luna 7 and DPoD, client 10.x",
	Marks: []Mark{{Module: "SafeNet", Description: "Chrystoki"}, {Module: "Thales", Description: "Chrystoki"}},
	Differences: Differences{
		Generating: map[cryptoki.MechanismType][]cryptoki.MechanismType{
			cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN: {lunaAuxPrimes, lunaPrimePairs, cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN},
		},
		Ed25519:    EdwardsGNU,
		PointInDER: true,
	},
	Evidence: []Evidence{
		{
			"Marks", "The module's manufacturer is SafeNet, its description Chrystoki.",
			Source, "xipki, vendor-luna.json",
		},
		{"Marks", "Newer clients may call the manufacturer Thales.", Guess, ""},
		{
			"Generating", "In FIPS mode, CKM_RSA_PKCS_KEY_PAIR_GEN is refused, and the mechanisms of FIPS 186-3 " +
				"make RSA pairs.",
			Document, "Keyfactor EJBCA, \"Thales Luna HSM\"; the numbers stand in Luna's header cryptoki_v2.h",
		},
		{"Ed25519", "Ed25519 is named by the OID 1.3.6.1.4.1.11591.15.1.", Source, "luna-kmu, p11.c"},
		{
			"PointInDER", "CKM_ECDH1_DERIVE wants the other side's point in DER.",
			Source, "xipki, vendor-luna.json (ECDH_DER_ECPOINT)",
		},
		{"", "A template for an AES key with CKA_SENSITIVE=false is refused.", Report, "node-webcrypto-p11 issue 63"},
		{
			"", "The crypto user logs in as a user type of the vendor's own.",
			Source, "luna-kmu, p11.c (CKU_CRYPTO_USER)",
		},
		{"", "C_SetAttributeValue changes labels, IDs and usage flags.", Guess, ""},
		{"Library", "The library lies there.", Report, "users' configurations, such as pkcs11js's"},
		{"Commands", "lunacm makes partitions and their users.", Guess, ""},
	},
	Setup: Setup{
		Library:     "/usr/safenet/lunaclient/lib/libCryptoki2_64.so",
		Environment: []string{"ChrystokiConfigurationPath: the folder of Chrystoki.conf"},
		PIN: "the crypto officer's password. The crypto user's needs user_type = \"0x80000001\", and makes " +
			"no keys.",
		Notes: []string{
			"Private keys can be extracted only from a partition of the type for key export.",
			"Partitions are made with lunacm (partition init, role init), not by PKCS#11.",
		},
	},
}
