package publickey

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"slices"
	"testing"

	"github.com/cloudflare/circl/sign"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
	"github.com/cloudflare/circl/sign/mldsa/mldsa87"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secp256k1ecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// holder is who has a private key, and does with it what a token does.
type holder struct {
	public crypto.PublicKey
	sign   func(text []byte) []byte
	agree  func(point []byte) []byte // nil for a key that signs only
}

func holders(t *testing.T) map[string]holder {
	t.Helper()
	fail := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	all := map[string]holder{}
	for name, curve := range map[string]elliptic.Curve{P256: elliptic.P256(), P384: elliptic.P384(), P521: elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		fail(err)
		width := (curve.Params().BitSize + 7) / 8
		all[name] = holder{&key.PublicKey, func(text []byte) []byte {
			digest := sha256.Sum256(text)
			r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
			fail(err)
			return slices.Concat(r.FillBytes(make([]byte, width)), s.FillBytes(make([]byte, width)))
		}, func(point []byte) []byte {
			mine, err := key.ECDH()
			fail(err)
			theirs, err := mine.Curve().NewPublicKey(point)
			fail(err)
			secret, err := mine.ECDH(theirs)
			fail(err)
			return secret
		}}
	}
	key, err := secp256k1.GeneratePrivateKey()
	fail(err)
	all[Secp256k1] = holder{key.PubKey(), func(text []byte) []byte {
		digest := sha256.Sum256(text)
		signature := secp256k1ecdsa.Sign(key, digest[:])
		r, s := signature.R(), signature.S()
		rOctets, sOctets := r.Bytes(), s.Bytes()
		return slices.Concat(rOctets[:], sOctets[:])
	}, func(point []byte) []byte {
		theirs, err := secp256k1.ParsePubKey(point)
		fail(err)
		return secp256k1.GenerateSharedSecret(key, theirs)
	}}
	pub, private, err := ed25519.GenerateKey(rand.Reader)
	fail(err)
	all[Ed25519] = holder{pub, func(text []byte) []byte { return ed25519.Sign(private, text) }, nil}
	for name, scheme := range map[string]sign.Scheme{
		MLDSA44: mldsa44.Scheme(), MLDSA65: mldsa65.Scheme(), MLDSA87: mldsa87.Scheme(),
	} {
		pub, private, err := scheme.GenerateKey()
		fail(err)
		octets, err := pub.MarshalBinary()
		fail(err)
		key, err := NewMLDSA(name, octets)
		fail(err)
		all[name] = holder{key, func(text []byte) []byte { return scheme.Sign(private, text, nil) }, nil}
	}
	return all
}

func TestVerify(t *testing.T) {
	text := []byte("a text")
	others := holders(t)
	for name, mine := range holders(t) {
		t.Run(name, func(t *testing.T) {
			signature := mine.sign(text)
			if !Verify(mine.public, text, signature) {
				t.Error("a good signature is refused")
			}
			flipped := func(at int) []byte {
				wrong := bytes.Clone(signature)
				wrong[at] ^= 1
				return wrong
			}
			zero := make([]byte, len(signature)/2)
			ones := bytes.Repeat([]byte{0xff}, len(signature)/2)
			for what, wrong := range map[string][]byte{
				"nothing": nil, "half of it": signature[:len(signature)/2], "a byte less": signature[:len(signature)-1], "two bytes more": append(bytes.Clone(signature), 0, 0),
				"another r": flipped(len(signature)/2 - 1), "another s": flipped(len(signature) - 1),
				"r of 0": slices.Concat(zero, signature[len(zero):]), "s of 0": slices.Concat(signature[:len(zero)], zero),
				"r beyond the order": slices.Concat(ones, signature[len(ones):]), "s beyond the order": slices.Concat(signature[:len(ones)], ones),
			} {
				if Verify(mine.public, text, wrong) {
					t.Errorf("it verifies: %s", what)
				}
			}
			if Verify(mine.public, []byte("another text"), signature) || Verify(others[name].public, text, signature) {
				t.Error("it verifies for another text or key")
			}
		})
	}
	for name, pub := range map[string]crypto.PublicKey{"nothing": nil, "RSA": &rsa.PublicKey{}, "half a key": ed25519.PublicKey{1}} {
		if Verify(pub, text, make([]byte, 64)) {
			t.Errorf("%s verifies", name)
		}
	}
}

func TestAgree(t *testing.T) {
	others := holders(t)
	for name, mine := range holders(t) {
		t.Run(name, func(t *testing.T) {
			point, secret, err := Agree(mine.public)
			if mine.agree == nil {
				if err == nil {
					t.Error("a key that only signs agrees on a secret")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(mine.agree(point), secret) {
				t.Error("the holder of the private key finds another secret")
			}
			if bytes.Equal(others[name].agree(point), secret) {
				t.Error("the holder of another key finds it too")
			}
			if again, _, _ := Agree(mine.public); bytes.Equal(again, point) {
				t.Error("the fresh key is not fresh")
			}
		})
	}
	if _, _, err := Agree((*secp256k1.PublicKey)(nil)); err == nil {
		t.Error("no key agrees on a secret")
	}
}

func TestParseECParams(t *testing.T) {
	for _, curve := range Curves() {
		params, _ := ECParams(curve)
		if got, err := ParseECParams(params); err != nil || got != curve {
			t.Errorf("%s: got %q, %v", curve, got, err)
		}
	}
	for name, params := range map[string][]byte{"nothing": nil, "another curve's OID": unhex("06052b81040021"), "no curve at all": []byte("a curve")} {
		if got, err := ParseECParams(params); err == nil {
			t.Errorf("%s is %q", name, got)
		}
	}
}

// A signature in DER has r and s without leading zeros, and with one where their first bit is set.
func TestASignatureInDERIsWrittenForJOSE(t *testing.T) {
	pub := holders(t)[P256].public
	wide := func(last byte) []byte { return append(make([]byte, 31), last) }
	for name, row := range map[string]struct {
		der  []byte
		want []byte // nil: refused
	}{
		"small numbers": {[]byte{0x30, 6, 2, 1, 1, 2, 1, 2}, slices.Concat(wide(1), wide(2))},
		"a first bit":   {[]byte{0x30, 7, 2, 2, 0, 0x80, 2, 1, 2}, slices.Concat(wide(0x80), wide(2))},
		"too wide":      {slices.Concat([]byte{0x30, 38, 2, 33}, bytes.Repeat([]byte{1}, 33), []byte{2, 1, 2}), nil},
		"negative":      {[]byte{0x30, 6, 2, 1, 0x80, 2, 1, 2}, nil},
		"a tail":        {[]byte{0x30, 6, 2, 1, 1, 2, 1, 2, 0}, nil},
		"three numbers": {[]byte{0x30, 9, 2, 1, 1, 2, 1, 2, 2, 1, 3}, nil},
		"nothing":       {nil, nil},
		"raw":           {make([]byte, 64), nil},
	} {
		side, ok := SignatureRaw(pub, row.der)
		if ok != (row.want != nil) || !bytes.Equal(side, row.want) {
			t.Errorf("%s: %x, %v", name, side, ok)
		}
	}
	if _, ok := SignatureRaw(holders(t)[Ed25519].public, nil); ok {
		t.Error("nothing is a signature of Ed25519")
	}
}
