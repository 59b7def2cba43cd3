package hsm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/session"
)

// Destroy destroys the key that ref means, of a pair the private half first, and then looks again. A key that is
// already gone is no failure, and neither is half a pair if nothing else is left of it. left are the other key objects
// that still have the ID; they belong to somebody else. Errors are *OperationError, which say what the token holds
// now. They wrap *object.RefusedError where the make destroys no key, *object.AmbiguousError, *object.DifferentKeyError
// where the key with the ID is not the one that ref means, *UnreadableError where what is gone may only be hidden,
// *UnseenError where what is gone may only not be shown, *StaysError, or another failure.
func (t *Token) Destroy(ctx context.Context, ref object.Ref) (left []object.Name, err error) {
	failed := func(err error, holds Holding, label string) ([]object.Name, error) {
		return nil, &OperationError{Operation: "destroy", ID: ref.ID, Label: label, Err: err, Holds: holds}
	}
	if err := t.AllowsDestruction(); err != nil {
		return failed(err, HoldsUntouched, "")
	}
	unlock, err := t.locks.Lock(ctx, ref.ID)
	if err != nil {
		return failed(err, HoldsUntouched, "")
	}
	defer unlock()
	leave, err := t.write(ctx)
	if err != nil {
		return failed(err, HoldsUntouched, "")
	}
	defer leave()
	holds := HoldsUntouched
	for again := false; ; again = true {
		objects, err := t.find(ctx, ref.ID)
		if err != nil {
			return failed(err, holds, "")
		}
		doomed, key, err := victims(objects, ref, t.fingerprinter(ctx))
		if err == nil && key == nil { // nothing more of it was found
			err = t.hidden(ref.ID)
			switch {
			case err != nil:
			case len(doomed) == 0:
				err = t.Unseen(ctx, ref.ID)
			case doomed[0].Class == cryptoki.CKO_PUBLIC_KEY:
				err = t.unseenPrivate(ctx, ref.ID)
			}
		}
		if err == nil && key != nil {
			err = t.meant(ctx, *key, ref)
		}
		switch {
		case cryptoki.InvalidHandle(err) && !again:
			continue // the sessions were lost, and their handles are invalid
		case err != nil:
			return failed(err, holds, "")
		case len(doomed) == 0:
			t.snapshot.drop() // another process may have destroyed it
			return object.Names(objects), nil
		case t.info.Has(cryptoki.CKF_WRITE_PROTECTED):
			return failed(ErrReadOnly, holds, doomed[0].Label)
		}
		settle, cancel := session.Settling(ctx)
		remaining, err := t.destroy(settle, doomed, nil, key)
		cancel()
		switch {
		case err != nil:
			return failed(err, HoldsUnknown, doomed[0].Label)
		case remaining.undecided && !again:
			holds = HoldsUnknown
			continue // only another look at the whole key shows which one it is
		case len(remaining.objects) > 0:
			return failed(remaining.cause, remaining.holds(doomed), doomed[0].Label)
		}
		return object.Names(remaining.others), nil
	}
}

// meant makes sure that the key is the one that ref means, as far as the token shows it.
func (t *Token) meant(ctx context.Context, key object.Key, ref object.Ref) error {
	key, err := t.Fingerprinted(ctx, key)
	if err == nil && !key.Is(ref) {
		return key.Differs(ref)
	}
	if err == nil { // the private half may belong to another key
		_, err = t.Prove(ctx, key)
	}
	return err
}

// StaysError says that the token keeps the public half of a pair without its private half, and destroys no such half.
type StaysError struct{ Half object.Name }

func (e *StaysError) Error() string {
	return fmt.Sprintf("the private half is destroyed, and the token keeps the %s: it destroys public halves only "+
		"together with their private ones", e.Half)
}

// destructible are those of the objects that a call can destroy: where a pair is one object, its public half goes with
// the private one.
func (t *Token) destructible(objects []object.Object) []object.Object {
	return slices.DeleteFunc(slices.Clone(objects), func(o object.Object) bool {
		return t.differences.OnePair && o.Class == cryptoki.CKO_PUBLIC_KEY
	})
}

// victims are the objects to destroy: those of the key that ref means, or what is left of a pair. Then key is nil.
func victims(objects []object.Object, ref object.Ref, fingerprinted object.Fingerprinter) (doomed []object.Object, key *object.Key, err error) {
	chosen, err := object.Choose(objects, ref, fingerprinted)
	half, isHalf := errors.AsType[*object.HalfPairError](err)
	switch {
	case errors.Is(err, object.ErrNotFound):
		return nil, nil, nil
	case isHalf:
		doomed, err = object.Remnant(objects, ref, half)
		return doomed, nil, err
	case err != nil:
		return nil, nil, err
	}
	return chosen.Objects(), &chosen, nil
}

