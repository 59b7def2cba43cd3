// Package hsm is what a token holds and what can be done to it: finding, generating, changing and destroying
// keys through PKCS#11, so that none is lost and none is made twice. It knows nothing of Terraform, and
// nothing of JWKs.
//
//	token, err := hsm.Open(ctx, hsm.Config{
//		Library:  "/usr/lib/softhsm/libsofthsm2.so",
//		Selector: hsm.Selector{Label: &label},
//		PIN:      hsm.NewPIN(pin),
//	})
//	...
//	defer token.Close()
//	pair, err := token.Generate(ctx, hsm.Template{Type: hsm.RSA, Label: "web", ModulusBits: 4096, PublicExponent: 65537, Usage: hsm.Sign})
//	pair, err = token.WholeKey(ctx, hsm.Ref{Type: hsm.RSA, ID: pair.ID})
//	if errors.Is(err, hsm.ErrNotFound) { // proven: nothing of that ID is there
//
// Who a key is: its CKA_ID, in hex; the label is a name that may change. Where others made two pairs of one
// ID, the fingerprint of the public key decides ([Ref]). A secret key has its check value for that, which few others
// have, where the token shows it or the key may encrypt.
//
// A read that fails is repeated once on a fresh session. A failed change is never blindly repeated: it looks
// at what the token holds, puts back or clears away what it can, and says in an [OperationError] what is left.
package hsm
