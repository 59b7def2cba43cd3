package jwk

import "testing"

func TestKID(t *testing.T) {
	for id, want := range map[string]string{
		"key-1": "key-1", "ü": "ü", "\x00": "00", "a\nb": "610a62", "\xff\xfe": "fffe", "a b": "a b", "e\u0301": "65cc81", "\u212b": "e284ab",
	} {
		if got := KID([]byte(id)); got != want {
			t.Errorf("kid of %q is %q, want %q", id, got, want)
		}
	}
}
