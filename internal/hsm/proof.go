package hsm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // OAEP's hash, which every token with OAEP has; nothing rests on collisions
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// proof is an operation that shows that a key is one, for those with a usage that allows it: that the two halves of a
// pair belong together, or that a secret key undoes what it does.
type proof struct {
	usage Usage
	prove func(ctx context.Context, s *cryptoki.Session, pair WholeKey) error
}

// proofText is what proofs sign: a fixed text of this provider's own, which names the key. A signature over
// anything random could later be taken for a signature over something else.
func proofText(pair WholeKey) []byte {
	if pair.PublicKey == nil {
		return fmt.Appendf(nil, "terraform-provider-hsm: the secret key %s verifies what it signs", FormatID(pair.ID))
	}
	return fmt.Appendf(nil, "terraform-provider-hsm: the two halves of key pair %s belong together", FormatID(pair.ID))
}

// errDisproved: the operation went through, and its result is another key's.
var errDisproved = errors.New("the proof has failed")

// unproven is the problem of halves that cannot be shown to be one key.
const unproven = "that the two halves belong together cannot be proven: the private half shows nothing of its key, and the token offers no operation that its usage allows"

// prove makes sure that the halves belong together: by an operation, or by what the private half shows of its key
// where the token offers none. A key that is one object has no halves that could be of two keys: where its usage
// allows no operation, or the token offers none, it is taken for what its attributes say. Errors: *VerifyError, or the token's failure.
func (t *Token) prove(ctx context.Context, kt *keyType, pair WholeKey) error {
	result, refusal, err := t.operate(ctx, kt, pair)
	switch {
	case err != nil || result == same:
		return err
	case result == different:
		return &VerifyError{Problems: []string{kt.disproved}}
	case kt.belong(pair.private, pair.public) == same:
		return nil
	case refusal != nil:
		return &VerifyError{Problems: []string{fmt.Sprintf("%s (%v)", unproven, refusal)}}
	}
	return &VerifyError{Problems: []string{unproven}}
}

// operate makes the first proof that the usage allows and the token offers; unknown where there is none, with what
// the token said of those that it refused.
func (t *Token) operate(ctx context.Context, kt *keyType, pair WholeKey) (result verdict, refusal, err error) {
	for _, p := range kt.proofs {
		if !pair.Usage.Has(p.usage) {
			continue
		}
		err := t.read(ctx, func(s *cryptoki.Session) error { return p.prove(ctx, s, pair) })
		switch {
		case err == nil:
			return same, nil, nil
		case errors.Is(err, errDisproved):
			return different, nil, nil
		case !notOffered(err):
			return unknown, nil, err
		}
		refusal = errors.Join(refusal, err) // this token lacks the mechanism, or some part of it
	}
	return unknown, refusal, nil
}

// Fingerprinted gives the key with its fingerprint. That of a secret key is computed where the token does not show it,
// if the key's usage allows it and the token offers it. That the key's handle still means it is made sure of in the same
// session: the value of another key would vouch for it.
func (t *Token) Fingerprinted(ctx context.Context, key WholeKey) (WholeKey, error) {
	kt := typeOf(key.private.ckk)
	if key.fingerprint != "" || kt.check == nil || !key.Usage.Has(Encrypt) {
		return key, nil
	}
	var value []byte
	err := t.read(ctx, func(s *cryptoki.Session) (err error) {
		now, err := t.readObject(ctx, s, key.private.handle)
		if err != nil {
			return err
		}
		if !sameObject(key.private, now) {
			return s.Abandon(&cryptoki.Error{Function: "C_GetAttributeValue", Code: cryptoki.CKR_OBJECT_HANDLE_INVALID})
		}
		value, err = kt.check(ctx, s, key.private.handle)
		return err
	})
	switch {
	case err == nil:
		key.fingerprint = hex.EncodeToString(value)
	case cryptoki.InvalidHandle(err) || !notOffered(err):
		return WholeKey{}, err
	}
	return key, nil
}

