// Package quirk is the table of what makes of module and token do differently from the specification, or from each
// other, as far as keys are concerned: a row each, with the versions that it was seen with, what was seen, what is done
// about it, and the test that shows it. What the operations ask for is data ([Differences]), never a make's name.
//
//	differences := quirk.Of(moduleInfo, tokenInfo)
//	if differences.OneSession { ... }
package quirk

import "github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"

// Row is one thing that a make does differently.
type Row struct {
	Make     string // its name
	Versions string // those in which it was seen
	Seen     string // what it does
	Done     string // what is done about it
	Test     string // the test that shows it

	// The make is recognised by one of these. A row that has neither holds for everyone: what it takes is harmless for
	// tokens that do not need it.
	Module string           // manufacturer of the module (C_GetInfo)
	Token  string           // manufacturer of the token (C_GetTokenInfo), where a module may pass on another one's tokens
	Before cryptoki.Version // only in modules of earlier versions than this one; the zero value: in all

	set func(*Differences)
}

const (
	tpm2    = "tpm2-software.github.io"
	ibm     = "IBM"
	softHSM = "SoftHSM project"
	mozilla = "Mozilla Foundation"
)

// Rows is the table.
var Rows = []Row{
	{
		Make: "tpm2-pkcs11", Versions: "1.9", Module: tpm2,
		Seen: "The usage flags of a public half are crossed with those of the private half: CKA_VERIFY wants the private half to decrypt, CKA_ENCRYPT wants it to sign. A template that has them is refused.",
		Done: "They are neither written nor read.",
		Test: "TestEveryMake",
		set:  func(d *Differences) { d.NoPublicUsage = true },
	},
	{
		Make: "tpm2-pkcs11", Versions: "1.9, 1.9.1", Module: tpm2,
		Seen: "An RSA key that may sign and not decrypt is made, and C_Sign answers CKR_GENERAL_ERROR. C_DestroyObject then " +
			"answers CKR_FUNCTION_FAILED as long as the process lasts. Other keys are refused by CKR_GENERAL_ERROR, " +
			"CKR_ATTRIBUTE_VALUE_INVALID, CKR_CURVE_NOT_SUPPORTED or CKR_FUNCTION_NOT_SUPPORTED, although the mechanisms are listed.",
		Done: "They are refused in the plan.",
		Test: "TestEveryMakeIsNotAskedForWhatItDoesNotMake",
		set: func(d *Differences) {
			const decrypts = "On this token an RSA key signs only if it may decrypt too: add decrypt to usage."
			const stays = "This token makes no keys that can leave it: leave extractable out."
			d.NoKeys = []NoKey{
				{Type: "RSA", Exactly: []string{"sign"}, Attribute: "usage", Says: decrypts},
				{Type: "RSA", Exactly: []string{"sign", "unwrap"}, Attribute: "usage", Says: decrypts},
				{Type: "RSA", Exactly: []string{"unwrap"}, Attribute: "usage",
					Says: "On this token an RSA key unwraps only if it may decrypt too: add decrypt to usage."},
				{Type: "RSA", Exponent: true, Attribute: "public_exponent",
					Says: "This token makes RSA keys with the public exponent 65537 alone: leave public_exponent out."},
				{Extractable: true, Attribute: "extractable", Says: stays},
				{Type: "EC", Exactly: []string{"derive"}, Attribute: "usage",
					Says: "On this token a key on a curve derives only if it may sign too: add sign to usage."},
				{Type: "EC", Curve: "secp256k1", Attribute: "curve",
					Says: "This token makes keys on P-256 and P-384: take one of these curves."},
				{Type: "EC", Curve: "P-521", Attribute: "curve",
					Says: "This token makes keys on P-521 and cannot sign with them, since it encodes their points wrongly: " +
						"take P-256 or P-384."},
				{Type: "aes", Says: "This token makes no secret keys, although it lists their mechanism: take another token for them."},
			}
		},
	},
	{
		Make: "tpm2-pkcs11", Versions: "1.9.1", Module: tpm2,
		Seen: "While another process writes to the store, C_DestroyObject answers CKR_GENERAL_ERROR (\"database is locked\").",
		Done: "The object is destroyed a little later.",
		Test: "TestADestructionWaitsForALockedStore",
		set: func(d *Differences) {
			d.Busy = map[string][]cryptoki.RV{"C_DestroyObject": {cryptoki.CKR_GENERAL_ERROR}}
		},
	},
	{
		Make: "openCryptoki", Versions: "3.8.1; not 3.23 and 3.27", Module: ibm, Before: cryptoki.Version{Major: 3, Minor: 23},
		Seen: "C_DestroyObject crashes the process where another session destroys too.",
		Done: "There is one session.",
		Test: "TestEveryMakeDestroysManyKeysAtATime",
		set:  func(d *Differences) { d.OneSession = true },
	},
	{
		Make: "openCryptoki", Versions: "3.8.1", Module: ibm,
		Seen: "C_Finalize closes the number of a file (LCK..APIlock) that is opened once a process. From the second " +
			"time on the number is another file's: a connection's to Terraform, which then waits for ever.",
		Done: "The module stays initialised until the process ends.",
		Test: "TestEveryMakeClosesNoFileOfOthers",
		set:  func(d *Differences) { d.Kept = true },
	},
	{
		Make: "openCryptoki", Versions: "3.8.1", Module: ibm,
		Seen: "Objects that a process makes at the same time are shown to it twice, under two handles.",
		Done: "What shows the same key, name and flags is taken for one object.",
		Test: "TestAnObjectThatIsShownTwiceIsOne",
		set:  func(d *Differences) { d.ShownTwice = true },
	},
	{
		Make: "openCryptoki", Versions: "3.8.1", Module: ibm,
		Seen: "Secret keys show no check value. So of two processes that make keys with the same ID, none can tell which of " +
			"them is to keep its key, and both give way.",
		Done: "One process of a machine writes at a time. The lock lies with openCryptoki's own locks, which those of its " +
			"group share.",
		Test: "TestTwoProcessesMakeTheSameID",
		set: func(d *Differences) {
			d.OneWriter, d.Files = true, Files{Path: "/var/lock/opencryptoki"}
		},
	},
	{
		Make: "SoftHSM", Versions: "2.6.1", Token: softHSM,
		Seen: "An object's file is locked against other processes, but not against the process's other threads, and each search reads all files that changed. A search beside a write reads half an object: the " +
			"process then loses sight of it, or an attribute is lost for good.",
		Done: "Package softhsm: a gate keeps what looks and what writes apart, an absence counts if two searches show it, and what is torn all the same is read again or cleared away.",
		Test: "TestChangingBesideSearches",
		set:  func(d *Differences) { d.Torn = true },
	},
	{
		Make: "SoftHSM", Versions: "2.6.1", Token: softHSM,
		Seen: "A process that has just written an object does not see what another process wrote at the same time, so that both find an ID free, make it, and see nobody's key but their own.",
		Done: "Package softhsm: one process writes at a time, whatever its user: the lock lies in the token's folder. And " +
			"the module is made to look at the files again before a look decides who keeps an ID.",
		Test: "TestTwoUsersMakeTheSameID",
		set:  func(d *Differences) { d.OneWriter, d.Files = true, Files{BySerial: true} },
	},
	{
		Make: "SoftHSM", Versions: "2.6.1", Token: softHSM,
		Seen: "A generation writes objects that have no attributes but the defaults before it gives them their own. One that fails leaves them in the token's files, as session objects of nobody.",
		Done: "Package softhsm: they are swept away.",
		Test: "TestWhatAFailedGenerationLeavesIsSweptAway",
		set:  func(d *Differences) { d.Blanks = true },
	},
	{
		Make: "SoftHSM", Versions: "2.6.1", Token: softHSM,
		Seen: "A private or secret key with a date cannot be read: C_GetAttributeValue that asks for CKA_START_DATE or " +
			"CKA_END_DATE answers CKR_GENERAL_ERROR, since the date is stored in the clear and read as if it were encrypted.",
		Done: "Dates are not read.",
		Test: "TestADateHidesNoKey",
		set:  func(d *Differences) { d.NoDates = true },
	},
	{
		Make: "SoftHSM", Versions: "2.6.1", Token: softHSM,
		Seen: "A certificate with a CKA_CHECK_VALUE is refused by CKR_GENERAL_ERROR.",
		Done: "It is written without one.",
		Test: "TestACertificateHasAllItsAttributes",
		set: func(d *Differences) {
			d.CertificateOmits = []cryptoki.AttributeType{cryptoki.CKA_CHECK_VALUE}
		},
	},
	{
		Make: "SoftHSM", Versions: "2.6.1", Token: softHSM,
		Seen: "A token whose file another process writes, as each login does, while this one initialises the module, is " +
			"not shown, or C_GetTokenInfo answers CKR_GENERAL_ERROR for it, until the module is initialised anew.",
		Done: "Where no token matches, the module is initialised anew, up to three times.",
		Test: "TestATokenThatIsNotShownIsLookedForAgain",
		set:  func(d *Differences) { d.Unshown = true },
	},
	{
		Make: "SoftHSM", Versions: "2.6.1", Module: "SoftHSM",
		Seen: "So where two tokens match, one may be shown, and pass for the only one.",
		Done: "Unless the serial number or the slot is given, the module is initialised anew, up to three times, " +
			"until it shows all tokens whose files this user can read.",
		Test: "TestATokenThatIsHiddenIsNoReasonToTakeAnother",
		set:  func(d *Differences) { d.Hides = true },
	},
	{
		Make: "SoftHSM", Versions: "2.6.1", Token: softHSM,
		Seen: "Of several generations at the same time, one is refused now and then as if its template made no sense.",
		Done: "It is asked for once more, with no other generation beside it: alone, a template gets its true answer.",
		Test: "TestWhatIsRefusedInACrowdIsAskedForAlone",
		set:  func(d *Differences) { d.Crowded = true },
	},

	{
		Make: "SoftHSM", Versions: "2.6.1", Token: softHSM,
		Seen: "One slot always has a token that is not initialised; where it is, a new one comes up behind. Its " +
			"flags say that its SO PIN is locked.",
		Done: "The first such token is taken. The flags of a PIN count only where a token is initialised.",
		Test: "TestABlankSlotBecomesAToken",
		set:  func(d *Differences) { d.SpareToken = true },
	},
	{
		Make: "tpm2-pkcs11", Versions: "1.9, 1.9.1", Module: tpm2,
		Seen: "C_Sign by CKM_RSA_PKCS_PSS, which is listed, answers CKR_MECHANISM_INVALID, or jumps to address 0, which " +
			"ends the process.",
		Done: "The mechanism is not used. RSASSA-PSS is made by the mechanisms that hash by themselves, of a message and " +
			"not of a digest.",
		Test: "TestEveryMakeSigns",
		set:  func(d *Differences) { d.Unusable = []cryptoki.MechanismType{cryptoki.CKM_RSA_PKCS_PSS} },
	},
	{
		Make: "tpm2-pkcs11", Versions: "1.9", Module: tpm2,
		Seen: "C_InitToken answers CKR_ARGUMENTS_BAD for a token that is initialised.",
		Done: "Such a token is not erased: the error says so, and no PIN is sent.",
		Test: "TestEveryMakeFromBlank",
		set:  func(d *Differences) { d.NoErasure = true },
	},
	{
		Make: "openCryptoki", Versions: "3.8.1", Module: ibm,
		Seen: "C_InitToken wants the PIN of the security officer that every token comes with, and the token keeps " +
			"it. C_SetPIN takes every other one in its place.",
		Done: "It is given that PIN, and then gets the configured one, as long as its flags say that the PIN is to " +
			"be changed.",
		Test: "TestEveryMakeFromBlank",
		set:  func(d *Differences) { d.FactoryOfficerPIN = "87654321" },
	},
	{
		Make: "openCryptoki", Versions: "3.8.1; 3.2x in its source", Module: ibm,
		Seen: "C_InitToken of a token whose security officer has another PIN than the first one answers CKR_OK, and " +
			"leaves a token that no security officer can log in to: its master key is locked with the first PIN " +
			"again, which is refused. Nothing but the removal of its files helps.",
		Done: "Such a token is not erased: the error says so, and no PIN is sent.",
		Test: "TestEveryMakeFromBlank",
		set:  func(d *Differences) { d.NoErasure = true },
	},
	{
		Make: "NSS", Versions: "3.87.1", Module: mozilla,
		Seen: "A certificate with the label of one of another subject is refused by CKR_ATTRIBUTE_VALUE_INVALID.",
		Done: "It is refused before, with what has the label.",
		Test: "TestALabelIsForOneSubject",
		set:  func(d *Differences) { d.LabelPerSubject = true },
	},
	{
		Make: "NSS", Versions: "3.87", Module: mozilla,
		Seen: "On a database without a PIN, C_InitToken does nothing, and the security officer logs in with an " +
			"empty PIN, once; with one, C_InitToken erases the private keys whatever PIN it is given. The label is " +
			"dbTokenDescription's.",
		Done: "C_InitToken is never called. The user gets the PIN once, and nothing is erased.",
		Test: "TestEveryMakeFromBlank",
		set:  func(d *Differences) { d.NoOfficer = true },
	},
	{
		Make: "NSS", Versions: "3.87, 3.110, 3.132", Module: mozilla,
		Seen: "Two sessions in C_DestroyObject at a time wait for each other for ever.",
		Done: "There is one session.",
		Test: "TestEveryMakeDestroysManyKeysAtATime",
		set:  func(d *Differences) { d.OneSession = true },
	},
	{
		Make: "NSS", Versions: "3.87", Module: mozilla,
		Seen: "A new key silently replaces the old one of its kind that has the same CKA_ID: of two processes that both find " +
			"an ID free, the second one's key takes the place of the first one's.",
		Done: "One process of a machine writes at a time, and looks whether the ID is free when its turn has come. The lock " +
			"lies in the database's folder, where the parameters name it, or NSS_LIB_PARAMS in their place.",
		Test: "TestTwoProcessesMakeTheSameID",
		set: func(d *Differences) {
			d.OneWriter, d.Files = true, Files{Parameter: "configdir", Variable: "NSS_LIB_PARAMS"}
		},
	},
	{
		Make: "NSS", Versions: "3.110, 3.132", Module: mozilla,
		Seen: "Ed25519 is known by the OID 1.3.101.112 alone, though a private half shows the printable name.",
		Done: "The curve of a new key is named by its OID.",
		Test: "TestEd25519ByOID",
		set:  func(d *Differences) { d.Ed25519 = EdwardsOID },
	},

	{
		Make: "openCryptoki", Versions: "3.27", Module: ibm,
		Seen: "C_GenerateKeyPair answers CKR_CURVE_NOT_SUPPORTED where Ed25519 has its printable name, and takes the OID.",
		Done: "The curve of a new key is named by its OID.",
		Test: "TestEveryMake",
		set:  func(d *Differences) { d.Ed25519 = EdwardsOID },
	},

	{
		Make: "NSS", Versions: "3.110, 3.132",
		Seen: "C_Sign by an Ed25519 key asks for a buffer of 144 bytes, and signs into one of 64 alone.",
		Done: "The buffer has 64 bytes on every token: the length of such a signature.",
		Test: "TestEd25519ByOID",
	},
	{
		Make: "tpm2-pkcs11", Versions: "1.9",
		Seen: "The flags of a token that was just initialised say that its user has a PIN, which is not so: C_Login " +
			"answers CKR_USER_PIN_NOT_INITIALIZED.",
		Done: "Where a token of the label is there and shows nothing, a login shows whether its user has a PIN.",
		Test: "TestEveryMakeFromBlank",
	},
	{
		Make: "SoftHSM, tpm2-pkcs11", Versions: "2.6.1, 1.9",
		Seen: "A login while the process is logged in answers CKR_USER_ALREADY_LOGGED_IN, whatever the PIN.",
		Done: "A second PIN for a token that the process is logged in to is refused without asking the token.",
		Test: "TestAWrongPINIsSentOnce",
	},
	{
		Make: "SoftHSM", Versions: "2.6.1",
		Seen: "An Ed25519 point is DER, where the specification has the bare bytes; EC points come in either form from others.",
		Done: "Package publickey reads both forms.",
		Test: "TestParseECReadsEachFormOfParametersAndPoint",
	},
	{
		Make: "openCryptoki", Versions: "3.8.1",
		Seen: "Bounds of AES mechanisms are told in bytes, as the specification has it; others tell bits.",
		Done: "Bounds that can be no bits are taken for bytes.",
		Test: "TestTheBoundsOfAESKeysAreInBytes",
	},
	{
		Make: "NSS", Versions: "3.87, 3.110, 3.132",
		Seen: "A number attribute that is asked for with a buffer of more than 8 bytes answers CKR_BUFFER_TOO_SMALL.",
		Done: "Package cryptoki gives numbers what they need and no more.",
		Test: "TestEveryMake",
	},
	{
		Make: "NSS", Versions: "3.87",
		Seen: "C_Initialize wants a text, where CK_C_INITIALIZE_ARGS has pReserved. Without one it answers " +
			"CKR_ARGUMENTS_BAD.",
		Done: "The provider's library_parameters are handed to it.",
		Test: "TestAModuleThatWantsParameters",
	},
	{
		Make: "NSS", Versions: "3.87",
		Seen: "CKA_LOCAL is false of keys that it made itself.",
		Done: "What a token claims of a key's past is shown, and decides nothing.",
		Test: "TestEveryMake",
	},
}

// Of gives what is different about a token, reached through a module: what its Make says, and what the Rows add.
func Of(module cryptoki.Info, token cryptoki.TokenInfo) (d Differences) {
	if m := MakeOf(module, token); m != nil {
		d = m.Differences
	}
	for _, row := range Rows {
		if row.set != nil && row.holds(module, token) {
			row.set(&d)
		}
	}
	return d
}

func (r Row) holds(module cryptoki.Info, token cryptoki.TokenInfo) bool {
	made := r.Module != "" && r.Module == module.Manufacturer || r.Token != "" && r.Token == token.Manufacturer
	return made && (r.Before == cryptoki.Version{} || module.Version.Before(r.Before))
}
