package hsm_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// TestCertificatesAreReadBesideTheirRenewal by another process, which writes another one and destroys the old one just
// before that is read. What is read has the new one, and it is an error only where that never ends.
func TestCertificatesAreReadBesideTheirRenewal(t *testing.T) {
	onSoftHSM(t)
	steps, strangers := certificateSteps(t)
	old, id := steps[0].order.Template, steps[0].order.Template.ID
	for name, c := range map[string]struct {
		times int // as often a certificate is renewed while they are read
		fails bool
	}{"once": {1, false}, "in each try to read them": {3, false}, "without end": {1 << 20, true}} {
		for _, all := range []bool{false, true} {
			k, faults := hsmtest.New(t), &hsmtest.Faults{}
			holdCertificates(t, k, old, strangers)
			token, last, renewed := openHooked(t, k, faults.Hook), old, 0
			faults.Clear()
			faults.Inject(hsmtest.Fault{Function: "C_GetAttributeValue", Do: func(
				ctx context.Context, call *cryptoki.Call, next func() error,
			) error {
				shown, err := call.Behind().GetAttributeValue(ctx, call.Object, object.CertificateAttributes)
				if err != nil || !bytes.Equal(shown[cryptoki.CKA_VALUE], last.DER) || renewed == c.times {
					return next()
				}
				renewed++
				last.DER = certificateOf(t, "first")
				attributes, failure := last.Attributes(1, quirk.Differences{})
				_, err = call.Behind().CreateObject(ctx, attributes)
				if err = errors.Join(failure, err, call.Behind().DestroyObject(ctx, call.Object)); err != nil {
					t.Error(err)
				}
				return next()
			}})
			read := func() ([]object.Certificate, error) { return token.Certificates(t.Context(), id) }
			if all {
				read = func() ([]object.Certificate, error) { return token.AllCertificates(t.Context()) }
			}
			found, err := read()
			var lines []object.CertificateTemplate
			for _, c := range found {
				lines = append(lines, object.CertificateTemplate{ID: c.ID, Label: c.Label, DER: c.DER()})
			}
			want := linesOf(last, strangers)
			if (err != nil) != c.fails || err == nil && !slices.Equal(linesOf(lines...), want) {
				t.Errorf("%s, all %t: %v, %v, not %v", name, all, err, linesOf(lines...), want)
			}
			if c.fails && !cryptoki.InvalidHandle(err) {
				t.Errorf("got %v", err)
			}
		}
	}
}
