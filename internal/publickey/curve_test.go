package publickey

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

func unhex(s string) []byte {
	octets, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return octets
}

// octetString wraps what is shorter than 256 bytes in a DER OCTET STRING.
func octetString(octets []byte) []byte {
	if len(octets) < 128 {
		return slices.Concat([]byte{4, byte(len(octets))}, octets)
	}
	return slices.Concat([]byte{4, 0x81, byte(len(octets))}, octets)
}

func compressed(point []byte) []byte {
	size := (len(point) - 1) / 2
	return slices.Concat([]byte{2 + point[len(point)-1]&1}, point[1:1+size])
}

func TestCurvesAreInTheOrderOfTheTable(t *testing.T) {
	if got := fmt.Sprint(Curves()); got != "[P-256 P-384 P-521 secp256k1 Ed25519]" {
		t.Error(got)
	}
}

func TestACurveMayBeCalledOtherwise(t *testing.T) {
	for curve, names := range map[string][]string{
		P256: {"P-256", "prime256v1", "secp256r1", "SECP256R1", "nistp256", "p256", "P256"}, P384: {"secp384r1", "nistp384"},
		P521: {"secp521r1", "p521"}, Secp256k1: {"SECP256K1"}, Ed25519: {"ed25519", "edwards25519"}, "": {"", "P-224", "256"},
	} {
		for _, name := range names {
			if called := CurveCalled(name); called != curve {
				t.Errorf("%q is called %q, not %q", name, called, curve)
			}
		}
	}
}

func TestECParams(t *testing.T) {
	for curve, want := range map[string]string{
		P256:      "06082a8648ce3d030107",
		P384:      "06052b81040022",
		P521:      "06052b81040023",
		Secp256k1: "06052b8104000a",
		Ed25519:   "130c656477617264733235353139", // what SoftHSM 2.6.1 makes a key with
	} {
		params, ok := ECParams(curve)
		if !ok || hex.EncodeToString(params) != want {
			t.Errorf("%s: got %x, want %s", curve, params, want)
		}
	}
	params, ok := ECParamsOID(Ed25519)
	if !ok || hex.EncodeToString(params) != "06032b6570" {
		t.Errorf("the OID of Ed25519 is %x", params)
	}
	for _, write := range []func(string) ([]byte, bool){ECParams, ECParamsOID} {
		if params, ok := write("P-224"); ok {
			t.Errorf("there are parameters for a curve that is not in the table: %x", params)
		}
	}
}

func TestParseECReadsEachFormOfParametersAndPoint(t *testing.T) {
	forms := map[string]struct{ params, names []string }{
		P256:      {[]string{"06082a8648ce3d030107"}, []string{"secp256r1", "prime256v1", "P-256", "p-256"}},
		P384:      {[]string{"06052b81040022"}, []string{"secp384r1", "P-384"}},
		P521:      {[]string{"06052b81040023"}, []string{"secp521r1", "P-521"}},
		Secp256k1: {[]string{"06052b8104000a"}, []string{"secp256k1", "SECP256K1"}},
		Ed25519:   {[]string{"06032b6570", "06092b06010401da470f01"}, []string{"edwards25519", "Ed25519"}},
	}
	for curve, key := range newKeys(t) {
		if forms[curve].params == nil { // no key on a curve
			continue
		}
		point := Point(key)
		points := [][]byte{point, octetString(point)}
		if curve != Ed25519 {
			points = append(points, compressed(point), octetString(compressed(point)))
		} else {
			points = append(points, slices.Concat([]byte{3, 33, 0}, point)) // a BIT STRING
		}
		var params [][]byte
		for _, der := range forms[curve].params {
			params = append(params, unhex(der))
		}
		for _, name := range forms[curve].names {
			params = append(params, []byte(name), slices.Concat([]byte{0x13, byte(len(name))}, []byte(name)))
		}
		for _, p := range params {
			for _, pt := range points {
				got, name, err := ParseEC(p, pt)
				if err != nil || name != curve || !Equal(got, key) {
					t.Errorf("%s: params %x, point %x: got %v on %q, error %v", curve, p, pt, got, name, err)
				}
			}
		}
		if Curve(key) != curve {
			t.Errorf("the key on %s is said to be on %q", curve, Curve(key))
		}
		again, err := NewEC(curve, point)
		if err != nil || !Equal(again, key) {
			t.Errorf("%s: its own point is not read: %v", curve, err)
		}
	}
}

