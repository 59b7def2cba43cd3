package hsm

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/session"
)

// CertificateExistsError says that the ID has the certificate already, under another label.
type CertificateExistsError struct{ Found object.Certificate }

func (e *CertificateExistsError) Error() string {
	return fmt.Sprintf("the token has this certificate already, under another label: %s", e.Found.Name())
}

// AllowsCertificates is a *object.RefusedError where the make takes no certificates.
func (t *Token) AllowsCertificates() error {
	way, refused := t.differences.Refuses[quirk.WriteCertificate]
	if !refused {
		return nil
	}
	return &object.RefusedError{Problem: "the token takes no certificates through PKCS#11", Way: "keep the " +
		"certificate elsewhere, and leave hsm_certificate out. " + way}
}

// certificateFailure is a failed operation on a certificate.
func certificateFailure(operation string, id []byte, label string, err error, holds Holding) error {
	return &OperationError{Operation: operation, Certificate: true, ID: id, Label: label, Err: err, Holds: holds}
}

// writable takes the turn of an operation that writes certificates of these IDs.
func (t *Token) writable(ctx context.Context, ids ...[]byte) (leave func(), err error) {
	unlock, err := t.locks.Lock(ctx, ids...)
	if err != nil {
		return nil, err
	}
	out, err := t.write(ctx)
	if err == nil && t.info.Has(cryptoki.CKF_WRITE_PROTECTED) {
		out()
		err = ErrReadOnly
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return func() { out(); unlock() }, nil
}

// WriteCertificate writes a certificate, reads it back, and keeps it if it is what was to be written. One that is there
// already, with this ID and label, is taken as written: an interrupted run may have left it, and a copy that somebody
// else made is as good. Errors are *OperationError. They wrap *object.RefusedError where the make takes none,
// *CertificateExistsError, *VerifyError, or the token's failure.
func (t *Token) WriteCertificate(ctx context.Context, tmpl object.CertificateTemplate) (object.Certificate, error) {
	failed := func(err error, holds Holding) (object.Certificate, error) {
		return object.Certificate{}, certificateFailure("write", tmpl.ID, tmpl.Label, err, holds)
	}
	if err := t.AllowsCertificates(); err != nil {
		return failed(err, HoldsUntouched)
	}
	leave, err := t.writable(ctx, tmpl.ID)
	if err != nil {
		return failed(err, HoldsUntouched)
	}
	defer leave()
	settle, cancel := session.Settling(ctx)
	defer cancel()
	made, holds, err := t.putCertificate(ctx, settle, tmpl, false)
	if err != nil {
		return failed(err, holds)
	}
	return made, nil
}

// putCertificate is WriteCertificate for who has the turn. beside says that a copy of another label does not matter.
func (t *Token) putCertificate(ctx, settle context.Context, tmpl object.CertificateTemplate, beside bool) (
	object.Certificate, Holding, error,
) {
	before, err := t.Certificates(ctx, tmpl.ID)
	if err != nil {
		return object.Certificate{}, HoldsUntouched, err
	}
	if i := slices.IndexFunc(before, tmpl.Made); i >= 0 {
		t.snapshot.wroteCertificates(tmpl.ID, before)
		return before[i], HoldsCertificate, nil
	}
	for _, c := range before {
		// Of what nobody can relabel, anyone can make a copy.
		if bytes.Equal(c.DER(), tmpl.DER) && !beside && !c.Fixed() {
			return object.Certificate{}, HoldsUntouched, &CertificateExistsError{Found: c}
		}
	}
	if err := t.labelTaken(ctx, tmpl); err != nil {
		return object.Certificate{}, HoldsUntouched, err
	}
	var first error // what the token said of the template that has all
	var unread bool // something was written, and nobody knows what
	for form, again := 0, false; ; {
		made, cause := t.createCertificate(ctx, settle, tmpl, form, before)
		unread = unread || made == isUnread
		if as[*cryptoki.HangError](cause) {
			t.snapshot.drop()
			return object.Certificate{}, HoldsCertificatePerhaps, cause
		}
		now, err := t.Certificates(settle, tmpl.ID)
		if err != nil {
			t.snapshot.drop()
			return object.Certificate{}, HoldsCertificatePerhaps, errors.Join(cause, err)
		}
		if i := slices.IndexFunc(now, tmpl.Made); i >= 0 {
			t.snapshot.wroteCertificates(tmpl.ID, now)
			return now[i], HoldsCertificate, nil
		}
		if cause == nil {
			cause = &VerifyError{Problems: []string{
				"the token says that it wrote the certificate, but does not show it"}}
		}
		half, like := leftovers(tmpl, cause, before)
		if left, err := t.clearCertificates(settle, now, half); err != nil || left || made == isStray {
			t.snapshot.drop()
			return object.Certificate{}, HoldsCertificatePerhaps, errors.Join(cause, err)
		}
		vague := again && isAny(cause, []error{cryptoki.CKR_GENERAL_ERROR, cryptoki.CKR_FUNCTION_FAILED})
		switch {
		case (vague || refusesForm(cause)) && form < object.CertificateForms-1:
			form, first = form+1, cmp.Or(first, cause)
		case !again && session.Repeatable(ctx, cause) && !cryptoki.Refused(cause):
			again = true
		case unread || slices.ContainsFunc(now, like):
			return object.Certificate{}, HoldsCertificatePerhaps, cmp.Or(first, cause)
		default:
			return object.Certificate{}, HoldsNoCertificate, cmp.Or(first, cause)
		}
	}
}

// labelTaken is a *object.RefusedError where the make wants another label for each subject, and a certificate of
// another subject has the label.
func (t *Token) labelTaken(ctx context.Context, tmpl object.CertificateTemplate) error {
	if !t.differences.LabelPerSubject {
		return nil
	}
	have, err := t.searchCertificates(ctx, []cryptoki.Attribute{
		cryptoki.ULong(cryptoki.CKA_CLASS, object.CertificateClass),
		cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(tmpl.Label)),
	}, nil)
	if err != nil {
		return err
	}
	want, err := x509.ParseCertificate(tmpl.DER)
	if err != nil {
		return err
	}
	for _, c := range have {
		other, err := c.Parse()
		if err == nil && c.Label == tmpl.Label && !bytes.Equal(other.RawSubject, want.RawSubject) {
			return &object.RefusedError{
				Attribute: "label",
				Problem: fmt.Sprintf("the token has the label %q for certificates of one subject, and a certificate "+
					"of another one has it: %s", tmpl.Label, c.Name()),
				Way: "choose another label.",
			}
		}
	}
	return nil
}

