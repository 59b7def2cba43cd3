// Package hsm is what can be done to a token: finding, generating, changing and destroying keys through PKCS#11, so that
// none is lost and none is made twice. It knows nothing of Terraform, and nothing of JWKs. The example shows how a token is
// opened, and a key made and found again.
//
// Who a key is: its CKA_ID, in hex; the label is a name that may change. Where others made two keys with one ID, the
// fingerprint decides ([object.Ref]).
//
// A read that fails is repeated once on a fresh session. A failed change is never blindly repeated: it looks at what the
// token holds, puts back or clears away what it can, and says in an [OperationError] what is left.
//
// # Glossary
//
// Each thing has one name, here and in the packages below this one.
//
//	token          what PKCS#11 calls so: a partition, a card, a SoftHSM token; Token is an open one
//	slot           where a module shows a token; its number is no identity
//	module         a loaded PKCS#11 library; make: who made the module or the token, as package quirk knows them
//	object         what has a handle: half a key pair, a secret key, a certificate
//	handle         a number for an object, good for the session that got it
//	half           the private or the public object of a key pair; its other half is the one that shows the same key
//	key            a whole key: a pair of two halves, or a secret key, which is one object
//	key pair       a key of two halves
//	lone           of a half: its other half is not there
//	ID             CKA_ID, the identity of a key; label: CKA_LABEL, its name
//	fingerprint    what tells a key from others: SHA-256 of a public key's SubjectPublicKeyInfo, a secret key's check value
//	spec           a row of the table of key types; kind: AES or generic
//	template       what key to make; change: what is to become of one
//	inventory      what a token holds, parsed and matched; snapshot: the inventory of the whole token that reads share
//	search         C_FindObjects for an ID; direct where it passes the snapshot by
//	proof          an operation that shows that halves belong together; its verdict is same, different or undecided
//	malformed      of an object: an attribute makes no sense; broken: an ID of which something is malformed or ambiguous
//	torn           of an object: SoftHSM lost a part of it; blank: SoftHSM left it without name and key
//	unclassified   of an object: not even its class can be read
//	unsupported    of a key: of a type or on a curve that is not in the table
//	found beside   others: objects of the same ID that this operation did not make
//	rival          a key that somebody else made with the same ID at the same time
//	settling       going on for a moment after a context has ended, to leave things in order
package hsm
