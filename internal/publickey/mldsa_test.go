package publickey

import (
	"crypto"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
	"github.com/cloudflare/circl/sign/mldsa/mldsa87"
)

// rfc9881 are the keys of RFC 9881, C: their seed is 00 to 1f. The RFC shows each as PEM.
var rfc9881 = map[string]struct {
	ckp              uint
	size, signature  int
	seeded           func(seed [32]byte) []byte
	begins, spkiHash string // the start of the first line of the PEM, and the SHA-256 of all of its DER
}{
	MLDSA44: {
		1, 1312, 2420, func(seed [32]byte) []byte { k, _ := mldsa44.NewKeyFromSeed(&seed); return k.Bytes() },
		"MIIFMjALBglghkgBZQMEAxEDggUhANeytHJUquDbReeTDUqY0sl9jxOX0Xidr6Fw",
		"837832708c5236d951581f1fddf2b79991b3424a0486d16da1ddad0fd69701be",
	},
	MLDSA65: {
		2, 1952, 3309, func(seed [32]byte) []byte { k, _ := mldsa65.NewKeyFromSeed(&seed); return k.Bytes() },
		"MIIHsjALBglghkgBZQMEAxIDggehAEhoPZGXjjHrPd24sEc0gtK4il9iWUn9j1il",
		"b8b62131bfbe84433efb2273d7f5b87f7a22854a2cfd366fc2aead86d837c52d",
	},
	MLDSA87: {
		3, 2592, 4627, func(seed [32]byte) []byte { k, _ := mldsa87.NewKeyFromSeed(&seed); return k.Bytes() },
		"MIIKMjALBglghkgBZQMEAxMDggohAJeSvOwvJDBoaoL8zzwvX/Zl53HXq0G5AljP",
		"07e57c4f14dbad1267f621ec3777b4e2e6c4fbc4c22fbb87510ff8e0b3c6a642",
	},
}

func TestMLDSAKeysAreThoseOfTheRFC(t *testing.T) {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(i)
	}
	for _, set := range ParameterSets() {
		want := rfc9881[set]
		octets := want.seeded(seed)
		key, err := ParseMLDSA(want.ckp, octets)
		if err != nil {
			t.Fatal(err)
		}
		if len(octets) != want.size || ParameterSet(key) != set || SignatureSize(key) != want.signature ||
			string(MLDSABytes(key)) != string(octets) || !key.(*MLDSAPublicKey).Equal(roundTrip(t, key)) {
			t.Errorf("%s: %d bytes, on %q, with signatures of %d", set, len(octets), ParameterSet(key), SignatureSize(key))
		}
		text, err := PEM(key)
		lines := strings.Split(text, "\n")
		if err != nil || lines[1] != want.begins {
			t.Errorf("%s: error %v, the PEM begins with %s", set, err, lines[1])
		}
		if fingerprint, err := Fingerprint(key); err != nil || fingerprint != want.spkiHash {
			t.Errorf("%s: the fingerprint is %s, error %v", set, fingerprint, err)
		}
		if read, err := ParsePEM(text); err != nil || !Equal(read, key) {
			t.Errorf("%s: the PEM is read as another key, error %v", set, err)
		}
		if _, err := OpenSSH(key); !errors.Is(err, ErrNoOpenSSH) {
			t.Errorf("%s: OpenSSH has it: %v", set, err)
		}
		if ckp, ok := ParameterSetNumber(set); !ok || ckp != want.ckp {
			t.Errorf("%s: CKA_PARAMETER_SET is %d", set, ckp)
		}
	}
	if ckp, ok := ParameterSetNumber("ML-DSA-43"); ok {
		t.Errorf("a set that there is not has the number %d", ckp)
	}
}

func TestMLDSARefuses(t *testing.T) {
	value := make([]byte, 1312)
	with := func(params string) []byte { // a SubjectPublicKeyInfo of ML-DSA-44 with parameters
		der, err := hex.DecodeString("30820532300b0609608648016503040311" + "0382052100")
		if err != nil {
			t.Fatal(err)
		}
		parameters, err := hex.DecodeString(params)
		if err != nil {
			t.Fatal(err)
		}
		der[3] += byte(len(parameters))
		der[5] += byte(len(parameters))
		return append(append(append([]byte{}, der[:17]...), append(parameters, der[17:]...)...), value...)
	}
	if _, err := ParseSPKI(with("")); err != nil {
		t.Errorf("without parameters: %v", err)
	}
	for name, c := range map[string]struct {
		make func() (crypto.PublicKey, error)
		err  string
	}{
		"a number of no set": {func() (crypto.PublicKey, error) { return ParseMLDSA(4, value) },
			"CKA_PARAMETER_SET is 4, which is not one of ML-DSA-44, ML-DSA-65, ML-DSA-87"},
		"no value": {func() (crypto.PublicKey, error) { return ParseMLDSA(1, nil) }, "CKA_VALUE is absent"},
		"a byte too few": {func() (crypto.PublicKey, error) { return ParseMLDSA(1, value[1:]) },
			"CKA_VALUE makes no key: an ML-DSA-44 public key has 1312 bytes, not 1311"},
		"a byte too many": {func() (crypto.PublicKey, error) { return NewMLDSA(MLDSA44, make([]byte, 1313)) },
			"an ML-DSA-44 public key has 1312 bytes, not 1313"},
		"the length of another set": {func() (crypto.PublicKey, error) { return NewMLDSA(MLDSA65, value) },
			"an ML-DSA-65 public key has 1952 bytes, not 1312"},
		"another set": {func() (crypto.PublicKey, error) { return NewMLDSA("ML-DSA-43", value) },
			`the parameter set "ML-DSA-43" is not one of ML-DSA-44, ML-DSA-65, ML-DSA-87`},
		"parameters (RFC 9881, 2: absent)": {func() (crypto.PublicKey, error) { return ParseSPKI(with("0500")) },
			"the key is ML-DSA-44, but it has parameters"},
	} {
		if key, err := c.make(); err == nil || err.Error() != c.err || key != nil {
			t.Errorf("%s: got %v, error %v; want %s", name, key, err, c.err)
		}
	}
	if _, err := ParseParameterSet(0); err == nil {
		t.Error("0 is a parameter set")
	} else if unsupported, ok := errors.AsType[*UnsupportedParameterSetError](err); !ok || unsupported.Number != 0 {
		t.Errorf("the error is %v", err)
	}
}

// TestACertificateForMLDSAIsRead reads the key of the start of one, as far as its key: a certificate needs no more.
func TestACertificateForMLDSAIsRead(t *testing.T) {
	der, err := base64.StdEncoding.DecodeString(rfc9881[MLDSA44].begins)
	if err != nil {
		t.Fatal(err)
	}
	spki := make([]byte, 22+1312)
	copy(spki, der)
	want, err := ParseSPKI(spki)
	if err != nil {
		t.Fatal(err)
	}
	sequence := func(content []byte) []byte {
		return append([]byte{0x30, 0x82, byte(len(content) >> 8), byte(len(content))}, content...)
	}
	before := []byte{0x02, 0x01, 0x01, 0x30, 0x00, 0x30, 0x00, 0x30, 0x00, 0x30, 0x00} // serial number to subject
	info, err := parseCertificate(sequence(sequence(append(before, spki...))))
	if err != nil || !Equal(info.PublicKey, want) {
		t.Errorf("got %v, error %v", info, err)
	}
}
