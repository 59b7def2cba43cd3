package object

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// mlDSA puts halves of an ML-DSA pair with the ID 1: of any number of a parameter set, with any value.
func (s *shelf) mlDSA(label string, set, value []byte, classes ...uint) *shelf {
	for _, class := range classes {
		a := cryptoki.Attributes{
			cryptoki.CKA_CLASS: ulong(class), cryptoki.CKA_KEY_TYPE: ulong(cryptoki.CKK_ML_DSA), cryptoki.CKA_ID: []byte("1"),
			cryptoki.CKA_LABEL: []byte(label),
		}
		if set != nil {
			a[cryptoki.CKA_PARAMETER_SET] = set
		}
		if class == cryptoki.CKO_PUBLIC_KEY {
			a[cryptoki.CKA_VALUE] = value
		}
		s.put(a)
	}
	return s
}

func TestHalvesOfMLDSAAreMatchedByTheirParameterSets(t *testing.T) {
	of44, of65 := bytes.Repeat([]byte{4}, 1312), bytes.Repeat([]byte{6}, 1952)
	for name, c := range map[string]struct {
		fill func(*shelf)
		keys string
		what string // of all that is broken
	}{
		"a pair": {func(s *shelf) { s.mlDSA("a", ulong(1), of44, both...) }, "[a/1]", ""},
		"pairs of two sets under one ID": {func(s *shelf) {
			s.mlDSA("a", ulong(1), of44, both...).mlDSA("b", ulong(2), of65, both...)
		}, "[a/1 b/1]", ""},
		"pairs of one set under one ID": {func(s *shelf) {
			s.mlDSA("a", ulong(1), of44, both...).mlDSA("b", ulong(1), bytes.Repeat([]byte{5}, 1312), both...)
		}, "[]", "nothing shows which of their halves belong together"},
		"a private half that shows no set": {func(s *shelf) {
			s.mlDSA("a", nil, nil, cryptoki.CKO_PRIVATE_KEY).mlDSA("a", ulong(2), of65, cryptoki.CKO_PUBLIC_KEY)
		}, "[a/1]", ""},
		"a public half that shows no set": {func(s *shelf) {
			s.mlDSA("a", ulong(1), nil, cryptoki.CKO_PRIVATE_KEY).mlDSA("a", nil, of44, cryptoki.CKO_PUBLIC_KEY)
		}, "[]", "the token did not give CKA_PARAMETER_SET"},
		"a public half without its value": {func(s *shelf) { s.mlDSA("a", ulong(1), nil, both...) }, "[]", "CKA_VALUE is absent"},
		"a set of no sound length": {func(s *shelf) { s.mlDSA("a", []byte{1}, of44, both...) }, "[]",
			"CKA_PARAMETER_SET is 0, which is not one of"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &shelf{t: t}
			c.fill(s)
			v := NewInventory(s.objects)
			keys, broken := v.Keys()
			names := namesOf(keys)
			slices.Sort(names)
			var all []string
			for _, b := range broken {
				all = append(all, b.Err.Error())
			}
			told := strings.Join(all, "\n")
			if fmt.Sprint(names) != c.keys || (told == "") != (c.what == "") || !strings.Contains(told, c.what) {
				t.Errorf("the keys are %v, and what is broken:\n%s", names, told)
			}
			if len(v.Unsupported()) > 0 {
				t.Errorf("not supported: %v", v.Unsupported())
			}
		})
	}
}

func TestAParameterSetThatIsNotKnownIsNotSupported(t *testing.T) {
	s := &shelf{t: t}
	s.mlDSA("a", ulong(4), []byte{1}, both...)
	got := NewInventory(s.objects).Unsupported()
	if len(got) != 1 || got[0].Kind != "ML-DSA with the parameter set 4" || got[0].Label != "a" {
		t.Errorf("not supported: %v", got)
	}
}

func TestTheValueTellsPublicHalvesApart(t *testing.T) {
	s := &shelf{t: t}
	s.mlDSA("a", ulong(1), []byte{1}, cryptoki.CKO_PUBLIC_KEY).mlDSA("a", ulong(1), []byte{2}, cryptoki.CKO_PUBLIC_KEY)
	s.mlDSA("a", ulong(2), nil, cryptoki.CKO_PRIVATE_KEY).mlDSA("a", ulong(3), nil, cryptoki.CKO_PRIVATE_KEY)
	for _, i := range []int{0, 2} {
		if SameObject(s.objects[i], s.objects[i+1]) || !SameObject(s.objects[i], s.objects[i]) {
			t.Errorf("objects %d and %d look the same", i, i+1)
		}
	}
	if !s.objects[0].ShowsItself() || s.objects[2].ShowsItself() {
		t.Error("a public half shows its key, and a private half none")
	}
}

// TestNoOtherObjectHasFurtherAttributes: CKA_VALUE is a secret of other objects.
func TestNoOtherObjectHasFurtherAttributes(t *testing.T) {
	for class := range uint(12) {
		for ckk := range uint(0x60) {
			further := fmt.Sprint(Further(cryptoki.Attributes{
				cryptoki.CKA_CLASS: ulong(class), cryptoki.CKA_KEY_TYPE: ulong(ckk),
			}))
			want := "[]"
			switch {
			case ckk == cryptoki.CKK_ML_DSA && class == cryptoki.CKO_PUBLIC_KEY:
				want = "[CKA_PARAMETER_SET CKA_VALUE]"
			case ckk == cryptoki.CKK_ML_DSA && class == cryptoki.CKO_PRIVATE_KEY:
				want = "[CKA_PARAMETER_SET]"
			}
			if further != want {
				t.Errorf("of class %d and type 0x%x, %s is read", class, ckk, further)
			}
		}
	}
}