func TestParseECRefuses(t *testing.T) {
	// These keys are always the same: one of 256 points of fresh ones, cut off, is an OCTET STRING with other bytes.
	keys := map[string]crypto.PublicKey{
		Secp256k1: secp256k1.PrivKeyFromBytes([]byte{1}).PubKey(),
		Ed25519:   ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public(),
	}
	for name, curve := range map[string]elliptic.Curve{P256: elliptic.P256(), P521: elliptic.P521()} {
		private, err := ecdsa.ParseRawPrivateKey(curve, append(make([]byte, curveNamed(name).size-1), 1))
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = private.Public()
	}
	p256, p521, ed := Point(keys[P256]), Point(keys[P521]), Point(keys[Ed25519])
	change := func(point []byte, at int, to byte) []byte {
		point = slices.Clone(point)
		point[at] = to
		return point
	}
	oid := unhex("06082a8648ce3d030107")
	const none = " not one of P-256, P-384, P-521, secp256k1, Ed25519"
	const noForm = "CKA_EC_POINT is not a point on P-256: its %d bytes have none of the forms that a point can have"
	for _, test := range []struct {
		name          string
		params, point []byte
		err           string
	}{
		{"no parameters", nil, p256, "CKA_EC_PARAMS is absent"},
		{"another curve's OID", unhex("06052b81040021"), p256, "CKA_EC_PARAMS names the curve 1.3.132.0.33, which is" + none},
		{"another curve's name", []byte("secp224r1"), p256, "CKA_EC_PARAMS names the curve secp224r1, which is" + none},
		{"a whole curve instead of its name", unhex("3000"), p256, "CKA_EC_PARAMS names the curve of explicit parameters, which is" + none},
		{"a SEQUENCE and more", unhex("300000"), p256, "CKA_EC_PARAMS is neither the OID nor the name of one of" +
			strings.TrimPrefix(none, " not one of")},
		{"an empty name", unhex("1300"), p256, "CKA_EC_PARAMS is neither the OID nor the name of one of" +
			strings.TrimPrefix(none, " not one of")},
		{"an OID and more", append(slices.Clone(oid), 0), p256,
			"CKA_EC_PARAMS is neither the OID nor the name of one of" + strings.TrimPrefix(none, " not one of")},
		{"no point", oid, nil, "CKA_EC_POINT is absent"},
		{"an empty OCTET STRING", oid, []byte{4, 0}, "CKA_EC_POINT is absent"},
		{"a point of another curve", oid, p521, fmt.Sprintf(noForm, 133)},
		{"a point that is cut off", oid, p256[:64], fmt.Sprintf(noForm, 64)},
		{"a point and more", oid, append(slices.Clone(p256), 0), fmt.Sprintf(noForm, 66)},
		{"an OCTET STRING and more", oid, append(octetString(p256), 0), fmt.Sprintf(noForm, 68)},
		{"a length that is not DER", oid, slices.Concat([]byte{4, 0x81, 65}, p256), fmt.Sprintf(noForm, 68)},
		{"an OCTET STRING in another", oid, octetString(octetString(p256)), fmt.Sprintf(noForm, 67)},
		{"the hybrid form", oid, change(p256, 0, 6+p256[64]&1), fmt.Sprintf(noForm, 65)},
		{"the hybrid form on secp256k1", []byte("secp256k1"),
			change(Point(keys[Secp256k1]), 0, 6+Point(keys[Secp256k1])[64]&1),
			"CKA_EC_POINT is not a point on secp256k1: its 65 bytes have none of the forms that a point can have"},
		{"the point at infinity", oid, []byte{0}, fmt.Sprintf(noForm, 1)},
		{"zeros", oid, slices.Concat([]byte{4}, make([]byte, 64)), "CKA_EC_POINT is not on P-256"},
		{"a point beside the curve", oid, change(p256, 64, p256[64]^1), "CKA_EC_POINT is not on P-256"},
		{"a point of P-256 on secp256k1", []byte("secp256k1"), p256, "CKA_EC_POINT is not on secp256k1"},
		{"an x that no point has", oid, unhex("02 0000000000000000000000000000000000000000000000000000000000000001"), "CKA_EC_POINT is not on P-256"},
		{"an x as large as p", oid, unhex("02 ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"), "CKA_EC_POINT is not on P-256"},
		{"an Ed25519 point of 31 bytes", []byte("Ed25519"), ed[:31],
			"CKA_EC_POINT is not a point on Ed25519: its 31 bytes have none of the forms that a point can have"},
		{"a P-256 point in a BIT STRING", oid, slices.Concat([]byte{3, 66, 0}, p256), fmt.Sprintf(noForm, 68)},
		{"an Ed25519 point in a BIT STRING with bits to spare", []byte("Ed25519"), slices.Concat([]byte{3, 33, 1},
			change(ed, 31, 2)),
			"CKA_EC_POINT is not a point on Ed25519: its 35 bytes have none of the forms that a point can have"},
		{"an Ed25519 point in a BIT STRING, and more", []byte("Ed25519"), slices.Concat([]byte{3, 33, 0}, ed,
			[]byte{0}),
			"CKA_EC_POINT is not a point on Ed25519: its 36 bytes have none of the forms that a point can have"},
		{"an Ed25519 point of zeros", []byte("Ed25519"), make([]byte, 32), "CKA_EC_POINT is not on Ed25519"},
	} {
		t.Run(test.name, func(t *testing.T) {
			key, curve, err := ParseEC(test.params, test.point)
			if err == nil || err.Error() != test.err || key != nil || curve != "" {
				t.Errorf("got %v on %q, error %v; want the error %s", key, curve, err, test.err)
			}
			_, unsupported := errors.AsType[*UnsupportedCurveError](err)
			if unsupported != strings.Contains(test.err, "names the curve") {
				t.Errorf("the error says that only the curve is not supported: %v", unsupported)
			}
		})
	}
}

