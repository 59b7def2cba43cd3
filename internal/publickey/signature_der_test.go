package publickey

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"testing"
)

// TestSignatureDER turns signatures into DER and back, and reads no others.
func TestSignatureDER(t *testing.T) {
	text := []byte("what is signed")
	digest := sha256.Sum256(text)
	for name, h := range holders(t) {
		raw := h.sign(text)
		der, ok := SignatureDER(h.public, raw)
		if CurveSize(h.public) == 0 || name == Ed25519 {
			if ok || der != nil {
				t.Errorf("%s has a signature in DER", name)
			}
			continue
		}
		if !ok || !VerifyDigestDER(h.public, digest[:], der) {
			t.Errorf("%s: %x", name, der)
		}
		if key, isNIST := h.public.(*ecdsa.PublicKey); isNIST && !ecdsa.VerifyASN1(key, digest[:], der) {
			t.Errorf("%s: Go does not verify %x", name, der)
		}
		if back, ok := SignatureRaw(h.public, der); !ok || !bytes.Equal(back, raw) {
			t.Errorf("%s: %x came back as %x", name, raw, back)
		}
		for what, bad := range map[string][]byte{
			"nothing": nil, "a byte more": append(bytes.Clone(der), 0), "a byte less": der[:len(der)-1], "raw": raw,
			"three numbers": {0x30, 9, 2, 1, 1, 2, 1, 1, 2, 1, 1}, "a negative number": {0x30, 6, 2, 1, 0x80, 2, 1, 1},
			"a long number": append([]byte{0x30, 0x4d, 2, 0x48}, append(bytes.Repeat([]byte{1}, 0x48), 2, 1, 1)...),
		} {
			if back, ok := SignatureRaw(h.public, bad); ok || back != nil {
				t.Errorf("%s: %s is read as %x", name, what, back)
			}
		}
		for what, bad := range map[string][]byte{
			"nothing": nil, "an odd number of bytes": raw[:len(raw)-1],
			"too many bytes": append(bytes.Clone(raw), 0, 0),
		} {
			if der, ok := SignatureDER(h.public, bad); ok || der != nil {
				t.Errorf("%s: %s is written as %x", name, what, der)
			}
		}
	}
}
