package hsm_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// writtenAs is a fault of a token that writes one attribute of each certificate otherwise than it is told.
func writtenAs(to cryptoki.Attribute) hsmtest.Fault {
	return hsmtest.Fault{Function: "C_CreateObject", Do: func(
		_ context.Context, c *cryptoki.Call, next func() error,
	) error {
		c.Template = slices.Clone(c.Template)
		for i, a := range c.Template {
			if a.Type == to.Type {
				c.Template[i] = to
			}
		}
		return next()
	}}
}

// changedByHalf is a fault of a token that makes the first one of several changes, and fails.
func changedByHalf(code cryptoki.RV) hsmtest.Fault {
	return hsmtest.Fault{Function: "C_SetAttributeValue", Nth: 1, Do: func(
		_ context.Context, c *cryptoki.Call, next func() error,
	) error {
		c.Template = c.Template[:1]
		return errors.Join(next(), &cryptoki.Error{Function: c.Function, Code: code})
	}}
}

// TestACertificateIsHalfDoneAndACallFails: the token writes another certificate than it is told, or makes one of two
// changes, and each other call fails in turn. The error says what the token holds, nothing goes but what was written,
// and the next run leads to what was to be, or says that somebody has to look.
func TestACertificateIsHalfDoneAndACallFails(t *testing.T) {
	onSoftHSM(t)
	steps, strangers := certificateSteps(t)
	writing := []string{"write", "renew"}
	as := func(a cryptoki.AttributeType, value []byte) hsmtest.Fault { return writtenAs(cryptoki.Bytes(a, value)) }
	for name, c := range hsmtest.InOrder(map[string]struct {
		steps []string
		fault hsmtest.Fault
	}{
		"under another label":  {writing, as(cryptoki.CKA_LABEL, []byte("theirs"))},
		"without a label":      {writing, as(cryptoki.CKA_LABEL, nil)},
		"under another ID":     {writing, as(cryptoki.CKA_ID, []byte("theirs"))},
		"with another value":   {writing, as(cryptoki.CKA_VALUE, certificateOf(t, "another"))},
		"one change of two":    {[]string{"move"}, changedByHalf(cryptoki.CKR_DEVICE_ERROR)},
		"one change, no other": {[]string{"move"}, changedByHalf(cryptoki.CKR_ATTRIBUTE_READ_ONLY)},
	}) {
		for _, step := range steps {
			if slices.Contains(c.steps, step.name) {
				t.Run(step.name+" "+name, func(t *testing.T) {
					t.Parallel()
					step.isHalfDone(t, strangers, c.fault)
				})
			}
		}
	}
}

func (step certificateStep) isHalfDone(t *testing.T, strangers object.CertificateTemplate, half hsmtest.Fault) {
	k, faults := hsmtest.New(t), &hsmtest.Faults{}
	before := append(slices.Clone(step.before), strangers)
	try := func(more ...hsmtest.Fault) error {
		t.Helper()
		faults.Clear()
		holdCertificates(t, k, before...)
		token, err := hsm.Open(t.Context(), k.Config(faults.Hook))
		if err != nil {
			t.Fatal(err)
		}
		defer token.Close()
		faults.Clear()
		for _, f := range append(more, half) {
			faults.Inject(f)
		}
		return step.order.run(t.Context(), token)
	}
	err := try()
	calls := faults.Calls()
	step.heldHalf(t, k, strangers, err)
	every := map[hsmtest.Extent]int{hsmtest.Sample: 12, hsmtest.Matrix: 1, hsmtest.All: 1}[hsmtest.ThisExtent(t)]
	picker, nth := hsmtest.Pick(t, every), map[string]int{}
	for _, function := range calls {
		nth[function]++
		if function == half.Function {
			continue
		}
		for _, code := range codes {
			for _, onwards := range []bool{false, true} {
				if !picker.Takes() {
					continue
				}
				err := try(hsmtest.Fault{Function: function, Nth: nth[function], Code: code, Onwards: onwards})
				if step.heldHalf(t, k, strangers, err); t.Failed() {
					t.Fatalf("%s number %d answers %s (and so from then on: %t)", function, nth[function], code,
						onwards)
				}
			}
		}
	}
}

// heldHalf checks what the token holds after a step that was half done, and that the next one goes on from there.
func (step certificateStep) heldHalf(t *testing.T, k *hsmtest.Token, strangers object.CertificateTemplate, err error) {
	t.Helper()
	have := heldCertificates(t, k)
	failed, is := errors.AsType[*hsm.OperationError](err)
	switch {
	case is && failed.Holds == hsm.HoldsMixedCertificate:
		half := step.before[0]
		half.Label = step.order.Template.Label
		if !slices.Equal(have, linesOf(half, strangers)) {
			t.Errorf("%v, and the token holds %v", err, have)
		}
	case is && failed.Holds == hsm.HoldsCertificatePerhaps:
		stay := []object.CertificateTemplate{strangers}
		if step.name != "move" {
			stay = append(stay, step.before...)
		}
		for _, line := range linesOf(stay...) {
			if !slices.Contains(have, line) {
				t.Errorf("%v, and the token holds %v", err, have)
			}
		}
	default:
		step.heldAfter(t, k, strangers, err)
	}
	err = step.order.run(t.Context(), open(t, k))
	if _, told := errors.AsType[*hsm.CertificateExistsError](err); told {
		return
	}
	have = heldCertificates(t, k)
	for _, line := range linesOf(append(slices.Clone(step.after), strangers)...) {
		if err != nil || !slices.Contains(have, line) {
			t.Errorf("the next run: %v, and the token holds %v", err, have)
		}
	}
}
