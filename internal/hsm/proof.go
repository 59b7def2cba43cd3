package hsm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // OAEP's hash, which every token with OAEP has; nothing rests on collisions
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// proof is an operation that shows that two halves belong together, for pairs with a usage that allows it.
type proof struct {
	usage Usage
	prove func(ctx context.Context, s *cryptoki.Session, pair KeyPair) error
}

// proofText is what proofs sign: a fixed text of this provider's own, which names the key. A signature over
// anything random could later be taken for a signature over something else.
func proofText(pair KeyPair) []byte {
	return fmt.Appendf(nil, "terraform-provider-hsm: the two halves of key pair %s belong together", FormatID(pair.ID))
}

// errDisproved: the operation went through, and its result is another key's.
var errDisproved = errors.New("the two halves do not belong together")

// prove makes the first proof that the usage allows and the token offers, else compares what the private
// half shows of its key. Errors: *VerifyError, or the token's failure.
func (t *Token) prove(ctx context.Context, kt *keyType, pair KeyPair) error {
	for _, p := range kt.proofs {
		if !pair.Usage.Has(p.usage) {
			continue
		}
		err := t.read(ctx, func(s *cryptoki.Session) error { return p.prove(ctx, s, pair) })
		if errors.Is(err, errDisproved) {
			return &VerifyError{Problems: []string{err.Error()}}
		}
		if err != nil && cryptoki.Refused(err) {
			continue // this token lacks the mechanism, or some part of it
		}
		return err
	}
	if same, known := kt.twins(pair.private, pair.public); !known || !same {
		return &VerifyError{Problems: []string{unproven}}
	}
	return nil
}

// sha256Prefix is the DER of DigestInfo before a SHA-256 digest (RFC 8017, 9.2).
var sha256Prefix = []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}

// proveRSASignature verifies here what the private half signs (RSASSA-PKCS1-v1_5 with SHA-256).
func proveRSASignature(ctx context.Context, s *cryptoki.Session, pair KeyPair) error {
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
func proveRSADecryption(ctx context.Context, s *cryptoki.Session, pair KeyPair) error {
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