// refusesForm says that a token may take another form of the template.
func refusesForm(err error) bool {
	return isAny(err, []error{
		cryptoki.CKR_ATTRIBUTE_TYPE_INVALID, cryptoki.CKR_ATTRIBUTE_VALUE_INVALID, cryptoki.CKR_ATTRIBUTE_READ_ONLY,
		cryptoki.CKR_TEMPLATE_INCONSISTENT,
	})
}

// created says what is known of the object that a C_CreateObject has given.
type created int

const (
	isKnown  created = iota // it is as it should be, or gone, or there is none
	isUnread                // it could not be read
	isStray                 // it is left as it is, since it may be somebody else's
)

// createCertificate writes a certificate once, and reads it back in the session that has written it. What is not as it
// should be is destroyed there, if it is a new certificate under the ID. What the handle shows otherwise stays.
func (t *Token) createCertificate(
	ctx, settle context.Context, tmpl object.CertificateTemplate, form int, before []object.Certificate,
) (what created, err error) {
	attributes, err := tmpl.Attributes(form, t.differences)
	if err != nil {
		return isKnown, err
	}
	err = t.pool.Use(ctx, func(s *cryptoki.Session) error {
		handle, err := s.CreateObject(ctx, attributes)
		if err != nil {
			return err
		}
		made, is, err := t.decodeCertificate(settle, s, handle)
		if err != nil {
			what = isUnread
			return err
		}
		if is && tmpl.Made(made) {
			return nil
		}
		different := &VerifyError{Problems: tmpl.Differs(made)}
		if !is || !bytes.Equal(made.ID, tmpl.ID) || slices.ContainsFunc(before, made.Is) {
			what = isStray
			return s.Abandon(different)
		}
		return errors.Join(different, s.DestroyObject(settle, handle))
	})
	return what, err
}