func TestNewECRefusesAnUnknownCurve(t *testing.T) {
	_, err := NewEC("P-224", []byte{4})
	if err == nil || err.Error() != `the curve "P-224" is not one of P-256, P-384, P-521, secp256k1, Ed25519` {
		t.Error(err)
	}
}

func TestEd25519Points(t *testing.T) {
	zeros, ones := strings.Repeat("00", 30), strings.Repeat("ff", 30)
	for _, test := range []struct {
		name, point string
		ok          bool
	}{
		{"the key of RFC 8032, 7.1, test 1", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", true},
		{"the key of RFC 8032, 7.1, test 2", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", true},
		{"the base point", "58" + strings.Repeat("66", 31), true},
		{"y is 3, which the curve has", "03" + zeros + "00", true},
		{"y is 2, which the curve has not", "02" + zeros + "00", false},
		{"y is 7, which the curve has not", "07" + zeros + "80", false},
		{"order 1", "01" + zeros + "00", false},
		{"order 1, with a sign that 0 has not", "01" + zeros + "80", false},
		{"order 1, by y = p + 1", "ee" + ones + "7f", false},
		{"order 2", "ec" + ones + "7f", false},
		{"order 2, with a sign that 0 has not", "ec" + ones + "ff", false},
		{"order 4", "00" + zeros + "00", false},
		{"order 4, the other", "00" + zeros + "80", false},
		{"order 4, by y = p", "ed" + ones + "7f", false},
		{"order 8", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", false},
		{"order 8, the second", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85", false},
		{"order 8, the third", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", false},
		{"order 8, the fourth", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa", false},
		{"y is 3 by p + 3", "f0" + ones + "7f", false},
		{"all ones", "ff" + ones + "ff", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			key, err := NewEC(Ed25519, unhex(test.point))
			if ok := err == nil; ok != test.ok {
				t.Fatalf("got %v, error %v", key, err)
			}
			if test.ok && hex.EncodeToString(Point(key)) != test.point {
				t.Errorf("it is read as %x", Point(key))
			}
		})
	}
}

func FuzzParseEC(f *testing.F) {
	for curve, key := range newKeys(f) {
		if params, ok := ECParams(curve); ok {
			f.Add(params, octetString(Point(key)))
			f.Add([]byte(curve), Point(key))
			f.Add(params, compressed(Point(key)))
		}
	}
	f.Add([]byte("Ed25519"), make([]byte, 34))
	f.Fuzz(func(t *testing.T, params, point []byte) {
		key, curve, err := ParseEC(params, point)
		if err != nil {
			if key != nil || curve != "" {
				t.Fatalf("an error, and the key %v", key)
			}
			return
		}
		if Curve(key) != curve {
			t.Fatalf("a key on %q is said to be on %q", Curve(key), curve)
		}
		roundTrip(t, key)
		canonical := Point(key)
		x := canonical
		if curve != Ed25519 {
			x = canonical[1 : 1+len(canonical)/2]
		}
		if !bytes.Contains(point, x) {
			t.Fatalf("the point %x is read as %x", point, canonical)
		}
		written, _ := ECParams(curve)
		again, name, err := ParseEC(written, canonical)
		if err != nil || name != curve || !Equal(again, key) {
			t.Fatalf("its own point %x on %s is read as %v, error %v", canonical, curve, again, err)
		}
	})
}
