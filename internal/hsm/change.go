package hsm

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/session"
)

// Change changes the key that ref means in place. Where the second half of a pair cannot be changed, it puts the first
// one back, and the certificates that have moved with them. Errors are *OperationError, which say what the token holds
// now. They wrap *object.RefusedError where the make does not do it, what Key fails with where the key is not found,
// *object.DifferentKeyError, *object.ExistsError where the new ID is taken, or the token's failure.
func (t *Token) Change(ctx context.Context, ref object.Ref, c object.Change) (object.Key, error) {
	failed := func(err error, holds Holding, label string) (object.Key, error) {
		return object.Key{}, &OperationError{Operation: "change", ID: ref.ID, Label: label, Err: err, Holds: holds}
	}
	ids := [][]byte{ref.ID}
	if c.ID != nil && !bytes.Equal(c.ID, ref.ID) {
		ids = append(ids, c.ID)
	}
	unlock, err := t.locks.Lock(ctx, ids...)
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
	if !key.Is(ref) {
		return failed(key.Differs(ref), HoldsUntouched, key.Label)
	}
	spec := key.Spec()
	if c.Usage != nil {
		if err := spec.Permits(*c.Usage); err != nil {
			return failed(err, HoldsUntouched, key.Label)
		}
	}
	if err := c.Refused(key, t.differences); err != nil {
		return failed(err, HoldsUntouched, key.Label)
	}
	if t.differences.Labels.Unique && c.Label != nil && *c.Label != key.Label {
		have, err := t.labelled(ctx, *c.Label)
		if err == nil {
			err = t.AllowsLabel(*c.Label, have)
		}
		if err != nil {
			return failed(err, HoldsUntouched, key.Label)
		}
	}
	want := c.Without(key, t.differences).Wanted(spec, t.differences)
	if want.HeldBy(key) {
		t.snapshot.wrote(key.Objects(), key.Objects()) // another process may have changed it
		return key, nil
	}
	if t.info.Has(cryptoki.CKF_WRITE_PROTECTED) {
		return failed(ErrReadOnly, HoldsUntouched, key.Label)
	}
	if _, err := t.Prove(ctx, key); err != nil { // the private half may belong to another key
		return failed(err, HoldsUntouched, key.Label)
	}
	if len(ids) > 1 {
		if err := t.free(ctx, c.ID); err != nil {
			return failed(err, HoldsUntouched, key.Label)
		}
	}
	settle, cancel := session.Settling(ctx)
	defer cancel()
	// A key that shows no fingerprint now may show one after the change.
	ref.Fingerprint = cmp.Or(key.Fingerprint(), ref.Fingerprint)
	beside := certificates{token: t, from: ref.ID, to: c.ID, fingerprint: key.Fingerprint()}
	moves := c.Certificates && len(ids) > 1 && key.Public != nil
	if moves {
		defer t.snapshot.drop() // it has the certificates under their old ID
		if holds, err := beside.move(ctx, settle); err != nil {
			return failed(err, holds, key.Label)
		}
	}
	m := &mutation{token: t, ref: ref, ids: ids, before: key}
	changed, holds, err := m.run(ctx, settle, want)
	if err == nil {
		changed, holds, err = m.same(settle, changed, want)
	}
	if err != nil {
		t.snapshot.drop()
		if moves && (holds == HoldsAsBefore || holds == HoldsPrivate) { // the private half has its old ID again
			there, failure := beside.putBack(settle)
			if failure != nil {
				holds = there
			}
			err = errors.Join(err, failure)
		}
		return failed(err, holds, key.Label)
	}
	t.snapshot.wrote(key.Objects(), changed.Objects())
	return changed, nil
}

// keyUnder finds the key that ref means, whose halves may have any of the IDs, among the objects of these.
func (t *Token) keyUnder(ctx context.Context, ref object.Ref, ids [][]byte) (object.Key, []object.Object, error) {
	var objects []object.Object
	for _, id := range ids {
		found, err := t.find(ctx, id)
		if err != nil {
			return object.Key{}, nil, err
		}
		objects = append(objects, found...)
	}
	key, err := object.Choose(objects, ref, t.fingerprinter(ctx))
	return key, objects, err
}

