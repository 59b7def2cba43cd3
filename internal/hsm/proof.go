package hsm

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // OAEP's hash, which every token with OAEP has; nothing rests on collisions
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// prover makes one proof in a session.
type prover func(context.Context, *cryptoki.Session, object.Key) error

// proofBy makes the proofs by mechanisms that do not sign: that the halves of a pair belong together, or that a secret
// key decrypts what it encrypts or verifies what it signs. Where a token takes the mechanism and refuses what it is
// given, the next proof in the list gives it something else. A pair that signs is proven by the table of ways.
var proofBy = map[cryptoki.MechanismType][]prover{
	cryptoki.CKM_RSA_PKCS_OAEP: {proveRSADecryption},
	cryptoki.CKM_ECDH1_DERIVE:  {proveAgreement(rawPoint), proveAgreement(pointInDER)},
	cryptoki.CKM_AES_ECB:       {proveCipher},
	cryptoki.CKM_AES_CMAC:      {proveMAC(cryptoki.CKM_AES_CMAC)},
	cryptoki.CKM_SHA256_HMAC:   {proveMAC(cryptoki.CKM_SHA256_HMAC)},
	cryptoki.CKM_SHA_1_HMAC:    {proveMAC(cryptoki.CKM_SHA_1_HMAC)},
}

// proofsOf are the proofs by a mechanism, on a token with these differences, and the mechanism that they use.
func proofsOf(m cryptoki.MechanismType, d quirk.Differences) (cryptoki.MechanismType, []prover) {
	var proofs []prover
	for _, w := range ways {
		if w.mechanism == m && w.usable(d) {
			w = w.on(d)
			proofs, m = append(proofs, w.prove), w.mechanism
		}
	}
	switch {
	case proofs != nil:
		return m, proofs
	case m == cryptoki.CKM_ECDH1_DERIVE && d.NoSessionObjects:
		return m, nil // the secret that is agreed on is a session object
	case m == cryptoki.CKM_ECDH1_DERIVE && d.PointInDER:
		return m, []prover{proveAgreement(pointInDER)}
	}
	return m, proofBy[m]
}

// proofText is what proofs sign: a fixed text of this provider, with the key's ID. Somebody could later pass off a
// signature over random bytes as a signature over something else.
func proofText(key object.Key) []byte {
	if key.PublicKey == nil {
		return fmt.Appendf(nil, "terraform-provider-hsm: the secret key %s verifies what it signs", object.FormatID(key.ID))
	}
	return fmt.Appendf(nil, "terraform-provider-hsm: the two halves of key pair %s belong together", object.FormatID(key.ID))
}

// errDisproved: the operation succeeded, but its result belongs to another key.
var errDisproved = errors.New("the test of the key has failed")

// unproven says that nothing shows that two halves are one key.
const unproven = "nothing can prove that the two halves belong together: the private half shows nothing of its key, " +
	"and the token offers no operation that its usage allows"

// judge says what the proof of a new key means. The key is good where the operation shows that the halves belong
// together. Where the token offers no operation, it is good if the private half shows that it belongs to the public
// one. A private half need not show the exponent for that: the new key was compared with the one that was asked for. A
// secret key has no halves: where its usage allows no operation, or the token offers none, it is what its attributes
// say. Where it is known of the make that nothing can prove such a pair (quirk.Differences.NoSessionObjects), the pair
// is kept: its halves came from one call. Nobody publishes it without a proof. Errors: *VerifyError, or the given
// failure.
func judge(key object.Key, result object.Verdict, refusal, err error, d quirk.Differences) error {
	switch {
	case err != nil || result == object.Same:
		return err
	case result == object.Different:
		return &VerifyError{Problems: []string{key.Spec().Disproved}}
	case key.Belong() == object.Same:
		return nil
	case refusal != nil:
		return &VerifyError{Problems: []string{fmt.Sprintf("%s (%v)", unproven, refusal)}}
	case d.NoSessionObjects && key.Usage.Has(object.Derive): // the one proof that there is was not even tried
		return nil
	}
	return &VerifyError{Problems: []string{unproven}}
}

// operate makes the first proof that the key's usage allows and the token offers. The result is Undecided where there
// is none; refusal is then what the token said to those that it refused.
func (t *Token) operate(ctx context.Context, key object.Key) (result object.Verdict, refusal, err error) {
	return proveBy(key, t.differences, func(prove prover) error {
		return t.ask(ctx, key, func(s *cryptoki.Session) error { return prove(ctx, s, key) })
	})
}

// ask has the key do something that changes nothing on the token. It makes sure that the handle still is the key's: the
// answer of another key would pass for the key's own. It does not repeat what the token has refused.
func (t *Token) ask(ctx context.Context, key object.Key, do func(*cryptoki.Session) error) error {
	var refusal error
	err := t.reader.Read(ctx, func(s *cryptoki.Session) error {
		err := t.reader.ConfirmRead(ctx, s, *key.Private)
		if err != nil {
			return err
		}
		if err = do(s); cryptoki.Refused(err) {
			refusal, err = err, nil
		}
		return err
	})
	return cmp.Or(err, refusal)
}

