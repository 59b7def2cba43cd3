package x509cert_test

import (
	"crypto"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/x509cert"
)

// liar is a signer that does something else than it should.
type liar struct {
	crypto.Signer
	sign func(digest []byte, opts crypto.SignerOpts) ([]byte, error)
}

func (l liar) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return l.sign(digest, opts)
}

// makers make each product with a signer.
func makers(t *testing.T, key crypto.Signer) map[string]func(signer crypto.Signer) ([]byte, error) {
	ca := create(t, caProfile("ca"), key.Public(), nil, key)
	return map[string]func(signer crypto.Signer) ([]byte, error){
		"a request": func(signer crypto.Signer) ([]byte, error) {
			return x509cert.Request{Subject: x509cert.Subject{CommonName: "a"}}.Create(signer)
		},
		"a self-signed certificate": func(signer crypto.Signer) ([]byte, error) {
			return caProfile("ca").Create(key.Public(), nil, signer)
		},
		"an issued certificate": func(signer crypto.Signer) ([]byte, error) {
			return leafProfile("a.example").Create(keys()["P-256 2"].Public(), ca, signer)
		},
		"a revocation list": func(signer crypto.Signer) ([]byte, error) {
			return x509cert.List{
				Number: big.NewInt(1), ThisUpdate: start, NextUpdate: start.Add(time.Hour),
			}.Create(ca, signer)
		},
	}
}

func TestAWrongSignatureIsNeverGivenOut(t *testing.T) {
	other := map[string]string{"RSA": "RSA 2", "P-256": "P-256 2"}
	for _, name := range []string{"RSA", "P-256", "Ed25519"} {
		key := keys()[name]
		lies := map[string]func(digest []byte, opts crypto.SignerOpts) ([]byte, error){
			"a flipped bit": func(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
				signature, err := key.Sign(rand.Reader, digest, opts)
				signature[len(signature)-1] ^= 1
				return signature, err
			},
			"nothing": func([]byte, crypto.SignerOpts) ([]byte, error) { return nil, nil },
			"another text": func(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
				digest[0] ^= 1
				return key.Sign(rand.Reader, digest, opts)
			},
		}
		if with, ok := other[name]; ok {
			lies["another key"] = func(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
				return keys()[with].Sign(rand.Reader, digest, opts)
			}
		}
		for lie, sign := range lies {
			for product, make := range makers(t, key) {
				der, err := make(liar{key, sign})
				if err == nil || len(der) > 0 {
					t.Errorf("%s: %s signed with %s is given out: %v", name, product, lie, err)
				}
			}
		}
	}
}

// tokenError is what a token says.
type tokenError struct{ code int }

func (*tokenError) Error() string { return "the token is gone" }

func TestErrorsOfTheSignerPassThrough(t *testing.T) {
	key := keys()["P-256"]
	gone := &tokenError{7}
	failing := liar{key, func([]byte, crypto.SignerOpts) ([]byte, error) { return nil, gone }}
	for product, make := range makers(t, key) {
		der, err := make(failing)
		found := (*tokenError)(nil)
		if len(der) > 0 || !errors.As(err, &found) || found != gone || err.Error() != gone.Error() {
			t.Errorf("%s: the error is %v", product, err)
		}
	}
}

func TestAnotherKeysSignerIsRefusedBeforeItSigns(t *testing.T) {
	key := keys()["P-256"]
	signed := false
	other := liar{keys()["P-256 2"], func([]byte, crypto.SignerOpts) ([]byte, error) {
		signed = true
		return nil, errors.New("no")
	}}
	for product, make := range makers(t, key) {
		if product == "a request" {
			continue // which is of the signer's key, whichever that is
		}
		_, err := make(other)
		wrong := (*x509cert.ProblemError)(nil)
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), "key is not the one that signs") {
			t.Errorf("%s: the error is %v", product, err)
		}
	}
	if signed {
		t.Error("the signer was asked to sign")
	}
}

func TestNothingIsSignedThatHasProblems(t *testing.T) {
	key := keys()["P-256"]
	asked := liar{key, func([]byte, crypto.SignerOpts) ([]byte, error) {
		t.Error("the signer was asked to sign")
		return nil, errors.New("no")
	}}
	bad := leafProfile("a..example")
	dateless := x509cert.Profile{Subject: x509cert.Subject{CommonName: "a"}}
	endless, beginless := dateless, dateless
	endless.NotBefore, beginless.NotAfter = start, start.Add(time.Hour)
	ca := create(t, caProfile("ca"), key.Public(), nil, key)
	listWith := func(entry x509cert.Revocation) error {
		return second(x509cert.List{
			Number: big.NewInt(1), ThisUpdate: start, NextUpdate: start.Add(time.Hour),
			Revoked: []x509cert.Revocation{entry},
		}.Create(ca, asked))
	}
	for name, err := range map[string]error{
		"a certificate": second(bad.Create(key.Public(), nil, asked)),
		"a request":     second(x509cert.Request{Names: bad.Names}.Create(asked)),
		"a list": second(x509cert.List{
			Number: big.NewInt(-1), ThisUpdate: start, NextUpdate: start.Add(time.Hour),
		}.Create(ca, asked)),
		"a certificate without dates":     second(dateless.Create(key.Public(), nil, asked)),
		"a certificate without an end":    second(endless.Create(key.Public(), nil, asked)),
		"a certificate without a start":   second(beginless.Create(key.Public(), nil, asked)),
		"an entry of a list, but no time": listWith(x509cert.Revocation{Serial: big.NewInt(1)}),
		"an entry without a number":       listWith(x509cert.Revocation{Time: start}),
		"a list without a number": second(x509cert.List{ThisUpdate: start,
			NextUpdate: start.Add(time.Hour)}.Create(ca, asked)),
		"a list without dates": second(x509cert.List{Number: big.NewInt(1)}.Create(ca, asked)),
	} {
		wrong := (*x509cert.ProblemError)(nil)
		if !errors.As(err, &wrong) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

func second[A any](_ A, err error) error { return err }

// whole signs whole messages alone, as a token does that hashes by itself.
type whole struct {
	t   *testing.T
	key crypto.Signer
}

func (w whole) Public() crypto.PublicKey { return w.key.Public() }

func (w whole) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	w.t.Error("Sign is called, not SignMessage")
	return nil, errors.New("no")
}

func (w whole) SignMessage(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts.HashFunc() != crypto.SHA384 {
		w.t.Errorf("the hash is %s", opts.HashFunc())
	}
	digest := sha512.Sum384(message)
	return w.key.Sign(rand.Reader, digest[:], opts)
}

func TestASignerOfWholeMessagesIsEnough(t *testing.T) {
	key := keys()["P-384"]
	for product, make := range makers(t, key) {
		if der, err := make(whole{t, key}); err != nil || len(der) == 0 {
			t.Errorf("%s: %v", product, err)
		}
	}
}
