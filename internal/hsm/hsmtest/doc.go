// Package hsmtest gives tests real tokens, independent witnesses, injected faults, and a stranger who has no PIN.
//
//	func TestMain(m *testing.M) { os.Exit(hsmtest.Main(m)) }
//
//	func TestX(t *testing.T) {
//		token := hsmtest.New(t) // a fresh SoftHSM token of its own
//		faults := &hsmtest.Faults{}
//		faults.Inject(hsmtest.Fault{Function: "C_GenerateKeyPair", Nth: 1, Code: cryptoki.CKR_DEVICE_ERROR, After: true})
//		... open the token with faults.Hook ...
//		token.Tool(t, "--list-objects") // what pkcs11-tool sees
//		hsmtest.NewStranger(t, token).SwapsPublicHalf(t, hsmtest.StrangerP256, "label", "6b31") // needs no PIN
//	}
//
//	func TestY(t *testing.T) {
//		hsmtest.Alone(t, func(t *testing.T, blank *hsmtest.Blank) { // in a process and a folder of its own, without a token
//			... hsm.Initialize(ctx, blank.Config(), ...) ...
//			blank.Token("label").Tool(t, "--list-objects")
//		})
//	}
//
// Faults are injected between cryptoki and the real module, so that what is on the token is always real.
package hsmtest
