// Signs a JSON Web Token with a P-256 key that never leaves its token: ES256, RFC 7518.
package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/miekg/pkcs11"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: jwt KEY_ID")
	}
	jwt, err := sign(os.Args[1], `{"sub":"somebody"}`)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(jwt)
}

// sign makes a JWT of the claims with the key whose key_id is given, in hexadecimal.
func sign(keyID, claims string) (jwt string, err error) {
	id, err := hex.DecodeString(keyID)
	if err != nil {
		return "", err
	}
	module := pkcs11.New(os.Getenv("HSM_LIBRARY"))
	if module == nil {
		return "", errors.New("HSM_LIBRARY names no PKCS#11 module")
	}
	defer module.Destroy()
	if err := module.Initialize(); err != nil {
		return "", err
	}
	defer module.Finalize()

	slot, err := slotOf(module, os.Getenv("HSM_TOKEN_LABEL"))
	if err != nil {
		return "", err
	}
	session, err := module.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION)
	if err != nil {
		return "", err
	}
	defer module.CloseSession(session)
	if err := module.Login(session, pkcs11.CKU_USER, os.Getenv("HSM_PIN")); err != nil {
		return "", err
	}
	key, err := privateKey(module, session, id)
	if err != nil {
		return "", err
	}

	encode := base64.RawURLEncoding.EncodeToString
	// The kid of a key_id whose bytes are printable text is that text.
	header := fmt.Sprintf(`{"alg":"ES256","kid":%q}`, id)
	input := encode([]byte(header)) + "." + encode([]byte(claims))
	digest := sha256.Sum256([]byte(input))
	ecdsa := []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil)}
	if err := module.SignInit(session, ecdsa, key); err != nil {
		return "", err
	}
	signature, err := module.Sign(session, digest[:]) // r and s side by side, as JWS wants them
	if err != nil {
		return "", err
	}
	return input + "." + encode(signature), nil
}

// slotOf finds the token by its label: slot numbers change.
func slotOf(module *pkcs11.Ctx, label string) (uint, error) {
	slots, err := module.GetSlotList(true)
	if err != nil {
		return 0, err
	}
	for _, slot := range slots {
		if token, err := module.GetTokenInfo(slot); err == nil && strings.TrimRight(token.Label, " ") == label {
			return slot, nil
		}
	}
	return 0, fmt.Errorf("there is no token %q", label)
}

func privateKey(module *pkcs11.Ctx, session pkcs11.SessionHandle, id []byte) (pkcs11.ObjectHandle, error) {
	err := module.FindObjectsInit(session, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_ID, id),
	})
	if err != nil {
		return 0, err
	}
	defer module.FindObjectsFinal(session)
	keys, _, err := module.FindObjects(session, 2)
	if err != nil {
		return 0, err
	}
	if len(keys) != 1 {
		return 0, fmt.Errorf("%d private keys have the ID %x", len(keys), id)
	}
	return keys[0], nil
}
