package object

import (
	"crypto"
	"fmt"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// mlDSA is the row of ML-DSA (PKCS#11 3.2). Both halves show their parameter set, and the public one its key, as
// CKA_VALUE; a private half shows nothing of its key, so that a signature has to prove the pair. The bounds of the
// mechanism that makes keys say nothing here: some give the lengths of public keys in bytes, and others may mean something
// else.
var mlDSA = Spec{
	Name: MLDSA, Title: "ML-DSA", CKK: cryptoki.CKK_ML_DSA, Classes: halfClasses,
	Mechanism: cryptoki.CKM_ML_DSA_KEY_PAIR_GEN,
	May:       Sign, usages: ofPairs,
	Proofs: by(Sign, cryptoki.CKM_ML_DSA), Disproved: strangers,
	further: map[uint][]cryptoki.AttributeType{
		cryptoki.CKO_PRIVATE_KEY: {cryptoki.CKA_PARAMETER_SET},
		cryptoki.CKO_PUBLIC_KEY:  {cryptoki.CKA_PARAMETER_SET, cryptoki.CKA_VALUE},
	},
	sort: func(half Object) string {
		set, _ := publickey.ParseParameterSet(half.parameterSet())
		return set
	},
	sizes: func(t Template) error {
		if _, ok := publickey.ParameterSetNumber(t.ParameterSet); !ok {
			return unfit("the parameter set %q is not one of %s", t.ParameterSet, strings.Join(publickey.ParameterSets(), ", "))
		}
		return nil
	},
	template: func(t Template, _ quirk.Differences) []cryptoki.Attribute {
		set, _ := publickey.ParameterSetNumber(t.ParameterSet) // sizes has checked it
		return []cryptoki.Attribute{cryptoki.ULong(cryptoki.CKA_PARAMETER_SET, set)}
	},
	parse: func(o Object) (crypto.PublicKey, error) {
		if len(o.params) == 0 {
			return nil, fmt.Errorf("the token did not give %s", cryptoki.CKA_PARAMETER_SET)
		}
		return publickey.ParseMLDSA(o.parameterSet(), o.point)
	},
	halves: func(private, public Object) Verdict {
		if len(private.params) > 0 && private.parameterSet() != public.parameterSet() {
			return Different
		}
		return Undecided
	},
	shows: func(half Object) string {
		if len(half.point) == 0 {
			return ""
		}
		return string(half.params) + string(half.point)
	},
	whole: func(Object) bool { return false },
	differs: func(t Template, key Key) []string {
		if set := publickey.ParameterSet(key.PublicKey); set != t.ParameterSet {
			return []string{fmt.Sprintf("its parameter set is %s, not %s", set, t.ParameterSet)}
		}
		return nil
	},
}

// parameterSet is the half's CKA_PARAMETER_SET, 0 where it has or shows none: no set has that number.
func (o Object) parameterSet() uint {
	set, _, _ := cryptoki.Attributes{cryptoki.CKA_PARAMETER_SET: o.params}.ULong(cryptoki.CKA_PARAMETER_SET)
	return set
}

// Further gives the attributes that are read from an object beside [Attributes], in a call of its own, as the object's
// type and class have them: of every other object CKA_VALUE may be a secret.
func Further(a cryptoki.Attributes) []cryptoki.AttributeType {
	class, _, _ := a.ULong(cryptoki.CKA_CLASS)
	ckk, _, _ := a.ULong(cryptoki.CKA_KEY_TYPE)
	if spec := SpecOf(ckk); spec != nil {
		return spec.further[class]
	}
	return nil
}