// mutation is the change of one key.
type mutation struct {
	token  *Token
	ref    object.Ref
	ids    [][]byte // the old ID and, where it changes, the new one
	before object.Key
	// now is the secret key as the session showed it that has written to it last; nil where none did, and of a pair.
	now *object.Object
}

// run changes the key to what is wanted, or puts it back. It reads from the token whether a call took effect: the code
// of a call does not show that.
func (m *mutation) run(ctx, settle context.Context, want object.Wanted) (object.Key, Holding, error) {
	key := m.before
	var cause error
	for range 2 {
		cause = m.set(ctx, key, want)
		now, beside, holds, err := m.look(settle, cause)
		if err != nil {
			return object.Key{}, holds, err
		}
		key = now
		if different := key.Differs(m.ref); different != nil && key.Public != nil {
			cause = errors.Join(different, cause) // somebody has written over the public half
			break
		}
		if want.HeldBy(key) {
			if cause = m.raced(key, beside); cause == nil {
				return key, HoldsKey, nil
			}
			break
		}
		if cause == nil {
			cause = &VerifyError{Problems: []string{
				"the token says that it changed the key, but still shows it as it was",
			}}
		}
		if !session.Repeatable(ctx, cause) || cryptoki.Refused(cause) {
			break
		}
	}
	holds, err := m.putBack(settle, key, want)
	return object.Key{}, holds, errors.Join(cause, err)
}

// same gives the changed key with its fingerprint. A key whose new usage lets the token show that it is another one is
// put back, and the error is an *object.DifferentKeyError.
func (m *mutation) same(ctx context.Context, changed object.Key, want object.Wanted) (object.Key, Holding, error) {
	if changed.Fingerprint() == "" {
		changed = changed.WithFingerprint(m.before.Fingerprint())
	}
	// A fingerprint that cannot be computed now is computed when the key is read again.
	if now, err := m.token.Fingerprinted(ctx, changed); err == nil {
		changed = now
	}
	different := changed.Differs(m.ref)
	if different == nil {
		return changed, HoldsKey, nil
	}
	holds, err := m.putBack(ctx, changed, want)
	return object.Key{}, holds, errors.Join(different, err)
}

// own gives the key without its public half where that is another key's: anyone may write over a public half. Nothing
// is written to such a half.
func (m *mutation) own(key object.Key) object.Key {
	if key.Public != nil && key.Fingerprint() != m.before.Fingerprint() {
		key.Public = nil
	}
	return key
}

// putBack restores the attributes that the key had before. err says that the key could not be read afterwards.
func (m *mutation) putBack(ctx context.Context, key object.Key, want object.Wanted) (Holding, error) {
	old := want.Of(m.before)
	back := func() (Holding, bool) {
		key = m.own(key)
		switch {
		case !old.HeldBy(key):
			return HoldsMixed, false
		case key.Public == nil && m.before.Public != nil:
			return HoldsPrivate, true
		}
		return HoldsAsBefore, true
	}
	for range 2 {
		if holds, done := back(); done {
			return holds, nil
		}
		failure := m.set(ctx, key, old)
		now, _, holds, err := m.look(ctx, failure)
		if err != nil {
			return holds, err
		}
		key = now
	}
	holds, _ := back()
	return holds, nil
}

// raced is an *object.ExistsError where somebody else's key has the new ID by now, which was free before. It is an
// *UnreadableError where it may be so.
func (m *mutation) raced(key object.Key, beside []object.Object) error {
	if len(m.ids) < 2 {
		return nil
	}
	rivals := slices.DeleteFunc(slices.Clone(beside), func(o object.Object) bool {
		return !bytes.Equal(o.ID, key.ID) || object.IsOneOf(key.Objects(), o, beside)
	})
	if len(rivals) == 0 {
		return m.token.hidden(key.ID) // nothing was, where the ID was found free
	}
	e := object.Exists(key.ID, rivals)
	e.Raced = true
	return e
}

