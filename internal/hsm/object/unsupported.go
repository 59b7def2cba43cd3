package object

import (
	"errors"
	"fmt"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// unsupported names the type or the curve of a half where that is not in the table, or the number of an RSA key that is
// too large or too small to be supported; else it is "".
func (o Object) unsupported() string {
	if SpecOf(o.CKK) == nil {
		return typeName(o.CKK)
	}
	if o.CKK == cryptoki.CKK_RSA {
		_, err := publickey.ParseRSA(o.modulus, o.exponent)
		if other, ok := errors.AsType[*publickey.UnsupportedRSAError](err); ok {
			return fmt.Sprintf("%s, of which %v", typeName(o.CKK), other)
		}
		return ""
	}
	if len(o.params) == 0 {
		return ""
	}
	if o.CKK == cryptoki.CKK_ML_DSA {
		set := o.parameterSet()
		if _, err := publickey.ParseParameterSet(set); err != nil && set != 0 {
			return fmt.Sprintf("%s with the parameter set %d", typeName(o.CKK), set)
		}
		return ""
	}
	_, _, err := publickey.ParseEC(o.params, nil)
	if other, ok := errors.AsType[*publickey.UnsupportedCurveError](err); ok {
		return fmt.Sprintf("%s on the curve %s", typeName(o.CKK), other.Curve)
	}
	return ""
}