// discard destroys objects that this process has made and does not keep, and says what the token holds then. origin is
// the session whose handles they have, nil where another one found them; key is the key that they make, nil for none.
func (t *Token) discard(
	ctx context.Context, made []object.Object, origin *cryptoki.Session, key *object.Key,
) Holding {
	remaining, err := t.destroy(ctx, made, origin, key)
	if err != nil {
		return HoldsUnknown
	}
	return remaining.holds(made)
}

// wipe destroys all key objects of a random ID of this process's making. Nobody else's key can have that ID, so the
// objects need not be readable or show their class. wipe says what the token holds then.
func (t *Token) wipe(ctx context.Context, spec *object.Spec, id []byte) Holding {
	defer t.snapshot.drop()
	var left []uint                                             // classes, in the row's order
	all := append(slices.Clone(spec.Classes), cryptoki.Unknown) // the private half first; what is left comes last
	for range 2 {
		err := t.pool.Use(ctx, func(s *cryptoki.Session) error { return t.wipeIn(ctx, s, all, id) })
		if unread := (*unreadError)(nil); errors.As(err, &unread) {
			err = t.pool.Use(ctx, func(s *cryptoki.Session) error { return t.wipeUnread(ctx, s, all, id) })
		}
		if _, hangs := errors.AsType[*cryptoki.HangError](err); hangs || errors.Is(err, object.ErrMalformed) {
			return HoldsUnknown
		}
		err = t.reader.Read(ctx, func(s *cryptoki.Session) error {
			left = nil
			for _, class := range all {
				handles, err := findClass(ctx, s, class, id)
				if err != nil {
					return err
				}
				if len(handles) > 0 && (class != cryptoki.Unknown || len(left) == 0) {
					left = append(left, class)
				}
			}
			if slices.Contains(left, spec.Classes[0]) {
				return nil
			}
			return t.pool.LoggedIn(ctx, s)
		})
		switch {
		case err != nil:
			return HoldsUnknown
		case len(left) == 0:
			return HoldsNothing
		}
	}
	if slices.Equal(left, spec.Classes) {
		return HoldsKey
	}
	return halfHeld(left[0])
}

// findClass finds the objects of an ID and a class, or of any class for Unknown.
func findClass(ctx context.Context, s *cryptoki.Session, class uint, id []byte) ([]cryptoki.Object, error) {
	template := []cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_ID, id)}
	if class != cryptoki.Unknown {
		template = append(template, cryptoki.ULong(cryptoki.CKA_CLASS, class))
	}
	return s.FindObjects(ctx, template)
}

// wipeIn reads and destroys what a search finds in the same session. An *unreadError says that something could not be
// read, so that the session is as good as lost.
func (t *Token) wipeIn(ctx context.Context, s *cryptoki.Session, classes []uint, id []byte) error {
	for _, class := range classes {
		handles, err := findClass(ctx, s, class, id)
		if err != nil {
			return err
		}
		for _, handle := range handles {
			o, err := t.reader.Object(ctx, s, handle)
			if err != nil {
				return &unreadError{err}
			}
			if len(t.destructible([]object.Object{o})) == 0 {
				continue
			}
			if !bytes.Equal(o.ID, id) {
				return &object.MalformedError{Object: o.Name(), Err: fmt.Errorf("the token was asked for objects with "+
					"%s %s, and gave one with another", cryptoki.CKA_ID, object.FormatID(id))}
			}
			if err := s.DestroyObject(ctx, handle); err != nil && !cryptoki.InvalidHandle(err) {
				return err
			}
		}
	}
	return nil
}

// unreadError is why an object could not be read.
type unreadError struct{ error }

func (e *unreadError) Unwrap() error { return e.error }

// wipeUnread destroys what the session cannot read, each object at once when a search has found it. A search for an ID
// that nobody has must find nothing, or no search is believed.
func (t *Token) wipeUnread(ctx context.Context, s *cryptoki.Session, classes []uint, id []byte) error {
	nobodys, err := findClass(ctx, s, cryptoki.Unknown, []byte(uuid.NewString()))
	if err == nil && len(nobodys) > 0 {
		err = &cryptoki.AnswerError{Function: "C_FindObjects", Object: nobodys[0], Problem: "the token gave an object that was not asked for"}
	}
	for _, class := range classes {
		for range classes { // there is no more than one of each class
			var handles []cryptoki.Object
			if err == nil {
				handles, err = findClass(ctx, s, class, id)
			}
			if err != nil {
				return err
			}
			if len(handles) == 0 {
				break
			}
			if failed := s.DestroyObject(ctx, handles[0]); !cryptoki.InvalidHandle(failed) {
				err = failed
			}
		}
	}
	return err
}

// halfHeld is the Holding for half a pair, of that class.
func halfHeld(class uint) Holding {
	switch class {
	case cryptoki.CKO_PRIVATE_KEY:
		return HoldsPrivate
	case cryptoki.CKO_PUBLIC_KEY:
		return HoldsPublic
	}
	return HoldsUnknown
}

// remains is what a destruction left.
type remains struct {
	objects   []object.Object // those that were to be destroyed and are left
	others    []object.Object // others with the same ID
	cause     error           // why objects are left
	undecided bool            // one of objects may be another one, and not one of those to be destroyed
}