// notOffered says that the token answered that it does not do this with the key, or only after a login of the key's own.
func notOffered(err error) bool {
	return cryptoki.Refused(err) || errors.Is(err, cryptoki.CKR_USER_NOT_LOGGED_IN)
}

// Prove makes sure that the halves of a pair belong together where their attributes do not show it, as on
// tokens whose private halves have no CKA_EC_POINT: those are one pair by their ID alone. proven is false where the
// token offers no operation that the pair's usage allows. Errors: *MalformedError where the halves do not belong
// together, or the token's failure.
func (t *Token) Prove(ctx context.Context, pair WholeKey) (proven bool, err error) {
	kt := typeOf(pair.private.ckk)
	if kt.belong(pair.private, pair.public) == same {
		return true, nil
	}
	result, _, err := t.operate(ctx, kt, pair)
	if result == different {
		err = &MalformedError{Object: pair.private.name(), Err: fmt.Errorf("it does not belong together with the other half of its ID, the %s", pair.public.name())}
	}
	return result == same, err
}

// sha256Prefix is the DER of DigestInfo before a SHA-256 digest (RFC 8017, 9.2).
var sha256Prefix = []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}

// proveRSASignature verifies here what the private half signs (RSASSA-PKCS1-v1_5 with SHA-256).
func proveRSASignature(ctx context.Context, s *cryptoki.Session, pair WholeKey) error {
	digest := sha256.Sum256(proofText(pair))
	signature, err := s.Sign(ctx, cryptoki.Mechanism{Type: cryptoki.CKM_RSA_PKCS}, pair.private.handle, append(bytes.Clone(sha256Prefix), digest[:]...))
	if err != nil {
		return err
	}
	if rsa.VerifyPKCS1v15(pair.PublicKey.(*rsa.PublicKey), crypto.SHA256, digest[:], signature) != nil {
		return errDisproved
	}
	return nil
}

// proveRSADecryption decrypts in the token what is encrypted here (RSAES-OAEP).
func proveRSADecryption(ctx context.Context, s *cryptoki.Session, pair WholeKey) error {
	secret := make([]byte, 16)
	_, _ = rand.Read(secret) // never fails
	//nolint:gosec // see the import
	sealed, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, pair.PublicKey.(*rsa.PublicKey), secret, nil)
	if err != nil {
		return fmt.Errorf("%w: %w", errDisproved, err)
	}
	opened, err := s.Decrypt(ctx, cryptoki.OAEP(), pair.private.handle, sealed)
	if err != nil {
		return err
	}
	if !bytes.Equal(opened, secret) {
		return errDisproved
	}
	return nil
}

// proveECDSA verifies here what the private half signs (ECDSA with SHA-256, whatever the curve).
func proveECDSA(ctx context.Context, s *cryptoki.Session, pair WholeKey) error {
	digest := sha256.Sum256(proofText(pair))
	return proveSignature(ctx, s, pair, cryptoki.CKM_ECDSA, digest[:])
}

// proveEdDSA verifies here what the private half signs (Ed25519 itself, with neither a context nor a digest before it).
func proveEdDSA(ctx context.Context, s *cryptoki.Session, pair WholeKey) error {
	return proveSignature(ctx, s, pair, cryptoki.CKM_EDDSA, proofText(pair))
}

func proveSignature(ctx context.Context, s *cryptoki.Session, pair WholeKey, mechanism cryptoki.MechanismType, input []byte) error {
	signature, err := s.Sign(ctx, cryptoki.Mechanism{Type: mechanism}, pair.private.handle, input)
	if err != nil {
		return err
	}
	if !publickey.Verify(pair.PublicKey, proofText(pair), signature) {
		return errDisproved
	}
	return nil
}

