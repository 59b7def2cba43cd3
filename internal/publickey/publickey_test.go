package publickey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"testing"

	"github.com/cloudflare/circl/sign"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
	"github.com/cloudflare/circl/sign/mldsa/mldsa87"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// newKeys are fresh keys, one of each kind, by kty or curve.
func newKeys(t testing.TB) map[string]crypto.PublicKey {
	t.Helper()
	keys := map[string]crypto.PublicKey{}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keys["RSA"] = private.Public()
	for name, curve := range map[string]elliptic.Curve{P256: elliptic.P256(), P384: elliptic.P384(), P521: elliptic.P521()} {
		private, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = private.Public()
	}
	k1, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	keys[Secp256k1] = k1.PubKey()
	keys[Ed25519], _, err = ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, scheme := range map[string]sign.Scheme{
		MLDSA44: mldsa44.Scheme(), MLDSA65: mldsa65.Scheme(), MLDSA87: mldsa87.Scheme(),
	} {
		public, _, err := scheme.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		octets, err := public.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if keys[name], err = NewMLDSA(name, octets); err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

func TestEqualIsTrueOfTheSameKeyAlone(t *testing.T) {
	keys, others := newKeys(t), newKeys(t)
	for name, key := range keys {
		if !Equal(key, roundTrip(t, key)) {
			t.Errorf("%s: a key does not equal its copy", name)
		}
		for otherName, other := range others {
			if Equal(key, other) {
				t.Errorf("the %s key equals another one, of %s", name, otherName)
			}
		}
		for _, none := range noKeys {
			if Equal(key, none) || Equal(none, key) || Equal(none, none) {
				t.Errorf("%T, which is no key, equals something", none)
			}
		}
	}
}

// noKeys are values that are no public key of this package.
var noKeys = []crypto.PublicKey{
	nil, "text", (*rsa.PublicKey)(nil), &rsa.PublicKey{}, (*ecdsa.PublicKey)(nil), &ecdsa.PublicKey{},
	&ecdsa.PublicKey{Curve: elliptic.P224()}, (*secp256k1.PublicKey)(nil), ed25519.PublicKey(nil), ed25519.PublicKey{1, 2},
	rsa.PublicKey{}, (*MLDSAPublicKey)(nil), &MLDSAPublicKey{}, MLDSAPublicKey{},
}

func TestWhatIsNoKeyIsRefusedAndNotAPanic(t *testing.T) {
	for _, none := range noKeys {
		if c := Curve(none); c != "" {
			t.Errorf("%T is on the curve %s", none, c)
		}
		if p := Point(none); p != nil {
			t.Errorf("%T is the point %x", none, p)
		}
		for name, write := range map[string]func(crypto.PublicKey) (string, error){"PEM": PEM, "Fingerprint": Fingerprint, "OpenSSH": OpenSSH} {
			if text, err := write(none); err == nil {
				t.Errorf("%s of %T is %q", name, none, text)
			}
		}
	}
}

func roundTrip(t testing.TB, key crypto.PublicKey) crypto.PublicKey {
	t.Helper()
	der, err := MarshalSPKI(key)
	if err != nil {
		t.Fatal(err)
	}
	read, err := ParseSPKI(der)
	if err != nil {
		t.Fatalf("%x: %v", der, err)
	}
	if !Equal(key, read) {
		t.Fatalf("%x is read as another key", der)
	}
	return read
}
