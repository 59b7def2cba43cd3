package publickey

import (
	"bytes"
	"errors"
	"math/big"
	"slices"
	"testing"
)

// modulus is an odd number of so many bits.
func modulus(bits int) []byte {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return n.SetBit(n, 0, 1).Bytes()
}

func TestParseRSA(t *testing.T) {
	f4 := []byte{1, 0, 1}
	for _, test := range []struct {
		name              string
		modulus, exponent []byte
		e                 int
		err               string
		unsupported       bool // only the size is at fault
	}{
		{name: "a modulus of 2048 bits and F4", modulus: modulus(2048), exponent: f4, e: 65537},
		{name: "leading zeros mean nothing", modulus: slices.Concat(make([]byte, 5000), modulus(2048)), exponent: []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1}, e: 65537},
		{name: "the exponent 3 is read", modulus: modulus(2048), exponent: []byte{3}, e: 3},
		{name: "an old key of 1024 bits is read", modulus: modulus(1024), exponent: f4, e: 65537},
		{name: "512 bits are the least", modulus: modulus(512), exponent: f4, e: 65537},
		{name: "16384 bits are the most", modulus: modulus(16384), exponent: f4, e: 65537},
		{name: "the largest exponent", modulus: modulus(2048), exponent: []byte{0x7f, 0xff, 0xff, 0xff}, e: 1<<31 - 1},
		{name: "no modulus", exponent: f4, err: "CKA_MODULUS is absent"},
		{name: "a modulus of zeros", modulus: make([]byte, 256), exponent: f4, err: "CKA_MODULUS is 0"},
		{name: "an even modulus", modulus: slices.Concat(modulus(2048)[:255], []byte{2}), exponent: f4, err: "CKA_MODULUS is even"},
		{name: "a modulus of 3 bits", modulus: []byte{7}, exponent: f4,
			err: "CKA_MODULUS has 3 bits, but at least 512 are needed"},
		{name: "a modulus of 511 bits", modulus: modulus(511), exponent: f4,
			err: "CKA_MODULUS has 511 bits, but at least 512 are needed", unsupported: true},
		{name: "a modulus of 16385 bits", modulus: modulus(16385), exponent: f4,
			err: "CKA_MODULUS has 2049 bytes, but at most 16384 bits are supported", unsupported: true},
		{name: "a modulus of a megabyte", modulus: bytes.Repeat([]byte{255}, 1<<20), exponent: f4,
			err: "CKA_MODULUS has 1048576 bytes, but at most 16384 bits are supported", unsupported: true},
		{name: "no exponent", modulus: modulus(2048), err: "CKA_PUBLIC_EXPONENT is absent"},
		{name: "the exponent 0", modulus: modulus(2048), exponent: []byte{0}, err: "CKA_PUBLIC_EXPONENT is 0"},
		{name: "the exponent 1", modulus: modulus(2048), exponent: []byte{0, 1}, err: "CKA_PUBLIC_EXPONENT is 1"},
		{name: "an even exponent", modulus: modulus(2048), exponent: []byte{1, 0, 0}, err: "CKA_PUBLIC_EXPONENT is even"},
		{name: "an exponent of 32 bits", modulus: modulus(2048), exponent: []byte{0x80, 0, 0, 1},
			err: "CKA_PUBLIC_EXPONENT has 32 bits, but at most 31 are supported", unsupported: true},
		{name: "an exponent that would wrap round to F4", modulus: modulus(2048),
			exponent: []byte{1, 0, 0, 0, 0, 0, 1, 0, 1},
			err:      "CKA_PUBLIC_EXPONENT has 9 bytes, but at most 31 bits are supported", unsupported: true},
		{name: "an exponent larger than the modulus", modulus: modulus(512), exponent: modulus(1024),
			err: "CKA_PUBLIC_EXPONENT is not smaller than CKA_MODULUS"},
		{name: "the exponent 2^32+1", modulus: modulus(2048), exponent: []byte{1, 0, 0, 0, 1},
			err: "CKA_PUBLIC_EXPONENT has 5 bytes, but at most 31 bits are supported", unsupported: true},
		{name: "a large exponent that is even", modulus: modulus(2048), exponent: []byte{1, 0, 0, 0, 2},
			err: "CKA_PUBLIC_EXPONENT is even"},
		{name: "a small modulus without an exponent", modulus: modulus(256), err: "CKA_PUBLIC_EXPONENT is absent"},
		{name: "a small modulus with the exponent 1", modulus: modulus(256), exponent: []byte{1},
			err: "CKA_PUBLIC_EXPONENT is 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			key, err := ParseRSA(test.modulus, test.exponent)
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Fatalf("got the error %v, want %s", err, test.err)
				}
				if _, unsupported := errors.AsType[*UnsupportedRSAError](err); unsupported != test.unsupported {
					t.Errorf("the error says that only a size is not supported: %v", unsupported)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if key.E != test.e || key.N.Cmp(new(big.Int).SetBytes(test.modulus)) != 0 {
				t.Errorf("got E %d and N %x", key.E, key.N)
			}
		})
	}
}

func TestNewRSASpeaksOfNoAttribute(t *testing.T) {
	if _, err := NewRSA(modulus(2048), []byte{4}); err == nil || err.Error() != "the public exponent is even" {
		t.Error(err)
	}
}

func FuzzParseRSA(f *testing.F) {
	f.Add(modulus(512), []byte{1, 0, 1})
	f.Add(modulus(2048), []byte{0, 3})
	f.Add([]byte{7}, []byte{1})
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, n, e []byte) {
		key, err := ParseRSA(n, e)
		if err != nil {
			return
		}
		if !bytes.Equal(key.N.Bytes(), bytes.TrimLeft(n, "\x00")) || big.NewInt(int64(key.E)).Cmp(new(big.Int).SetBytes(e)) != 0 {
			t.Fatalf("%x, %x is read as %x, %d", n, e, key.N, key.E)
		}
		roundTrip(t, key)
		if _, err := OpenSSH(key); err != nil {
			t.Fatal(err)
		}
	})
}
