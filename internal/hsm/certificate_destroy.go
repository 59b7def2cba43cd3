package hsm

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/session"
)

// DestroyCertificate destroys a certificate, and looks again. One that is already gone is no failure. Copies of the
// same ID, label and value go with it: nothing tells them apart. All others stay. Errors are *OperationError. They wrap
// *UnreadableError and *UnseenError where what is gone may only be hidden, or the token's failure.
func (t *Token) DestroyCertificate(ctx context.Context, ref object.CertificateRef) error {
	failed := func(err error, holds Holding) error {
		return certificateFailure("destroy", ref.ID, ref.Label, err, holds)
	}
	leave, err := t.writable(ctx, ref.ID)
	if err != nil {
		return failed(err, HoldsUntouched)
	}
	defer leave()
	doomed, err := t.chosenCertificates(ctx, ref)
	switch {
	case errors.Is(err, object.ErrNoCertificate):
		t.snapshot.drop() // another process may have destroyed it
		return nil
	case err != nil:
		return failed(err, HoldsUntouched)
	}
	settle, cancel := session.Settling(ctx)
	defer cancel()
	left, err := t.removeCertificates(settle, doomed, false)
	switch {
	case left && errors.Is(err, ErrRenamed):
		return failed(err, HoldsRenamedCertificate)
	case err != nil && left:
		return failed(err, HoldsCertificate)
	case err != nil:
		return failed(err, HoldsCertificatePerhaps)
	case left:
		return failed(errStays, HoldsCertificate)
	}
	return nil
}

// removeCertificates destroys copies of one certificate, and looks what is left. It tries once more on what is left,
// with fresh handles. left says that some are still there; without it, an error says that the token could not be asked.
// A copy that says that nobody can destroy it (CKA_DESTROYABLE) does not count if others went: this provider writes
// none such, and a stranger can, without a PIN. beside says that it does not count even if it is the only one.
func (t *Token) removeCertificates(
	ctx context.Context, doomed []object.Certificate, beside bool,
) (left bool, err error) {
	one := doomed[0]
	for try := 1; ; try++ {
		var cause error
		for _, c := range doomed {
			err := t.pool.Use(ctx, func(s *cryptoki.Session) error {
				err := t.confirmCertificate(ctx, s, c)
				if err == nil {
					return s.DestroyObject(ctx, c.Handle)
				}
				if now, failure := t.readCertificate(ctx, s, c.Handle); failure == nil && len(now.DER()) > 0 &&
					bytes.Equal(now.DER(), c.DER()) {
					return ErrRenamed
				}
				return err
			})
			if err == nil {
				beside = true
			} else if !cryptoki.InvalidHandle(err) {
				cause = errors.Join(cause, err)
			}
		}
		if as[*cryptoki.HangError](cause) {
			t.snapshot.drop()
			return false, cause // it may still take effect
		}
		now, err := t.Certificates(ctx, one.ID)
		if err != nil {
			t.snapshot.drop()
			return false, errors.Join(cause, err)
		}
		t.snapshot.wroteCertificates(one.ID, now)
		doomed = slices.DeleteFunc(now, func(c object.Certificate) bool { return !c.Is(one) })
		if len(doomed) > 0 && beside && cryptoki.Refused(cause) {
			doomed = slices.DeleteFunc(doomed, func(c object.Certificate) bool { return t.indestructible(ctx, c) })
			if len(doomed) == 0 {
				return false, nil
			}
		}
		switch {
		case errors.Is(cause, ErrRenamed) && len(doomed) == 0:
			t.snapshot.drop()
			return true, ErrRenamed
		case len(doomed) == 0:
			return false, nil
		case try == 2 || cryptoki.Refused(cause):
			return true, cause
		}
	}
}

// ErrRenamed says that somebody else has named a certificate otherwise in the very moment.
var ErrRenamed = errors.New("another program has given the certificate another label or ID in this moment, so that " +
	"it was not destroyed")

// indestructible says that the token shows of a certificate that nobody can destroy it.
func (t *Token) indestructible(ctx context.Context, c object.Certificate) (is bool) {
	// Without an answer, it is left to the destruction's own error.
	_ = t.reader.Read(ctx, func(s *cryptoki.Session) error {
		shown, err := t.reader.Attributes(ctx, s, c.Handle, []cryptoki.AttributeType{
			cryptoki.CKA_CLASS, cryptoki.CKA_DESTROYABLE,
		})
		destroyable, told, failure := shown.Bool(cryptoki.CKA_DESTROYABLE)
		is = err == nil && failure == nil && told && !destroyable
		return err
	})
	return is
}

// errStays says that a certificate is there after its destruction.
var errStays = errors.New("the token says that it destroyed the certificate, but still shows it")
