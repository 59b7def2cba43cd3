package hsmtest

// ownMakes has what the tests' own module for Windows lacks (cryptokitest/module/witness.c). Nobody else has that module.
var ownMakes = []Make{{Name: "witness", Version: "the tests' own module for Windows", Lacks: []Ability{
	TwoTokens, SecretKeys, CMAC, CheckValues, Exponents, OwnToken, SessionLoss, SameID, P224, P384, P521, Secp256k1, ECDH,
	Ed25519, MLDSA, OtherEyes, Tools,
}}}