// proveBy is operate, but do runs each proof.
func proveBy(key object.Key, d quirk.Differences, do func(prover) error) (result object.Verdict, refusal, err error) {
	for _, p := range key.Spec().Proofs {
		mechanism, proofs := proofsOf(p.Mechanism, d)
		if !key.Usage.Has(p.Usage) || !key.Allows(mechanism) {
			continue
		}
		for _, prove := range proofs {
			err := do(prove)
			switch {
			case err == nil:
				return object.Same, nil, nil
			case errors.Is(err, errDisproved):
				return object.Different, nil, nil
			case errors.Is(err, errUnfit):
				continue
			case !unavailable(err):
				return object.Undecided, nil, err
			}
			refusal = errors.Join(refusal, err) // this token lacks the mechanism, or a part of it
			if isAny(err, noneAtAll) {
				break
			}
		}
	}
	return object.Undecided, refusal, nil
}

// errUnfit: the proof is not for a key of this size.
var errUnfit = errors.New("the proof does not fit the key")

// noneAtAll are the answers that are about the mechanism itself, whatever it is given.
var noneAtAll = []error{
	cryptoki.CKR_MECHANISM_INVALID, cryptoki.CKR_KEY_FUNCTION_NOT_PERMITTED, cryptoki.CKR_KEY_TYPE_INCONSISTENT,
	cryptoki.CKR_FUNCTION_NOT_SUPPORTED, cryptoki.CKR_USER_NOT_LOGGED_IN,
}

// unavailable says that the token does not make a proof: it says so, or it does not take what it was given. That proves
// nothing, and disproves nothing. Every other failure may pass, and is one.
func unavailable(err error) bool { return notOffered(err) || isAny(err, unfitting) }

// unfitting are the answers to what a mechanism is given.
var unfitting = []error{cryptoki.CKR_ARGUMENTS_BAD, cryptoki.CKR_DATA_INVALID, cryptoki.CKR_DATA_LEN_RANGE}

// recognises says that the key's private half, or the secret key, is what the handle means in this session, because an
// operation shows it: a proof, or the check value.
func (t *Token) recognises(ctx context.Context, s *cryptoki.Session, key object.Key) bool {
	if key.PublicKey != nil {
		result, _, err := proveBy(key, t.differences, func(prove prover) error { return prove(ctx, s, key) })
		return err == nil && result == object.Same
	}
	if key.Fingerprint() == "" || !mayCompute(key) {
		return false
	}
	value, err := aesCheckValue(ctx, s, key.Private.Handle)
	return err == nil && hex.EncodeToString(value) == key.Fingerprint()
}

// Fingerprinted gives the key with its fingerprint. It computes the check value of a secret key that does not show it,
// if the key's usage allows that and the token offers it. Errors: the token's failure.
func (t *Token) Fingerprinted(ctx context.Context, key object.Key) (object.Key, error) {
	if !computes(key) {
		return key, nil
	}
	var value []byte
	err := t.ask(ctx, key, func(s *cryptoki.Session) (err error) {
		value, err = aesCheckValue(ctx, s, key.Private.Handle)
		return err
	})
	return checked(key, value, err)
}

// computes says that the key's fingerprint must be computed.
func computes(key object.Key) bool { return key.Fingerprint() == "" && mayCompute(key) }

// mayCompute says that the key can compute its check value, as far as its usage and its mechanisms go.
func mayCompute(key object.Key) bool {
	return key.Spec().Computes && key.Usage.Has(object.Encrypt) && key.Allows(cryptoki.CKM_AES_ECB)
}

// checked gives the key with its check value, or without one where the token does not offer to compute it.
func checked(key object.Key, value []byte, err error) (object.Key, error) {
	switch {
	case err == nil:
		return key.WithFingerprint(hex.EncodeToString(value)), nil
	case cryptoki.InvalidHandle(err) || !notOffered(err):
		return object.Key{}, err
	}
	return key, nil
}

// fingerprinter is Fingerprinted in the form that package object wants.
func (t *Token) fingerprinter(ctx context.Context) object.Fingerprinter {
	return func(key object.Key) (object.Key, error) { return t.Fingerprinted(ctx, key) }
}

// notOffered says that the token answered that it does not do this with the key, or only after a login for that key.
func notOffered(err error) bool {
	return cryptoki.Refused(err) || errors.Is(err, cryptoki.CKR_USER_NOT_LOGGED_IN)
}

