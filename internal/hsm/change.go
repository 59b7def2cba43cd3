package hsm

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// Change is what is to be another way in a key; what is nil stays as it is.
type Change struct {
	ID          []byte
	Label       *string
	Usage       *Usage
	Extractable *bool // only to false: no token takes it back
}

// Change changes the key that ref means, in place: of a pair both halves. Where the second half cannot be
// changed, the first is put back. Errors: as of WholeKey where the pair is not found, *DifferentKeyError,
// *ExistsError where the new ID is taken, each in an *OperationError that says what the token holds now.
func (t *Token) Change(ctx context.Context, ref Ref, c Change) (WholeKey, error) {
	failed := func(err error, holds Holding, label string) (WholeKey, error) {
		return WholeKey{}, &OperationError{Operation: "change", ID: ref.ID, Label: label, Err: err, Holds: holds}
	}
	ids := [][]byte{ref.ID}
	if c.ID != nil && !bytes.Equal(c.ID, ref.ID) {
		ids = append(ids, c.ID)
	}
	unlock, err := t.locks.lock(ctx, ids...)
	if err != nil {
		return failed(err, HoldsUntouched, "")
	}
	defer unlock()
	if len(ids) > 1 {
		leave, err := t.write(ctx)
		if err != nil {
			return failed(err, HoldsUntouched, "")
		}
		defer leave()
	}
	key, err := t.search(ctx, ref)
	if err != nil {
		return failed(err, HoldsUntouched, "")
	}
	if !key.isMeant(ref) {
		return failed(differentKey(key, ref), HoldsUntouched, key.Label)
	}
	kt := typeOf(key.private.ckk)
	if c.Usage != nil {
		if err := kt.permits(*c.Usage); err != nil {
			return failed(err, HoldsUntouched, key.Label)
		}
	}
	want := c.wanted(kt)
	want.public = t.quirks.template(want.public)
	if want.heldBy(key) {
		return key, nil
	}
	if t.info.Has(cryptoki.CKF_WRITE_PROTECTED) {
		return failed(ErrReadOnly, HoldsUntouched, key.Label)
	}
	if _, err := t.Prove(ctx, key); err != nil { // the private half may be somebody else's
		return failed(err, HoldsUntouched, key.Label)
	}
	if len(ids) > 1 {
		if err := t.free(ctx, c.ID); err != nil {
			return failed(err, HoldsUntouched, key.Label)
		}
	}
	settle, cancel := settling(ctx)
	defer cancel()
	ref.Fingerprint = cmp.Or(key.Fingerprint(), ref.Fingerprint) // one that cannot be had now may be had after the change
	m := mutation{token: t, ref: ref, ids: ids, before: key}
	changed, holds, err := m.run(ctx, settle, want)
	if err != nil {
		t.failed()
		return failed(err, holds, key.Label)
	}
	changed.fingerprint = key.fingerprint
	if now, err := t.Fingerprinted(settle, changed); err == nil { // what cannot be had now is had when the key is read again
		changed = now
	}
	if !changed.isMeant(ref) { // a usage that the key did not have has shown it
		t.failed()
		different := differentKey(changed, ref)
		holds, err := m.putBack(settle, changed, want)
		return failed(errors.Join(different, err), holds, changed.Label)
	}
	t.wrote(key.objects(), changed.objects())
	return changed, nil
}

// keyUnder finds the key that ref means, its halves under any of the IDs.
func (t *Token) keyUnder(ctx context.Context, ref Ref, ids [][]byte) (WholeKey, error) {
	var objects []object
	for _, id := range ids {
		found, err := t.find(ctx, id)
		if err != nil {
			return WholeKey{}, err
		}
		objects = append(objects, found...)
	}
	return choose(objects, ref, t.fingerprinting(ctx))
}

// attributes are those to give to a key: of the private and, where it has one, of the public half.
type attributes struct{ private, public []cryptoki.Attribute }