// holds is the Holding for what is left.
func (r remains) holds(doomed []object.Object) Holding {
	switch {
	case r.undecided:
		return HoldsUnknown
	case len(r.objects) == 0 && len(r.others) > 0:
		return HoldsOther
	case len(r.objects) == 0:
		return HoldsNothing
	}
	if spec := object.SpecOf(r.objects[0].CKK); spec != nil && len(doomed) == len(r.objects) {
		if _, _, whole := spec.Parts(r.objects); whole {
			return HoldsKey
		}
	}
	return halfHeld(r.objects[0].Class) // the private half, if that is there
}

// destroy destroys key objects in the order given, and looks what is left. It tries once more on what is left, in
// fresh sessions and with fresh handles, unless it is undecided whether that is one of them. The handles are those of
// the session origin, if that is not nil; key, if that is not nil, is the whole key. err says that the token could not
// be searched in the end.
func (t *Token) destroy(
	ctx context.Context, doomed []object.Object, origin *cryptoki.Session, key *object.Key,
) (remains, error) {
	defer t.snapshot.wrote(doomed, nil) // whatever happens, the snapshot no longer shows them
	r := remains{objects: doomed}
	destroyed := map[cryptoki.Object]bool{} // by the token's word
	var gone error                          // what the token said of an invalid handle
	for range 2 {
		r.cause, gone = nil, nil
		for _, o := range t.destructible(r.objects) {
			done, err := t.destroyObject(ctx, o, origin, key)
			if done {
				destroyed[o.Handle] = true
				continue
			}
			if cryptoki.InvalidHandle(err) {
				gone = err
			} else {
				r.cause = err
			}
			break // never the public half while the private one may be there
		}
		if _, ok := errors.AsType[*cryptoki.HangError](r.cause); ok {
			return r, r.cause // it may still take effect
		}
		found, err := t.findAll(ctx, doomed)
		if err != nil {
			return r, errors.Join(r.cause, err)
		}
		origin, key = nil, nil // from here on, the handles are others
		r.objects, r.others = nil, nil
		for _, o := range found {
			like := slices.DeleteFunc(slices.Clone(doomed), func(d object.Object) bool { return !object.SameObject(d, o) })
			same := slices.ContainsFunc(like, func(d object.Object) bool { return d.Handle == o.Handle }) ||
				o.ShowsItself() && len(like) > 0
			// An object that shows nothing of its key may be another one that only looks the same. Or it is one of
			// those to be destroyed, with another handle since a new session.
			undecided := !same && slices.ContainsFunc(like, func(d object.Object) bool { return !destroyed[d.Handle] })
			// A malformed object may be any of them.
			undecided = undecided || o.Err != nil && slices.ContainsFunc(doomed,
				func(d object.Object) bool { return d.Handle == o.Handle || !destroyed[d.Handle] })
			if same || undecided {
				r.objects = append(r.objects, o)
				r.undecided = r.undecided || undecided
				continue
			}
			r.others = append(r.others, o)
		}
		slices.SortStableFunc(r.objects, object.PrivateFirst)
		if len(r.objects) == 0 || r.undecided || cryptoki.Refused(r.cause) || errors.Is(r.cause, session.ErrLookAlike) {
			break
		}
	}
	switch {
	case r.cause != nil || len(r.objects) == 0:
	case len(t.destructible(r.objects)) == 0:
		r.cause = &StaysError{r.objects[0].Name()}
	case gone != nil:
		r.cause = fmt.Errorf("the token still shows the objects, but says that their handles are invalid: %w", gone)
	default:
		r.cause = errors.New("the token says that it destroyed the objects, but still shows them")
	}
	return r, nil
}

// destroyObject destroys one object. done says that the token has destroyed it. Where the handle means another object
// by now, the next search finds the object under its new handle. origin and key are those of destroy.
func (t *Token) destroyObject(
	ctx context.Context, o object.Object, origin *cryptoki.Session, key *object.Key,
) (done bool, err error) {
	err = t.pool.Use(ctx, func(s *cryptoki.Session) error {
		confirm := t.reader.ConfirmOne
		if s == origin {
			confirm = t.reader.Confirm
		}
		_, err := confirm(ctx, s, o.Handle, session.Is(o))
		if errors.Is(err, session.ErrLookAlike) && key != nil && o.Handle == key.Private.Handle && t.recognises(ctx, s, *key) {
			err = nil
		}
		if err == nil {
			err = s.DestroyObject(ctx, o.Handle)
		}
		done = err == nil
		return err
	})
	return done, err
}

// findAll finds the objects of all the IDs that the given ones have.
func (t *Token) findAll(ctx context.Context, objects []object.Object) (found []object.Object, err error) {
	var seen [][]byte
	for _, o := range objects {
		if slices.ContainsFunc(seen, func(id []byte) bool { return bytes.Equal(id, o.ID) }) {
			continue
		}
		seen = append(seen, o.ID)
		more, err := t.find(ctx, o.ID)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}
