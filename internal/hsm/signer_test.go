package hsm_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// signature is one that callers ask for.
type signature struct {
	name string
	opts crypto.SignerOpts
}

// hashes are those that are signed.
var hashes = []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}

// signaturesOf are all signatures that a key makes.
func signaturesOf(pub crypto.PublicKey) (all []signature) {
	_, isRSA := pub.(*rsa.PublicKey)
	if !isRSA && (publickey.ParameterSet(pub) != "" || publickey.Curve(pub) == publickey.Ed25519) {
		return []signature{{"the message", crypto.Hash(0)}}
	}
	for _, h := range hashes {
		all = append(all, signature{h.String(), h})
		if isRSA {
			all = append(all, signature{"PSS " + h.String(), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: h}})
		}
	}
	return all
}

// digestOf is what Sign gets for a message.
func digestOf(h crypto.Hash, message []byte) []byte {
	if h == 0 {
		return message
	}
	hash := h.New()
	hash.Write(message)
	return hash.Sum(nil)
}

// verifies says that a signature is one of a message, by code that shares nothing with the signer where Go has it.
func verifies(pub crypto.PublicKey, opts crypto.SignerOpts, message, sig []byte) bool {
	h := opts.HashFunc()
	digest := digestOf(h, message)
	switch key := pub.(type) {
	case *rsa.PublicKey:
		if options, ok := opts.(*rsa.PSSOptions); ok {
			length := options.SaltLength
			if length == rsa.PSSSaltLengthAuto {
				length = rsa.PSSSaltLengthEqualsHash
			}
			return rsa.VerifyPSS(key, h, digest, sig, &rsa.PSSOptions{SaltLength: length}) == nil
		}
		return rsa.VerifyPKCS1v15(key, h, digest, sig) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, sig)
	}
	if h != 0 {
		return publickey.VerifyDigestDER(pub, digest, sig)
	}
	return publickey.Verify(pub, message, sig)
}

func signerOf(t testing.TB, token *hsm.Token, pub crypto.PublicKey) *hsm.Signer {
	t.Helper()
	signer, err := token.Signer(context.Background(), pub)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// signs has a signer make every signature of its key, of a digest and of a message.
func signs(t *testing.T, signer *hsm.Signer) {
	t.Helper()
	message := []byte("what is signed")
	for _, s := range signaturesOf(signer.Public()) {
		sig, err := signer.Sign(nil, digestOf(s.opts.HashFunc(), message), s.opts)
		if err != nil || !verifies(signer.Public(), s.opts, message, sig) {
			t.Errorf("%s of a digest: %x, %v", s.name, sig, err)
		}
		sig, err = signer.SignMessage(nil, message, s.opts)
		if err != nil || !verifies(signer.Public(), s.opts, message, sig) {
			t.Errorf("%s of a message: %x, %v", s.name, sig, err)
		}
	}
}

// signingKinds are a template of each kind of pair that signs.
func signingKinds() map[string]object.Template {
	kinds := map[string]object.Template{
		"RSA": {Type: object.RSA, ModulusBits: 2048, PublicExponent: 65537, Usage: object.Sign},
	}
	for curve := range hsmtest.Curves {
		kinds[curve] = object.Template{Type: object.EC, Curve: curve, Usage: object.Sign}
	}
	for _, set := range publickey.ParameterSets() {
		kinds[set] = object.Template{Type: object.MLDSA, ParameterSet: set, Usage: object.Sign}
	}
	return kinds
}

// needsKind skips where this make has no such pairs.
func needsKind(t testing.TB, tmpl object.Template) {
	t.Helper()
	switch {
	case tmpl.Type == object.MLDSA:
		hsmtest.Needs(t, hsmtest.MLDSA)
	case tmpl.Curve != "":
		hsmtest.NeedsCurves(t, tmpl.Curve)
	}
}

// TestEveryMakeSigns: by every kind of pair, scheme and hash.
func TestEveryMakeSigns(t *testing.T) {
	for name, tmpl := range hsmtest.InOrder(signingKinds()) {
		t.Run(name, func(t *testing.T) {
			needsKind(t, tmpl)
			token := open(t, hsmtest.New(t))
			tmpl.ID, tmpl.Label = []byte("signer"), "signer"
			made := generate(t, token, tmpl)
			signer := signerOf(t, token, made.PublicKey)
			if !publickey.Equal(signer.Public(), made.PublicKey) || !bytes.Equal(signer.Key().ID, made.ID) {
				t.Fatalf("the signer is %s", describe(signer.Key()))
			}
			signs(t, signer)
		})
	}
}
