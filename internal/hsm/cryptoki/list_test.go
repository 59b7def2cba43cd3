package cryptoki

import (
	"errors"
	"slices"
	"testing"

	"github.com/miekg/pkcs11"
)

// TestListsOfModulesThatLie asks modules that count as none should: no more is taken than there was room for, and
// nothing panics.
func TestListsOfModulesThatLie(t *testing.T) {
	// answer is what a module does in one call: the count that it gives, how many entries it writes, and its code.
	type answer struct {
		count uint
		write int
		code  RV
	}
	for name, c := range map[string]struct {
		answers []answer
		want    []uint // where it is a list
		err     error  // where it is a code
		lie     bool   // where it is an answer that makes no sense
	}{
		"an honest one":        {answers: []answer{{count: 2}, {count: 2, write: 2}}, want: []uint{100, 101}},
		"one that has nothing": {answers: []answer{{count: 0}}},
		"one that is asked for its length and refuses": {answers: []answer{{code: CKR_DEVICE_ERROR}}, err: CKR_DEVICE_ERROR},
		"one that then refuses":                        {answers: []answer{{count: 2}, {code: CKR_DEVICE_ERROR}}, err: CKR_DEVICE_ERROR},
		"one that says of a length that there is no room": {
			answers: []answer{{count: 2, code: CKR_BUFFER_TOO_SMALL}, {count: 2, write: 2}}, want: []uint{100, 101},
		},
		"one that has got shorter": {answers: []answer{{count: 3}, {count: 1, write: 1}}, want: []uint{100}},
		"one that has got longer": {
			answers: []answer{{count: 1}, {count: 2, code: CKR_BUFFER_TOO_SMALL}, {count: 2}, {count: 2, write: 2}}, want: []uint{100, 101},
		},
		"one that grows for ever": {
			answers: []answer{{count: 1}, {code: CKR_BUFFER_TOO_SMALL}, {count: 2}, {code: CKR_BUFFER_TOO_SMALL}, {count: 3}, {code: CKR_BUFFER_TOO_SMALL}}, lie: true,
		},
		"one that counts to the moon":            {answers: []answer{{count: ^uint(0)}}, lie: true},
		"one that then counts to the moon":       {answers: []answer{{count: 2}, {count: ^uint(0), write: 2}}, lie: true},
		"one that writes one more than it may":   {answers: []answer{{count: 2}, {count: 3, write: 3}}, lie: true},
		"one that does and does not say so":      {answers: []answer{{count: 2}, {count: 2, write: 3}}, want: []uint{100, 101}},
		"one that says nothing and writes a few": {answers: []answer{{count: 2}, {count: 0, write: 2}}, want: []uint{}},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			list, err := askList("C_GetMechanismList", func(list []uint, count *uint) error {
				if asked == len(c.answers) {
					t.Fatal("it is asked once more")
				}
				a := c.answers[asked]
				asked++
				*count = a.count
				for i := range a.write {
					list[:cap(list)][i] = 100 + uint(i)
				}
				if a.code != 0 {
					return pkcs11.Error(a.code)
				}
				return nil
			})
			if asked != len(c.answers) {
				t.Errorf("it was asked %d times, not %d", asked, len(c.answers))
			}
			_, lie := errors.AsType[*AnswerError](err)
			if lie != c.lie || !errors.Is(functionError("C_GetMechanismList", err), c.err) && !lie || !slices.Equal(list, c.want) {
				t.Errorf("got %v, %v", list, err)
			}
		})
	}
}

func TestMechanismNames(t *testing.T) {
	for mechanism, want := range map[MechanismType]string{
		0: "CKM_RSA_PKCS_KEY_PAIR_GEN", 0x1040: "CKM_EC_KEY_PAIR_GEN", 0x1057: "CKM_EDDSA", 0x1087: "CKM_AES_GCM",
		0x402C: "CKM_HKDF_KEY_GEN", 0x80000001: "0x80000001", 0xF: "0x0000000F",
	} {
		if got := mechanism.String(); got != want {
			t.Errorf("0x%X is %s, not %s", uint(mechanism), got, want)
		}
	}
	numbers := map[string]MechanismType{}
	for number, name := range mechanismNames {
		if other, taken := numbers[name]; taken {
			t.Errorf("%s is both 0x%X and 0x%X", name, uint(number), uint(other))
		}
		numbers[name] = number
	}
}
