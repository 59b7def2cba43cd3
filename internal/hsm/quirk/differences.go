package quirk

import "github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"

// Differences are what the operations ask of the table. The zero value is a token that keeps to the specification.
type Differences struct {
	// NoPublicUsage: the usage flags of a public half are neither written nor read.
	NoPublicUsage bool
	// OneSession: no more than one session is opened.
	OneSession bool
	// ShownTwice: what shows the same key under two handles is one object.
	ShownTwice bool
	// Torn: calls that look at objects and calls that write them are kept apart, and what reads as torn all the same is
	// looked at again.
	Torn bool
	// OneWriter: one process at a time makes, moves and destroys objects.
	OneWriter bool
	// Files is where the token's files lie, for the lock of OneWriter.
	Files Files
	// Blanks: a generation that failed is swept up behind.
	Blanks bool
	// Crowded: what is refused beside other generations is asked for once more with none beside it.
	Crowded bool
	// NoDates: CKA_START_DATE and CKA_END_DATE are not read.
	NoDates bool
	// SpareToken: a token that is not initialised is always there. Where there are several, the first one is taken.
	SpareToken bool
	// FactoryOfficerPIN is the PIN of the security officer of a token on which it is still to be changed.
	FactoryOfficerPIN string
	// NoErasure: a token that is initialised is not initialised once more.
	NoErasure bool
	// NoOfficer: there is no C_InitToken, and no security officer's PIN. A token has its label from elsewhere. Its user
	// has a PIN set once.
	NoOfficer bool
	// Kept: the module stays initialised until the process ends.
	Kept bool
	// Unshown: a token that is not shown is looked for again on a module that is initialised anew.
	Unshown bool
	// Hides: a token is the only one that matches if all that this user can read are shown.
	Hides bool

	// Making keys

	// PublicPrivate is CKA_PRIVATE of a new public half.
	PublicPrivate Written
	// NoPublicDerive: CKA_DERIVE of a new public half is false, whatever the pair is for.
	NoPublicDerive bool
	// Omits are attributes that no template for a new key has, and that the key is not asked for afterwards.
	Omits []cryptoki.AttributeType
	// Only are the attributes that the templates for a new key may have. nil: all. The public half's template is then
	// empty.
	Only []cryptoki.AttributeType
	// Generating are mechanisms that make keys in place of the usual one, in the order of choice: the first one that the
	// token offers is taken.
	Generating map[cryptoki.MechanismType][]cryptoki.MechanismType
	// Ed25519 is how the curve of a new key is named.
	Ed25519 EdwardsName
	// Algorithms are what a new key may be for, in place of its type, size and usage. nil: the make knows none of that.
	Algorithms *Algorithms
	// HMAC is how keys for HMAC are made. nil: as generic secrets.
	HMAC *HMAC
	// NoKeys are kinds of key that the token does not make, as far as its mechanisms do not tell.
	NoKeys []NoKey

	// Names

	// IDs and Labels are those that the token takes.
	IDs, Labels Names
	// LabelIsID: the label reads back as the ID, and has to be its text.
	LabelIsID bool

	// LabelPerSubject: certificates of different subjects have different labels.
	LabelPerSubject bool
	// CertificateOmits are attributes that no new certificate has.
	CertificateOmits []cryptoki.AttributeType

	// Changes

	// Refuses are what the token does not do, with the way that its vendor has for it: full sentences.
	Refuses map[Ask]string
	// Follows: what the private half gets as its label or ID, the public half gets too. It cannot be given it.
	Follows bool

	// What is not obeyed, and so is no fault

	// Usages are what keys of a type can be used for, whatever their template says, by the type's word ("RSA", "EC",
	// "Edwards", "aes", "generic"): words of usages. nil: the template counts.
	Usages map[string][]string

	// NoModifiable: CKA_MODIFIABLE is not read. It is false of every key, and keys can be changed all the same.
	NoModifiable bool

	// Destruction

	// OnePair: a pair is one object that shows itself as two. Who destroys the private half has destroyed both; the
	// public half alone cannot be destroyed, whatever the token answers.
	OnePair bool

	// Proofs

	// PointInDER: C_DeriveKey wants the other side's point as an OCTET STRING in DER.
	PointInDER bool
	// NoSessionObjects: session objects are not made. What needs them proves nothing.
	NoSessionObjects bool
	// EdDSA is the mechanism that signs by Ed25519; 0: CKM_EDDSA.
	EdDSA cryptoki.MechanismType
	// Unusable are mechanisms that are listed, and must not sign: the module crashes, and the process with it.
	Unusable []cryptoki.MechanismType

	// Reading

	// OneByOne: where the token refuses to read many attributes, each is asked for alone.
	OneByOne bool
	// Late: what others make or destroy is not seen at once. Absence is then no proof of destruction.
	Late bool

	// Pace

	// Busy are codes by which a function asks for patience, by the C function's name; "": every function that changes
	// nothing. The same call is made again later.
	Busy map[string][]cryptoki.RV

	// Login

	// NoLogin: nobody logs in, and CKA_PRIVATE says nothing of who may use a key.
	NoLogin bool
	// PIN is the form that a PIN must have. nil: any.
	PIN *PINForm
	// SharedLogin: the login is all programs' on the machine. So nothing logs out, and a PIN may not be checked.
	SharedLogin bool
}