// leftovers tell what a failed writing may have left. half: certificates of the ID and the label that were not there
// before, and show no value, or that the token has written under another label. like: those that somebody else may have
// written meanwhile as well, so that they stay.
func leftovers(
	tmpl object.CertificateTemplate, cause error, before []object.Certificate,
) (half, like func(object.Certificate) bool) {
	half = func(c object.Certificate) bool {
		named := len(c.DER()) == 0 && (c.Label == tmpl.Label || c.Label == "")
		unlike := as[*VerifyError](cause) && bytes.Equal(c.DER(), tmpl.DER) // the token gave it another label
		return (named || unlike) && !slices.ContainsFunc(before, c.Is)
	}
	like = func(c object.Certificate) bool {
		alike := c.Label == tmpl.Label || bytes.Equal(c.DER(), tmpl.DER)
		return alike && !half(c) && !slices.ContainsFunc(before, c.Is)
	}
	return half, like
}

// clearCertificates destroys what a failed writing has left half. left says that one is still there.
func (t *Token) clearCertificates(
	ctx context.Context, now []object.Certificate, half func(object.Certificate) bool,
) (left bool, err error) {
	for _, c := range now {
		if !half(c) {
			continue
		}
		remaining, err := t.removeCertificates(ctx, []object.Certificate{c}, false)
		if err != nil || remaining {
			return true, err
		}
	}
	return false, nil
}

// ChangeCertificate makes of one certificate another: with another label or ID, in place where the token does that, or
// with another value. What is not done in place is written anew before the old one is destroyed, so that there is a
// certificate at every moment. Errors are *OperationError. They wrap object.ErrNoCertificate, *object.RefusedError,
// *VerifyError, or the token's failure.
func (t *Token) ChangeCertificate(
	ctx context.Context, ref object.CertificateRef, tmpl object.CertificateTemplate,
) (object.Certificate, error) {
	failed := func(err error, holds Holding) (object.Certificate, error) {
		return object.Certificate{}, certificateFailure("change", ref.ID, ref.Label, err, holds)
	}
	leave, err := t.writable(ctx, ref.ID, tmpl.ID)
	if err != nil {
		return failed(err, HoldsUntouched)
	}
	defer leave()
	there, err := t.Certificates(ctx, tmpl.ID)
	if err != nil {
		return failed(err, HoldsUntouched)
	}
	old, err := t.chosenCertificates(ctx, ref)
	if errors.Is(err, object.ErrNoCertificate) { // it may have moved there already, with its key, or be changed already
		moved := ref
		moved.ID = tmpl.ID
		if old = moved.Choose(there); len(old) == 0 {
			old = object.NewCertificateRef(tmpl.ID, tmpl.Label, tmpl.DER).Choose(there)
		}
		if len(old) > 0 {
			err = nil
		}
	}
	if err != nil {
		return failed(err, HoldsUntouched)
	}
	settle, cancel := session.Settling(ctx)
	defer cancel()
	if tmpl.Made(old[0]) {
		return old[0], nil
	}
	// An interrupted run may have written the new one, and left the old one.
	written := slices.ContainsFunc(there, tmpl.Made)
	if old[0].Label != tmpl.Label {
		if err := t.labelTaken(ctx, tmpl); err != nil {
			return failed(err, HoldsCertificate)
		}
	}
	if bytes.Equal(old[0].DER(), tmpl.DER) && !old[0].Fixed() && !written {
		now, holds, err := t.setCertificate(ctx, settle, old[0], tmpl)
		if err == nil {
			return now, nil
		}
		if holds != HoldsCertificate || !unchangeable(err) {
			return failed(err, holds)
		}
	}
	if err := t.AllowsCertificates(); err != nil {
		return failed(err, HoldsCertificate)
	}
	made, holds, err := t.putCertificate(ctx, settle, tmpl, true)
	switch {
	case err != nil && holds != HoldsCertificatePerhaps:
		return failed(err, HoldsCertificate)
	case err != nil:
		return failed(err, holds)
	}
	switch left, err := t.removeCertificates(settle, old, true); {
	case err != nil:
		return failed(err, HoldsBothCertificates)
	case left:
		return failed(errStays, HoldsBothCertificates)
	}
	return made, nil
}

