// Package hsm finds, generates, changes and destroys keys on a token through PKCS#11, so that no key is lost and none
// is made twice. It knows nothing of Terraform and nothing of JWKs. The example opens a token, makes a key and finds
// it again.
//
// CKA_ID, in hex, says who a key is. The label is a name that may change. Where other programs made two keys with one
// ID, the fingerprint decides ([object.Ref]).
//
// A read that fails is repeated once on a fresh session. A failed change is never just repeated. Instead, the
// operation looks at what the token holds, puts it back or clears it away as far as it can, and says in an
// [OperationError] what is left.
//
// # Glossary
//
// Each thing has one name, here and in the packages below this one.
//
// The token:
//
//	module        a loaded PKCS#11 library
//	make          who made a module or a token; package quirk has the differences between makes
//	slot          where a module shows a token; slot numbers may change
//	token         what PKCS#11 calls so: a partition, a card, a folder of files; a Token is an open one
//	session       an open connection to a token; a lost one is never used again
//	handle        a number that means an object, in one session
//
// What it holds:
//
//	object        anything with a handle: one half of a key pair, a secret key, a certificate
//	key           a whole key: a key pair or a secret key
//	key pair      a key of two objects, its halves; "pair" for short
//	secret key    a key of one object; its kind is AES or generic
//	half          the private or the public object of a key pair
//	other half    of a half: the half with the same key
//	lone          of a half: its other half is missing
//	ID            CKA_ID: says who a key is
//	label         CKA_LABEL: the name of a key
//	fingerprint   tells keys apart: the SHA-256 of a pair's SubjectPublicKeyInfo, or a secret key's check value
//	check value   CKA_CHECK_VALUE of a secret key, as the token shows it or as the key computes it
//	usage         what a key may do, such as sign
//	spec          the row of a key type in the table of key types; other types and curves are unsupported
//
// How it is read:
//
//	search        C_FindObjects for an ID; a direct search asks the token although there may be a snapshot
//	inventory     what a token, or a part of it, holds, parsed and matched
//	matching      which objects of an ID make whole keys
//	snapshot      the inventory of a whole token, which all reads share
//	entry         a key object as a list shows it
//	proof         an operation that shows that the halves of a pair belong together, or that a secret key works
//	signer        signs with the private half of a pair that goes by its public key
//	way           how a token makes a signature: a scheme, a hash and a mechanism, which hashes by itself or does not
//	verdict       the answer to whether two things are the same: same, different or undecided
//
// What may be wrong with it:
//
//	malformed     of an object: an attribute makes no sense
//	unclassified  of an object: the token does not even show its class
//	torn          of an object: the token lost a part of it
//	blank         of an object: the token began to make it, and gave it neither a name nor a key
//	broken        of an ID: it has a malformed object, or is ambiguous
//	ambiguous     of an ID: several keys have it, or nothing shows which of its halves belong together
//
// What is done to it:
//
//	template      says which key to make
//	change        says what a key should become
//	rival         an object with the ID of a new key, made by somebody else at the same time
//	holding       what the token holds after an operation has failed
//	settling      going on for a moment after a context has ended, to leave things in order
package hsm