// Prove makes sure that the halves of a pair belong together where their attributes do not show it. On tokens whose
// private halves have no CKA_EC_POINT, only their ID makes them a pair. proven is false where the token offers no
// operation that the key's usage allows. Errors: *DisprovedError where the halves do not belong together,
// *UnprovenError where nothing proves which of several public halves is the right one, or the token's failure.
func (t *Token) Prove(ctx context.Context, key object.Key) (proven bool, err error) {
	if key.Shown() {
		return true, nil
	}
	result, refusal, err := t.operate(ctx, key)
	halves := func() []Halves { return []Halves{{key.Private.Name(), key.Public.Name(), refusal}} }
	switch {
	case err != nil:
	case result == object.Different:
		err = &DisprovedError{halves()}
	case result == object.Undecided && key.Contested():
		err = &UnprovenError{halves()}
	}
	return result == object.Same, err
}

// proveRSADecryption has the token decrypt what is encrypted here (RSAES-OAEP).
func proveRSADecryption(ctx context.Context, s *cryptoki.Session, pair object.Key) error {
	if !checkable(pair.PublicKey) {
		return errUnfit
	}
	secret := make([]byte, 16)
	_, _ = rand.Read(secret) // never fails
	//nolint:gosec // see the import
	sealed, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, pair.PublicKey.(*rsa.PublicKey), secret, nil)
	if err != nil {
		return fmt.Errorf("%w: %w", errDisproved, err)
	}
	opened, err := s.Decrypt(ctx, cryptoki.OAEP(), pair.Private.Handle, sealed)
	if err != nil {
		return err
	}
	if !bytes.Equal(opened, secret) {
		return errDisproved
	}
	return nil
}

// The forms in which a token may want the other side's point.
func rawPoint(point []byte) []byte { return point }

func pointInDER(point []byte) []byte {
	der, _ := asn1.Marshal(point) // bytes always make an OCTET STRING
	return der
}

// proveAgreement has the token agree on a secret with a key pair that is made here (ECDH), and reads the secret. The
// secret protects nothing. It is a session object, which dies with the session at the latest.
func proveAgreement(form func(point []byte) []byte) prover {
	return func(ctx context.Context, s *cryptoki.Session, pair object.Key) error {
		return agree(ctx, s, pair, form)
	}
}

func agree(ctx context.Context, s *cryptoki.Session, pair object.Key, form func(point []byte) []byte) error {
	point, secret, err := publickey.Agree(pair.PublicKey)
	if err != nil {
		return fmt.Errorf("%w: %w", errDisproved, err)
	}
	derived, err := s.DeriveKey(ctx, cryptoki.ECDH1(form(point)), pair.Private.Handle, []cryptoki.Attribute{
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
		// Whatever the code says, the session must be closed, and the secret with it.
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

// proveCipher has the key decrypt what it has encrypted (one AES block, CKM_AES_ECB).
func proveCipher(ctx context.Context, s *cryptoki.Session, key object.Key) error {
	ecb, block := cryptoki.Mechanism{Type: cryptoki.CKM_AES_ECB}, []byte("terraform-pr-hsm")
	sealed, err := s.Encrypt(ctx, ecb, key.Private.Handle, block)
	if err != nil {
		return err
	}
	opened, err := s.Decrypt(ctx, ecb, key.Private.Handle, sealed)
	if err != nil {
		return err
	}
	if !bytes.Equal(opened, block) || bytes.Equal(sealed, block) {
		return errDisproved
	}
	return nil
}

// proveMAC has the key verify what it has signed.
func proveMAC(mechanism cryptoki.MechanismType) prover {
	return func(ctx context.Context, s *cryptoki.Session, key object.Key) error {
		mac, err := s.Sign(ctx, cryptoki.Mechanism{Type: mechanism}, key.Private.Handle, proofText(key))
		if err != nil {
			return err
		}
		err = s.Verify(ctx, cryptoki.Mechanism{Type: mechanism}, key.Private.Handle, proofText(key), mac)
		if errors.Is(err, cryptoki.CKR_SIGNATURE_INVALID) || errors.Is(err, cryptoki.CKR_SIGNATURE_LEN_RANGE) {
			return errDisproved
		}
		return err
	}
}

// checkValueLength is how many bytes of an AES block are its check value (PKCS#11 v2.40, 4.10.2, CKA_CHECK_VALUE).
const checkValueLength = 3

// aesCheckValue encrypts a block of zeros. It forgets all of the result but the check value: GCM keeps the rest
// secret.
func aesCheckValue(ctx context.Context, s *cryptoki.Session, key cryptoki.Object) ([]byte, error) {
	sealed, err := s.Encrypt(ctx, cryptoki.Mechanism{Type: cryptoki.CKM_AES_ECB}, key, make([]byte, 16))
	if err == nil && len(sealed) != 16 {
		err = &cryptoki.AnswerError{Function: "C_Encrypt", Object: key,
			Problem: fmt.Sprintf("the token encrypted a block of 16 bytes to %d", len(sealed))}
	}
	if err != nil {
		return nil, err
	}
	value := bytes.Clone(sealed[:checkValueLength])
	clear(sealed)
	return value, nil
}