// unchangeable says that a token does not change a certificate in place, so that it has to be written anew.
func unchangeable(err error) bool {
	return as[*VerifyError](err) || refusesForm(err) || isAny(err, []error{
		cryptoki.CKR_FUNCTION_NOT_SUPPORTED, cryptoki.CKR_ACTION_PROHIBITED, cryptoki.CKR_ARGUMENTS_BAD,
		cryptoki.CKR_FUNCTION_REJECTED,
	})
}

// setCertificate gives a certificate its label and ID in place, or puts back what it had. It reads from the token
// whether a call took effect: the code of a call does not show that.
func (t *Token) setCertificate(ctx, settle context.Context, old object.Certificate, tmpl object.CertificateTemplate) (
	object.Certificate, Holding, error,
) {
	back := object.CertificateTemplate{ID: old.ID, Label: old.Label, DER: old.DER()}
	now, cause := old, error(nil)
	for range 2 {
		cause = t.setOnce(ctx, now, tmpl)
		if as[*cryptoki.HangError](cause) {
			t.snapshot.drop()
			return now, HoldsCertificatePerhaps, cause
		}
		next, err := t.seenAs(settle, now, tmpl)
		if err != nil {
			t.snapshot.drop()
			return now, HoldsCertificatePerhaps, errors.Join(cause, err)
		}
		if now = next; tmpl.Made(now) {
			return now, HoldsCertificate, nil
		}
		if cause == nil {
			cause = &VerifyError{Problems: []string{
				"the token says that it changed the certificate, but still shows it as it was"}}
		}
		if cryptoki.Refused(cause) || !session.Repeatable(ctx, cause) && !as[*VerifyError](cause) {
			break
		}
	}
	if !back.Made(now) { // some of it took effect
		err := t.setOnce(settle, now, back)
		next, failure := t.seenAs(settle, now, back)
		if failure != nil {
			t.snapshot.drop()
			return now, HoldsCertificatePerhaps, errors.Join(cause, err, failure)
		}
		if !back.Made(next) {
			return next, HoldsMixedCertificate, errors.Join(cause, err)
		}
	}
	return old, HoldsCertificate, cause
}

func as[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

// setOnce gives a certificate what it lacks, in a session that has read that it is the one.
func (t *Token) setOnce(ctx context.Context, c object.Certificate, tmpl object.CertificateTemplate) error {
	return t.pool.Use(ctx, func(s *cryptoki.Session) error {
		if err := t.confirmCertificate(ctx, s, c); err != nil {
			return err
		}
		return s.SetAttributeValue(ctx, c.Handle, tmpl.Lacks(c))
	})
}

// confirmCertificate makes sure, in a session that is about to act, that a handle still means the certificate.
func (t *Token) confirmCertificate(ctx context.Context, s *cryptoki.Session, c object.Certificate) error {
	now, err := t.readCertificate(ctx, s, c.Handle)
	if err == nil && (len(c.ID) == 0 || !bytes.Equal(now.ID, c.ID) || !now.Is(c)) {
		err = s.Abandon(&cryptoki.Error{Function: "C_GetAttributeValue", Code: cryptoki.CKR_OBJECT_HANDLE_INVALID})
	}
	return err
}

// seenAs reads a certificate again after an attempt to change it: as it was to be, or with some of that, or as before.
func (t *Token) seenAs(ctx context.Context, before object.Certificate, tmpl object.CertificateTemplate) (
	object.Certificate, error,
) {
	ids := [][]byte{tmpl.ID}
	if !bytes.Equal(tmpl.ID, before.ID) {
		ids = append(ids, before.ID)
	}
	var found []object.Certificate
	for _, id := range ids {
		there, err := t.Certificates(ctx, id)
		if err != nil {
			return object.Certificate{}, err
		}
		t.snapshot.wroteCertificates(id, there)
		found = append(found, there...)
	}
	old := object.CertificateTemplate{ID: before.ID, Label: before.Label, DER: before.DER()}
	for _, want := range []object.CertificateTemplate{
		tmpl, {ID: tmpl.ID, Label: before.Label, DER: tmpl.DER}, {ID: before.ID, Label: tmpl.Label, DER: tmpl.DER}, old,
	} {
		if i := slices.IndexFunc(found, want.Made); i >= 0 {
			return found[i], nil
		}
	}
	return object.Certificate{}, object.ErrNoCertificate
}