// proveAgreement has the token agree on a secret with a key pair made here (ECDH), and reads it. The secret protects
// nothing, and is a session object, which dies with the session at the latest.
func proveAgreement(ctx context.Context, s *cryptoki.Session, pair WholeKey) error {
	point, secret, err := publickey.Agree(pair.PublicKey)
	if err != nil {
		return fmt.Errorf("%w: %w", errDisproved, err)
	}
	derived, err := s.DeriveKey(ctx, cryptoki.ECDH1(point), pair.private.handle, []cryptoki.Attribute{
		cryptoki.ULong(cryptoki.CKA_CLASS, cryptoki.CKO_SECRET_KEY), cryptoki.ULong(cryptoki.CKA_KEY_TYPE, cryptoki.CKK_GENERIC_SECRET),
		cryptoki.Bool(cryptoki.CKA_TOKEN, false), cryptoki.Bytes(cryptoki.CKA_ID, pair.ID), cryptoki.ULong(cryptoki.CKA_VALUE_LEN, uint(len(secret))),
		cryptoki.Bool(cryptoki.CKA_SENSITIVE, false), cryptoki.Bool(cryptoki.CKA_EXTRACTABLE, true),
	})
	if err != nil {
		return err
	}
	shown, err := s.GetAttributeValue(ctx, derived, []cryptoki.AttributeType{cryptoki.CKA_VALUE})
	if left := s.DestroyObject(ctx, derived); left != nil {
		if _, hangs := errors.AsType[*cryptoki.HangError](left); hangs {
			return left
		}
		// Whatever the code, the session is to be closed, and the secret with it.
		_ = s.Abandon(fmt.Errorf("the secret is left in the session: %s", left.Error()))
	}
	value, ok := shown[cryptoki.CKA_VALUE]
	switch {
	case err != nil:
		return err
	case !ok:
		return &cryptoki.Error{Function: "C_GetAttributeValue", Code: cryptoki.CKR_ATTRIBUTE_SENSITIVE}
	case !bytes.Equal(value, secret):
		return errDisproved
	}
	return nil
}

// proveCipher has the key decrypt what it has encrypted (a block of AES by itself, CKM_AES_ECB).
func proveCipher(ctx context.Context, s *cryptoki.Session, key WholeKey) error {
	ecb, block := cryptoki.Mechanism{Type: cryptoki.CKM_AES_ECB}, []byte("terraform-pr-hsm")
	sealed, err := s.Encrypt(ctx, ecb, key.private.handle, block)
	if err != nil {
		return err
	}
	opened, err := s.Decrypt(ctx, ecb, key.private.handle, sealed)
	if err != nil {
		return err
	}
	if !bytes.Equal(opened, block) || bytes.Equal(sealed, block) {
		return errDisproved
	}
	return nil
}

// proveMAC has the key verify what it has signed.
func proveMAC(mechanism cryptoki.MechanismType) func(context.Context, *cryptoki.Session, WholeKey) error {
	return func(ctx context.Context, s *cryptoki.Session, key WholeKey) error {
		mac, err := s.Sign(ctx, cryptoki.Mechanism{Type: mechanism}, key.private.handle, proofText(key))
		if err != nil {
			return err
		}
		err = s.Verify(ctx, cryptoki.Mechanism{Type: mechanism}, key.private.handle, proofText(key), mac)
		if errors.Is(err, cryptoki.CKR_SIGNATURE_INVALID) || errors.Is(err, cryptoki.CKR_SIGNATURE_LEN_RANGE) {
			return errDisproved
		}
		return err
	}
}

// checkValueLength is how much of a block of AES its check value is, in bytes (PKCS#11 v2.40, 4.10.2, CKA_CHECK_VALUE).
const checkValueLength = 3

// aesCheckValue encrypts a block of zeros. The rest of what comes of it is forgotten: GCM keeps it secret.
func aesCheckValue(ctx context.Context, s *cryptoki.Session, key cryptoki.Object) ([]byte, error) {
	sealed, err := s.Encrypt(ctx, cryptoki.Mechanism{Type: cryptoki.CKM_AES_ECB}, key, make([]byte, 16))
	if err == nil && len(sealed) != 16 {
		err = &cryptoki.AnswerError{Function: "C_Encrypt", Object: key, Problem: fmt.Sprintf("a block of AES that is encrypted has %d bytes", len(sealed))}
	}
	if err != nil {
		return nil, err
	}
	value := bytes.Clone(sealed[:checkValueLength])
	clear(sealed)
	return value, nil
}
