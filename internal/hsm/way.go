package hsm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // for the table's hashes
	_ "crypto/sha512" // likewise
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// way is a way in which a token makes a signature: by a mechanism. Proofs and signers sign and verify by it.
type way struct {
	*scheme
	hash      crypto.Hash // 0: what is signed is the message itself
	mechanism cryptoki.MechanismType
	hashes    bool // the mechanism gets the message, and hashes it by itself if there is a hash
	salt      int  // of RSASSA-PSS, in bytes; 0: as many as the hash has
}

// scheme is what signatures of one kind have in common, by whatever mechanism they are made.
type scheme struct {
	standard string // what it is called
	// with is the mechanism with its parameters.
	with func(w way, pub crypto.PublicKey) cryptoki.Mechanism
	// input is what a mechanism signs that does not hash by itself. nil: the digest.
	input func(w way, pub crypto.PublicKey, digest []byte) []byte
	// verified is the signature as callers get it, nil where it does not verify. signed is the digest, or the message
	// where there is no hash.
	verified func(w way, pub crypto.PublicKey, signed, signature []byte) []byte
	// room says that the key has room for such a signature. nil: it always has.
	room func(w way, pub crypto.PublicKey) bool
	// proves says that a pair is proven by a way that does not hash by itself. nil: it is.
	proves func(w way, pub crypto.PublicKey) bool
}

// ways are all ways to sign, for each signature in the order of choice: what is hashed here first, as more keys and
// tokens allow that. Where a proof by a mechanism is refused, the mechanism's next row gives it another hash.
var ways = []way{
	{byPKCS1, crypto.SHA256, cryptoki.CKM_RSA_PKCS, false, 0},
	{byPKCS1, crypto.SHA384, cryptoki.CKM_RSA_PKCS, false, 0},
	{byPKCS1, crypto.SHA512, cryptoki.CKM_RSA_PKCS, false, 0},
	{byPKCS1, crypto.SHA256, cryptoki.CKM_SHA256_RSA_PKCS, true, 0},
	{byPKCS1, crypto.SHA384, cryptoki.CKM_SHA384_RSA_PKCS, true, 0},
	{byPKCS1, crypto.SHA512, cryptoki.CKM_SHA512_RSA_PKCS, true, 0},
	{byPSS, crypto.SHA256, cryptoki.CKM_RSA_PKCS_PSS, false, 0},
	{byPSS, crypto.SHA384, cryptoki.CKM_RSA_PKCS_PSS, false, 0},
	{byPSS, crypto.SHA512, cryptoki.CKM_RSA_PKCS_PSS, false, 0},
	{byPSS, crypto.SHA256, cryptoki.CKM_SHA256_RSA_PKCS_PSS, true, 0},
	{byPSS, crypto.SHA384, cryptoki.CKM_SHA384_RSA_PKCS_PSS, true, 0},
	{byPSS, crypto.SHA512, cryptoki.CKM_SHA512_RSA_PKCS_PSS, true, 0},
	{byECDSA, crypto.SHA256, cryptoki.CKM_ECDSA, false, 0},
	{byECDSA, crypto.SHA384, cryptoki.CKM_ECDSA, false, 0},
	{byECDSA, crypto.SHA512, cryptoki.CKM_ECDSA, false, 0},
	{byECDSA, crypto.SHA256, cryptoki.CKM_ECDSA_SHA256, true, 0},
	{byECDSA, crypto.SHA384, cryptoki.CKM_ECDSA_SHA384, true, 0},
	{byECDSA, crypto.SHA512, cryptoki.CKM_ECDSA_SHA512, true, 0},
	{byEdDSA, 0, cryptoki.CKM_EDDSA, true, 0},
	{byMLDSA, 0, cryptoki.CKM_ML_DSA, true, 0},
}

// byPKCS1 is RSASSA-PKCS1-v1_5 (RFC 8017, 8.2).
var byPKCS1 = &scheme{
	standard: "RSASSA-PKCS1-v1_5",
	with:     plain,
	input: func(w way, _ crypto.PublicKey, digest []byte) []byte {
		return append(bytes.Clone(digestInfo[w.hash]), digest...)
	},
	verified: func(w way, pub crypto.PublicKey, digest, signature []byte) []byte {
		return given(signature, rsa.VerifyPKCS1v15(pub.(*rsa.PublicKey), w.hash, digest, signature) == nil)
	},
	room: func(w way, pub crypto.PublicKey) bool {
		return pub.(*rsa.PublicKey).Size() >= len(digestInfo[w.hash])+w.hash.Size()+11 // RFC 8017, 9.2
	},
}

// digestInfo is the DER of DigestInfo before a digest (RFC 8017, 9.2).
var digestInfo = map[crypto.Hash][]byte{
	crypto.SHA256: {
		0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
		0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20,
	},
	crypto.SHA384: {
		0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
		0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30,
	},
	crypto.SHA512: {
		0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
		0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40,
	},
}

// byPSS is RSASSA-PSS (RFC 8017, 8.1). A small modulus may have no room for the hash and its salt.
var byPSS = &scheme{
	standard: "RSASSA-PSS",
	with: func(w way, _ crypto.PublicKey) cryptoki.Mechanism {
		return cryptoki.PSS(w.mechanism, w.hash, w.saltLength())
	},
	verified: func(w way, pub crypto.PublicKey, digest, signature []byte) []byte {
		options := &rsa.PSSOptions{SaltLength: w.saltLength()}
		return given(signature, rsa.VerifyPSS(pub.(*rsa.PublicKey), w.hash, digest, signature, options) == nil)
	},
	room: roomForPSS, proves: roomForPSS,
}