// heldBy says that the key has all of the attributes.
func (a attributes) heldBy(key WholeKey) bool {
	return len(key.private.lacking(a.private)) == 0 && len(key.public.lacking(a.public)) == 0
}

// wanted are the attributes that the change asks for.
func (c Change) wanted(kt *keyType) (a attributes) {
	both := func(at cryptoki.Attribute) {
		a.private, a.public = append(a.private, at), append(a.public, at)
	}
	if c.ID != nil {
		both(cryptoki.Bytes(cryptoki.CKA_ID, c.ID))
	}
	if c.Label != nil {
		both(cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(*c.Label)))
	}
	if c.Usage != nil {
		a.private = append(a.private, c.Usage.privateAttributes(kt.usages)...)
		a.public = append(a.public, c.Usage.publicAttributes(kt.usages)...)
	}
	if c.Extractable != nil {
		a.private = append(a.private, cryptoki.Bool(cryptoki.CKA_EXTRACTABLE, *c.Extractable))
	}
	if kt.alone() {
		a.public = nil
	}
	return a
}

// lacking are those of the attributes that the object does not have.
func (o object) lacking(wanted []cryptoki.Attribute) (missing []cryptoki.Attribute) {
	for _, a := range wanted {
		if _, flag := flagBits[a.Type]; flag && o.class == cryptoki.CKO_PUBLIC_KEY && !o.knows(a.Type) {
			continue // this token does not tell it, so that it can be neither wanted nor missed
		}
		if !bytes.Equal(o.encoded(a.Type), a.Value) {
			missing = append(missing, a)
		}
	}
	return missing
}

// encoded is a changeable attribute as PKCS#11 writes it. A flag that the token does not tell reads as false.
func (o object) encoded(t cryptoki.AttributeType) []byte {
	switch t {
	case cryptoki.CKA_ID:
		return o.id
	case cryptoki.CKA_LABEL:
		return []byte(o.label)
	}
	return cryptoki.Bool(t, o.is(t)).Value
}

// as gives the object's own values of the attributes, to put them back.
func (o object) as(changed []cryptoki.Attribute) []cryptoki.Attribute {
	own := make([]cryptoki.Attribute, len(changed))
	for i, a := range changed {
		own[i] = cryptoki.Attribute{Type: a.Type, Value: o.encoded(a.Type)}
	}
	return own
}

// mutation is the change of one key.
type mutation struct {
	token  *Token
	ref    Ref
	ids    [][]byte // the old ID and, where it changes, the new one
	before WholeKey
}

// run changes the key to what is wanted, or puts it back. Whether a call took effect is never guessed from its
// code, but read from the token.
func (m mutation) run(ctx, settle context.Context, want attributes) (WholeKey, Holding, error) {
	key := m.before
	var cause error
	for range 2 {
		cause = m.set(ctx, key, want)
		now, holds, err := m.look(settle, cause)
		if err != nil {
			return WholeKey{}, holds, err
		}
		if key = now; want.heldBy(key) {
			return key, HoldsKey, nil
		}
		if cause == nil {
			cause = &VerifyError{Problems: []string{"the token says that it changed the key, and still shows it as it was"}}
		}
		if !repeatable(ctx, cause) || cryptoki.Refused(cause) {
			break
		}
	}
	holds, err := m.putBack(settle, key, want)
	return WholeKey{}, holds, errors.Join(cause, err)
}

// putBack gives the key as it is now those of the attributes back that it had before. err says that it could not be
// looked at afterwards.
func (m mutation) putBack(ctx context.Context, key WholeKey, want attributes) (Holding, error) {
	old := attributes{private: m.before.private.as(want.private), public: m.before.public.as(want.public)}
	for range 2 {
		if old.heldBy(key) {
			return HoldsAsBefore, nil
		}
		failure := m.set(ctx, key, old)
		now, holds, err := m.look(ctx, failure)
		if err != nil {
			return holds, err
		}
		key = now
	}
	if old.heldBy(key) {
		return HoldsAsBefore, nil
	}
	return HoldsMixed, nil
}

