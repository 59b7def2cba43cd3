package hsm

import (
	"context"
	"crypto"
	"errors"
	"io"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// Signer signs with the private half of a pair on the token. It is a crypto.Signer and a crypto.MessageSigner. Every
// signature is verified with the public key before anyone gets it.
type Signer struct {
	token *Token
	//nolint:containedctx // crypto.Signer takes none
	ctx context.Context
	key object.Key
}

var (
	_ crypto.Signer        = (*Signer)(nil)
	_ crypto.MessageSigner = (*Signer)(nil)
)

// Signer gives the signer of the pair on the token that has the public key, under whatever ID and label. It signs until
// ctx ends. Errors: *NoSignerError where the token has no such pair, *CannotSignError where the pair signs nothing,
// *UnprotectedSignerError where the PIN does not protect it, those of Published, or the token's failure.
func (t *Token) Signer(ctx context.Context, pub crypto.PublicKey) (*Signer, error) {
	return nil, errors.New("not built yet")
}

// Key is the pair that signs.
func (s *Signer) Key() object.Key { return s.key }

// Public is the public key of the pair.
func (s *Signer) Public() crypto.PublicKey { return s.key.PublicKey }

// Sign signs a digest as crypto.Signer says: opts is a crypto.Hash for RSASSA-PKCS1-v1_5 and ECDSA (DER), *rsa.PSSOptions
// for RSASSA-PSS; crypto.Hash(0) with the message itself for Ed25519 and ML-DSA. rand is not used. Errors:
// *CannotSignError, *SignatureError, or the token's failure.
func (s *Signer) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("not built yet")
}

// SignMessage signs a message as crypto.MessageSigner says. It can do what Sign cannot where the token only hashes by
// itself.
func (s *Signer) SignMessage(rand io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("not built yet")
}

// Random gives n bytes of the token's generator of random numbers. Errors: the token's failure.
func (t *Token) Random(ctx context.Context, n int) ([]byte, error) {
	return nil, errors.New("not built yet")
}