// Written is how a flag is written in a template.
type Written int

// The ways to write a flag.
const (
	WrittenFalse Written = iota
	WrittenTrue
	Unwritten
)

// EdwardsName is how CKA_EC_PARAMS names Ed25519.
type EdwardsName int

// The names of Ed25519.
const (
	EdwardsPrintable EdwardsName = iota // the PrintableString "edwards25519" of PKCS#11 v3.0
	EdwardsOID                          // 1.3.101.112, RFC 8410
	EdwardsGNU                          // 1.3.6.1.4.1.11591.15.1
)

// Algorithms say what a key is for by a number in an attribute of the private half's template.
type Algorithms struct {
	Attribute cryptoki.AttributeType
	Known     []Algorithm
}

// Algorithm is one of them.
type Algorithm struct {
	Name   string // as the vendor has it
	Number uint
	Type   string // the key type's word: "RSA", "EC", "Edwards", "aes", "generic"
	Curve  string // JOSE's name
	Bits   int    // of RSA and secret keys
	Usage  string // the one word that such a key can be used for; of secret keys, of both directions
}

// HMAC is how a key for HMAC is made.
type HMAC struct {
	Mechanism cryptoki.MechanismType
	KeyType   uint // CKA_KEY_TYPE, written together with CKA_CLASS; 0: neither is written
	NoLength  bool // CKA_VALUE_LEN is not written
}

// NoKey is a kind of key: all that is set fits.
type NoKey struct {
	Type        string   // the key type's word; "": any
	Curve       string   // JOSE's name; "": any
	Exactly     []string // the usage is exactly these words
	With        []string // the usage has one of these words
	Extractable bool
	Exponent    bool   // the public exponent is another one than 65537
	Attribute   string // of the resource, that the plan points at
	Says        string // why not, and what to do: full sentences
}

// Names are IDs or labels that a token takes. The zero value takes all.
type Names struct {
	Assigned bool   // the token chooses it; what is configured is refused
	Unique   bool   // no two keys of the token have the same one
	Lasting  bool   // what a destroyed key had may be refused for good
	Least    int    // bytes
	Most     int    // bytes; 0: no bound
	Alphabet string // a regular expression for the whole of it, "" for any
	Says     string // the rule, as a full sentence for the plan
}

// Ask is something that may be asked of a token, and that some makes do not do.
type Ask string

// What may be asked.
const (
	ChangeLabel   Ask = "change of label"
	ChangeID      Ask = "change of ID"
	ChangeUsage   Ask = "change of usage"
	ChangeSecrecy Ask = "change of extractable or sensitive"
	Destroy       Ask = "destruction of a key"
	MakeToken     Ask = "initialisation of a token"
	SetPIN        Ask = "PIN for the user"
	EraseToken    Ask = "erasure of a token"

	WriteCertificate Ask = "writing of a certificate"
)

// PINForm is the form of a make's PINs.
type PINForm struct {
	Expression string // a regular expression for the whole PIN
	Says       string // the form, as a full sentence
}

// Files says how the folder of a token's files is found on this machine. The zero value is that nothing is known.
type Files struct {
	BySerial  bool   // by the serial number, in the folder that SoftHSM's configuration names
	Parameter string // by this word of the library's parameters
	Variable  string // the environment variable that the module takes its parameters from, where it is given none
	Path      string // it is always the same one
}
