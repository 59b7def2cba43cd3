package cryptoki

import "testing"

// TestATextEndsAtItsZeroByte reads what modules write in C's way into fields that PKCS#11 pads with blanks.
func TestATextEndsAtItsZeroByte(t *testing.T) {
	for text, want := range map[string]string{"v1": "v1", "v1\x00\x00": "v1", "v1 \x00rest": "v1", "\x00": ""} {
		if got := cut(text); got != want {
			t.Errorf("%q: %q, not %q", text, got, want)
		}
	}
}