func (w way) saltLength() int {
	if w.salt == 0 {
		return w.hash.Size()
	}
	return w.salt
}

func roomForPSS(w way, pub crypto.PublicKey) bool {
	return (pub.(*rsa.PublicKey).N.BitLen()+6)/8 >= w.hash.Size()+w.saltLength()+2 // RFC 8017, 9.1.1
}

// byECDSA: signatures are in DER for callers. A token may give them so, or as PKCS#11 has them.
var byECDSA = &scheme{
	standard: "ECDSA",
	with:     plain,
	// A curve takes the leftmost bits of a longer hash (FIPS 186-5, 6.4.1). Not every token cuts the rest off.
	input: func(_ way, pub crypto.PublicKey, digest []byte) []byte {
		return digest[:min(len(digest), publickey.CurveSize(pub))]
	},
	verified: func(_ way, pub crypto.PublicKey, digest, signature []byte) []byte {
		der, ok := publickey.SignatureDER(pub, signature)
		if ok && publickey.VerifyDigest(pub, digest, signature) {
			return der
		}
		return given(signature, publickey.VerifyDigestDER(pub, digest, signature))
	},
	// SHA-256 is for every curve, and another hash for the curve that it fits.
	proves: func(w way, pub crypto.PublicKey) bool {
		return w.hash == crypto.SHA256 || w.hash == curveHashes[publickey.Curve(pub)]
	},
}

// curveHashes are the hashes that fit the larger curves. Some tokens sign nothing else by them.
var curveHashes = map[string]crypto.Hash{publickey.P384: crypto.SHA384, publickey.P521: crypto.SHA512}

// byEdDSA is plain Ed25519, with neither a context nor a digest before it (RFC 8032, 5.1).
var byEdDSA = &scheme{
	standard: "Ed25519",
	with: func(w way, _ crypto.PublicKey) cryptoki.Mechanism {
		return cryptoki.Mechanism{Type: w.mechanism, OutputLength: ed25519.SignatureSize}
	},
	verified: verifiedMessage,
}

// byMLDSA is pure ML-DSA without a context, which is what CKM_ML_DSA without a parameter is (PKCS#11 3.2, CKM_ML_DSA).
var byMLDSA = &scheme{
	standard: "ML-DSA",
	with: func(w way, pub crypto.PublicKey) cryptoki.Mechanism {
		return cryptoki.Mechanism{Type: w.mechanism, OutputLength: publickey.SignatureSize(pub)}
	},
	verified: verifiedMessage,
}

func plain(w way, _ crypto.PublicKey) cryptoki.Mechanism {
	return cryptoki.Mechanism{Type: w.mechanism}
}

func verifiedMessage(_ way, pub crypto.PublicKey, message, signature []byte) []byte {
	return given(signature, publickey.Verify(pub, message, signature))
}

func given(signature []byte, good bool) []byte {
	if !good {
		return nil
	}
	return signature
}

// on is the way on tokens with these differences.
func (w way) on(d quirk.Differences) way {
	if w.mechanism == cryptoki.CKM_EDDSA && d.EdDSA != 0 {
		w.mechanism = d.EdDSA
	}
	return w
}

// signed is what is signed: a message, or its digest where nobody has the message.
type signed struct {
	message []byte // nil: not known
	digest  []byte // nil where there is no hash
}

// signedMessage hashes a message.
func signedMessage(h crypto.Hash, message []byte) signed {
	if h == 0 {
		return signed{message: message}
	}
	hash := h.New()
	hash.Write(message)
	return signed{message, hash.Sum(nil)}
}

// sign has a private half sign, and verifies the signature here: errDisproved is the error of one that does not verify.
// between is done before the token signs, if it is not nil.
func (w way) sign(
	ctx context.Context, s *cryptoki.Session, pair object.Key, what signed, between func() error,
) ([]byte, error) {
	input, verified := what.message, what.digest
	switch {
	case w.hash == 0:
		verified = what.message
	case !w.hashes && w.input != nil:
		input = w.input(w, pair.PublicKey, what.digest)
	case !w.hashes:
		input = what.digest
	}
	signature, err := s.SignAfter(ctx, w.with(w, pair.PublicKey), pair.Private.Handle, input, between)
	if err != nil {
		return nil, err
	}
	good := w.verified(w, pair.PublicKey, verified, signature)
	if good == nil {
		return nil, errDisproved
	}
	return good, nil
}

// leastModulus is how many bits an RSA modulus has at least for crypto/rsa to use it.
const leastModulus = 1024

// checkable says that this process can verify what the key signs: crypto/rsa takes no small key.
func checkable(pub crypto.PublicKey) bool {
	key, isRSA := pub.(*rsa.PublicKey)
	return !isRSA || key.N.BitLen() >= leastModulus
}

// prove verifies what the private half signs.
func (w way) prove(ctx context.Context, s *cryptoki.Session, pair object.Key) error {
	if !checkable(pair.PublicKey) || !w.hashes && w.proves != nil && !w.proves(w, pair.PublicKey) {
		return errUnfit
	}
	_, err := w.sign(ctx, s, pair, signedMessage(w.hash, proofText(pair)), nil)
	return err
}

// usable says that the way may be tried on tokens with these differences.
func (w way) usable(d quirk.Differences) bool { return !slices.Contains(d.Unusable, w.mechanism) }

// waysTo are the ways to a signature, in the order of choice.
func waysTo(of *scheme, hash crypto.Hash, salt int, d quirk.Differences) (to []way) {
	for _, w := range ways {
		if w.scheme == of && w.hash == hash && w.usable(d) {
			w.salt = salt
			to = append(to, w.on(d))
		}
	}
	return slices.Clip(to)
}
