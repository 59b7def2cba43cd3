package cryptoki

import "testing"

func TestParseSlot(t *testing.T) {
	for in, want := range map[string]uint{"0": 0, "10": 10, "0x1F": 31, "0X10": 16, "010": 10} {
		if got, err := ParseSlot(in); err != nil || got != want {
			t.Errorf("%s is %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "-1", "0x", "one", "1.5", "0x1g"} {
		if _, err := ParseSlot(in); err == nil {
			t.Errorf("%q is a slot ID", in)
		}
	}
}