// look reads the key anew, after an attempt that ended with the given failure.
func (m mutation) look(ctx context.Context, failure error) (WholeKey, Holding, error) {
	if _, ok := errors.AsType[*cryptoki.HangError](failure); ok {
		return WholeKey{}, HoldsKeyAtLeast, failure // it may still take effect
	}
	key, err := m.token.keyUnder(ctx, m.ref, m.ids)
	if ambiguous := (*AmbiguousError)(nil); errors.As(err, &ambiguous) {
		// A secret key that may not encrypt any more may show nothing of itself: it is the one that was written to.
		key, err = m.written(ctx, ambiguous)
	}
	if err != nil {
		return WholeKey{}, HoldsKeyAtLeast, errors.Join(failure, err)
	}
	return key, HoldsKey, nil
}

// written gives a key that is one object by its handle, where several bear the ID.
func (m mutation) written(ctx context.Context, ambiguous error) (key WholeKey, err error) {
	before := m.before.private
	kt := typeOf(before.ckk)
	if !kt.alone() {
		return WholeKey{}, ambiguous
	}
	err = m.token.read(ctx, func(s *cryptoki.Session) error {
		now, err := m.token.readObject(ctx, s, before.handle)
		if err != nil || !sameKey(before, now) || !slices.ContainsFunc(m.ids, func(id []byte) bool { return bytes.Equal(id, now.id) }) {
			return errors.Join(ambiguous, err)
		}
		key, err = newWholeKey(kt, now, object{})
		return err
	})
	return key, err
}

// set gives both halves those of the attributes that they lack: the private one first, so that the pair is
// still found by its public half; what cannot be put back comes last.
func (m mutation) set(ctx context.Context, key WholeKey, want attributes) error {
	reversible, final := split(key.private.lacking(want.private))
	for _, step := range []struct {
		half    object
		missing []cryptoki.Attribute
	}{
		{key.private, reversible},
		{key.public, key.public.lacking(want.public)},
		{key.private, final},
	} {
		if len(step.missing) == 0 {
			continue
		}
		if err := m.setHalf(ctx, step.half, step.missing); err != nil {
			return err
		}
	}
	return nil
}

// split takes out what no token takes back.
func split(all []cryptoki.Attribute) (reversible, final []cryptoki.Attribute) {
	for _, a := range all {
		if a.Type == cryptoki.CKA_EXTRACTABLE {
			final = append(final, a)
			continue
		}
		reversible = append(reversible, a)
	}
	return reversible, final
}

// setHalf changes one object. That the handle means it is made sure of in the same session.
func (m mutation) setHalf(ctx context.Context, half object, missing []cryptoki.Attribute) error {
	return m.token.pool.use(ctx, func(s *cryptoki.Session) error {
		now, err := m.token.readObject(ctx, s, half.handle)
		if err != nil {
			return err
		}
		// One that shows nothing of its key is known by its ID.
		if !sameKey(half, now) || !now.showsItself() && !slices.ContainsFunc(m.ids, func(id []byte) bool { return bytes.Equal(id, now.id) }) {
			return s.Abandon(&cryptoki.Error{Function: "C_GetAttributeValue", Code: cryptoki.CKR_OBJECT_HANDLE_INVALID})
		}
		return s.SetAttributeValue(ctx, half.handle, missing)
	})
}

// sameKey says that two readings show the same object, whatever it is called by now.
func sameKey(a, b object) bool {
	return a.class == b.class && a.ckk == b.ckk && bytes.Equal(a.modulus, b.modulus) && bytes.Equal(a.params, b.params) && bytes.Equal(a.point, b.point) &&
		a.valueLen == b.valueLen && bytes.Equal(a.checkValue, b.checkValue)
}