// look reads the key again, after an attempt that ended with the given failure, and gives the objects beside it too.
func (m *mutation) look(ctx context.Context, failure error) (object.Key, []object.Object, Holding, error) {
	if _, ok := errors.AsType[*cryptoki.HangError](failure); ok {
		return object.Key{}, nil, HoldsKeyAtLeast, failure // it may still take effect
	}
	if len(m.ids) > 1 {
		m.token.processLock.Stir(ctx) // others may have taken the new ID
	}
	key, beside, err := m.token.keyUnder(ctx, m.ref, m.ids)
	if errors.Is(err, object.ErrAmbiguous) && m.before.Spec().Alone() && m.now != nil && m.has(m.now.ID) {
		// A secret key that may no longer encrypt may show nothing of itself. It is the one that was written to.
		key, err = object.NewKey(m.before.Spec(), m.now, nil)
	}
	if err != nil {
		return object.Key{}, nil, HoldsKeyAtLeast, errors.Join(failure, err)
	}
	return key, beside, HoldsKey, nil
}

// has says that the ID is the key's old or new one.
func (m *mutation) has(id []byte) bool {
	return slices.ContainsFunc(m.ids, func(own []byte) bool { return bytes.Equal(own, id) })
}

// names says that an object has the label that the half has, or gets.
func (m *mutation) names(half, now object.Object, wanted []cryptoki.Attribute) bool {
	return now.Label == half.Label || slices.ContainsFunc(wanted, func(a cryptoki.Attribute) bool {
		return a.Type == cryptoki.CKA_LABEL && string(a.Value) == now.Label
	})
}

// set gives both halves the attributes that they lack. The private half comes first, so that the public half still
// leads to the pair. What cannot be put back comes last.
func (m *mutation) set(ctx context.Context, key object.Key, want object.Wanted) error {
	reversible, final := object.Reversible(key.Private.Lacking(want.Private))
	steps := []struct {
		half            *object.Object
		missing, wanted []cryptoki.Attribute
	}{{key.Private, reversible, want.Private}, {key.Public, nil, want.Public}, {key.Private, final, want.Private}}
	if key.Public != nil {
		steps[1].missing = key.Public.Lacking(want.Written())
	}
	for _, step := range steps {
		if len(step.missing) == 0 {
			continue
		}
		if err := m.setHalf(ctx, *step.half, step.missing, step.wanted); err != nil {
			return err
		}
	}
	return nil
}

// setHalf gives one object the attributes that are missing of those that are wanted. It has the key, and the ID and the
// label that it had before, gets, or got by an earlier step, or the handle means another object by now.
func (m *mutation) setHalf(ctx context.Context, half object.Object, missing, wanted []cryptoki.Attribute) error {
	ours := func(now object.Object) bool {
		return object.SameKey(half, now) && m.has(now.ID) && m.names(half, now, wanted)
	}
	return m.token.pool.Use(ctx, func(s *cryptoki.Session) error {
		_, err := m.token.reader.ConfirmOne(ctx, s, half.Handle, ours)
		if errors.Is(err, session.ErrLookAlike) && half.Handle == m.before.Private.Handle &&
			m.token.recognises(ctx, s, m.before) {
			err = nil
		}
		if err == nil {
			err = s.SetAttributeValue(ctx, half.Handle, missing)
		}
		if err != nil || !m.before.Spec().Alone() {
			return err
		}
		now, err := m.token.reader.Confirm(ctx, s, half.Handle, ours)
		if _, hangs := errors.AsType[*cryptoki.HangError](err); hangs {
			return err
		}
		if err == nil { // other failures of this look do not matter: another one follows
			m.now = &now
		}
		return nil
	})
}
