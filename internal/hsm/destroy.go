package hsm

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// Destroy destroys the key that ref means, of a pair the private half first, and looks again at the end. What is
// gone already is no failure, and nor is half a pair of which nothing else is left. The other key objects that
// still bear the ID come back as left: they are somebody else's. Errors: *AmbiguousError, *DifferentKeyError
// where the key behind the ID is not the one that ref's fingerprint means, or an *OperationError that says
// what the token holds now.
func (t *Token) Destroy(ctx context.Context, ref Ref) (left []Object, err error) {
	failed := func(err error, holds Holding, label string) ([]Object, error) {
		return nil, &OperationError{Operation: "destroy", ID: ref.ID, Label: label, Err: err, Holds: holds}
	}
	unlock, err := t.locks.lock(ctx, ref.ID)
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
		doomed, key, err := victims(objects, ref, t.fingerprinting(ctx))
		if err == nil && key != nil {
			err = t.meant(ctx, *key, ref)
		}
		switch {
		case cryptoki.InvalidHandle(err) && !again:
			continue // the sessions were lost, and their handles with them
		case err != nil:
			return failed(err, holds, "")
		case len(doomed) == 0:
			return namesOf(objects), nil
		case t.info.Has(cryptoki.CKF_WRITE_PROTECTED):
			return failed(ErrReadOnly, holds, doomed[0].label)
		}
		settle, cancel := settling(ctx)
		remaining, err := t.destroy(settle, doomed)
		cancel()
		switch {
		case err != nil:
			return failed(err, HoldsUnknown, doomed[0].label)
		case remaining.adrift && !again:
			holds = HoldsUnknown
			continue // who it is takes another look at the whole key
		case len(remaining.objects) > 0:
			return failed(remaining.cause, remaining.holds(doomed), doomed[0].label)
		}
		return namesOf(remaining.others), nil
	}
}

// meant makes sure that the key that was found is the one that ref means, as far as the token shows it.
func (t *Token) meant(ctx context.Context, key WholeKey, ref Ref) error {
	key, err := t.Fingerprinted(ctx, key)
	if err == nil && !key.isMeant(ref) {
		return differentKey(key, ref)
	}
	if err == nil { // the private half may be somebody else's
		_, err = t.Prove(ctx, key)
	}
	return err
}

// DifferentKeyError says that the key behind an ID is not the one that is meant.
type DifferentKeyError struct {
	ID          []byte
	Want, Found string // fingerprints, as WholeKey has them
	// Kinds and sizes of secret keys, where those tell that it is another: such as "aes (256 bits)".
	WantKind, FoundKind string
}

// Differs is not nil for a key that is not the one that ref means, as far as the token shows it.
func (k WholeKey) Differs(ref Ref) *DifferentKeyError {
	if k.isMeant(ref) {
		return nil
	}
	return differentKey(k, ref)
}

// differentKey is for a key that is not the one that ref means.
func differentKey(key WholeKey, ref Ref) *DifferentKeyError {
	e := &DifferentKeyError{ID: ref.ID, Want: ref.Fingerprint, Found: key.fingerprint}
	if !key.fits(ref) {
		e.WantKind, e.FoundKind = sizedKind(cmp.Or(ref.Kind, key.Kind), ref.Bits), sizedKind(key.Kind, key.Bits)
	}
	return e
}

func sizedKind(kind string, bits int) string {
	if bits == 0 {
		return kind
	}
	return fmt.Sprintf("%s (%d bits)", kind, bits)
}

func (e *DifferentKeyError) Error() string {
	if e.FoundKind != e.WantKind {
		return fmt.Sprintf("the key behind key ID %s is another one: its type is %s, that of the one that is meant is %s", FormatID(e.ID), e.FoundKind, e.WantKind)
	}
	return fmt.Sprintf("the key behind key ID %s is another one: its fingerprint is %s, that of the one that is meant is %s", FormatID(e.ID), e.Found, e.Want)
}

// victims are the objects to destroy: those of the key that ref means, or what is left of a pair, where key is nil.
func victims(objects []object, ref Ref, fingerprinted func(WholeKey) (WholeKey, error)) (doomed []object, key *WholeKey, err error) {
	candidates := ofType(objects, ref.Type)
	for _, o := range objects {
		if o.err != nil {
			return nil, nil, o.err
		}
	}
	if len(candidates) == 0 {
		return nil, nil, nil
	}
	chosen, err := choose(objects, ref, fingerprinted)
	var half *HalfPairError
	switch {
	case errors.As(err, &half):
		if len(candidates) > 1 {
			return nil, nil, err
		}
		o := candidates[0]
		shows := typeOf(o.ckk).fingerprint(o)
		if ref.Fingerprint != "" && shows != ref.Fingerprint && (shows != "" || o.class == cryptoki.CKO_PUBLIC_KEY) {
			return nil, nil, &DifferentKeyError{ID: ref.ID, Want: ref.Fingerprint, Found: shows}
		}
		return candidates, nil, nil
	case err != nil:
		return nil, nil, err
	}
	return chosen.objects(), &chosen, nil
}

// discard destroys objects that this process has made and does not keep, and says what the token holds then.
func (t *Token) discard(ctx context.Context, made []object) Holding {
	remaining, err := t.destroy(ctx, made)
	if err != nil {
		return HoldsUnknown
	}
	return remaining.holds(made)
}

// wipe destroys all key objects of an ID that this process has made up, so that nobody else's can bear it: what
// is there need not even be readable, nor show of what class it is. It says what the token holds then.
func (t *Token) wipe(ctx context.Context, kt *keyType, id []byte) Holding {
	defer t.failed()
	var left []uint // classes, in the row's order
	find := func(s *cryptoki.Session, class uint) (handles []cryptoki.Object, err error) {
		template := []cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_ID, id)}
		if class != cryptoki.Unknown {
			template = append(template, cryptoki.ULong(cryptoki.CKA_CLASS, class))
		}
		return s.FindObjects(ctx, template)
	}
	all := append(slices.Clone(kt.classes), cryptoki.Unknown) // the private half first, and at last whatever is left
	for range 2 {
		err := t.pool.use(ctx, func(s *cryptoki.Session) error {
			for _, class := range all {
				handles, err := find(s, class)
				if err != nil {
					return err
				}
				for _, handle := range handles {
					o, err := t.readObject(ctx, s, handle)
					if err == nil && !bytes.Equal(o.id, id) {
						return &MalformedError{Object: o.name(), Err: fmt.Errorf("it was found by %s %s, and reads as another", cryptoki.CKA_ID, FormatID(id))}
					}
					if err := s.DestroyObject(ctx, handle); err != nil && !cryptoki.InvalidHandle(err) {
						return err
					}
				}
			}
			return nil
		})
		if _, hangs := errors.AsType[*cryptoki.HangError](err); hangs || errors.Is(err, ErrMalformed) {
			return HoldsUnknown
		}
		err = t.read(ctx, func(s *cryptoki.Session) error {
			left = nil
			for _, class := range all {
				handles, err := find(s, class)
				if err != nil {
					return err
				}
				if len(handles) > 0 && (class != cryptoki.Unknown || len(left) == 0) {
					left = append(left, class)
				}
			}
			if slices.Contains(left, kt.classes[0]) {
				return nil
			}
			return loggedIn(ctx, s, t.info)
		})
		switch {
		case err != nil:
			return HoldsUnknown
		case len(left) == 0:
			return HoldsNothing
		}
	}
	if slices.Equal(left, kt.classes) {
		return HoldsKey
	}
	return halfHeld(left[0])
}

// halfHeld is the holding of half a pair, of that class.
func halfHeld(class uint) Holding {
	switch class {
	case cryptoki.CKO_PRIVATE_KEY:
		return HoldsPrivate
	case cryptoki.CKO_PUBLIC_KEY:
		return HoldsPublic
	}
	return HoldsUnknown
}

// sweepTime is how long an object has to be blank. Who makes a key at this moment has it blank much shorter.
const sweepTime = 250 * time.Millisecond

// sweep destroys the blanks of a type of key's classes. Nobody's key is one, and nothing depends on its success.
func (t *Token) sweep(ctx context.Context, kt *keyType) {
	_ = t.pool.use(ctx, func(s *cryptoki.Session) error {
		var blanks []cryptoki.Object
		for _, class := range kt.classes {
			handles, err := s.FindObjects(ctx, []cryptoki.Attribute{
				cryptoki.ULong(cryptoki.CKA_CLASS, class), cryptoki.Bool(cryptoki.CKA_TOKEN, false), cryptoki.Bytes(cryptoki.CKA_ID, nil), cryptoki.Bytes(cryptoki.CKA_LABEL, nil),
			})
			if err != nil {
				return err
			}
			blanks = append(blanks, handles...)
		}
		if len(blanks) == 0 {
			return nil
		}
		something := func(handle cryptoki.Object) bool {
			o, err := t.readObject(ctx, s, handle)
			return err != nil || !o.blank()
		}
		blanks = slices.DeleteFunc(blanks, something)
		time.Sleep(sweepTime)
		for _, handle := range slices.DeleteFunc(blanks, something) {
			if err := s.DestroyObject(ctx, handle); err != nil && !cryptoki.InvalidHandle(err) {
				return err
			}
		}
		return nil
	})
}

// blank says that the object has neither a name nor a key, and shows that it has none.
func (o object) blank() bool {
	return o.err == nil && o.absent == 0 && o.isKey() && o.knows(cryptoki.CKA_TOKEN) && !o.onToken() && o.knows(cryptoki.CKA_LOCAL) && !o.is(cryptoki.CKA_LOCAL) &&
		len(o.id)+len(o.label)+len(o.modulus)+len(o.params)+len(o.point) == 0 && o.valueLen == 0
}

// remains are what a destruction left.
type remains struct {
	objects []object // of those to be destroyed
	others  []object // of the same ID
	cause   error    // why any of objects are left
	adrift  bool     // it is not known of one of objects whether it is one of those to be destroyed
}

// holds tells remains in words.
func (r remains) holds(doomed []object) Holding {
	switch {
	case r.adrift:
		return HoldsUnknown
	case len(r.objects) == 0 && len(r.others) > 0:
		return HoldsOther
	case len(r.objects) == 0:
		return HoldsNothing
	}
	if kt := typeOf(r.objects[0].ckk); kt != nil && len(doomed) == len(r.objects) {
		if _, _, whole := kt.parts(r.objects); whole {
			return HoldsKey
		}
	}
	return halfHeld(r.objects[0].class) // the private half, if that is there
}

// destroy destroys key objects, in the order given, and looks what is left. Destroying is repeated once on what
// is left, on fresh sessions and with fresh handles, but for what is adrift. err says that the token could not be looked
// at in the end.
func (t *Token) destroy(ctx context.Context, doomed []object) (remains, error) {
	defer t.wrote(doomed, nil) // whatever happens, what was known of them is not served any more
	r := remains{objects: doomed}
	destroyed := map[cryptoki.Object]bool{} // as the token says
	var gone error                          // what the token said of one that is not there
	for range 2 {
		r.cause, gone = nil, nil
		for _, o := range r.objects {
			done, err := t.destroyObject(ctx, o)
			if done {
				destroyed[o.handle] = true
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
		r.objects, r.others = nil, nil
		for _, o := range found {
			like := slices.DeleteFunc(slices.Clone(doomed), func(d object) bool { return !sameObject(d, o) })
			known := slices.ContainsFunc(like, func(d object) bool { return d.handle == o.handle }) || o.showsItself() && len(like) > 0
			// One that shows nothing of its key may be somebody else's that looks like one of them, or is one that is not
			// destroyed yet, and got another handle with a new session.
			adrift := !known && slices.ContainsFunc(like, func(d object) bool { return !destroyed[d.handle] })
			// Nor is it known which one that is of which nothing can be read.
			adrift = adrift || o.err != nil && slices.ContainsFunc(doomed, func(d object) bool { return d.handle == o.handle || !destroyed[d.handle] })
			if known || adrift {
				r.objects = append(r.objects, o)
				r.adrift = r.adrift || adrift
				continue
			}
			r.others = append(r.others, o)
		}
		slices.SortStableFunc(r.objects, privateFirst)
		if len(r.objects) == 0 || r.adrift || r.cause != nil && cryptoki.Refused(r.cause) {
			break
		}
	}
	switch {
	case r.cause != nil || len(r.objects) == 0:
	case gone != nil:
		r.cause = fmt.Errorf("the token shows them, and says of their handles that there is nothing: %w", gone)
	default:
		r.cause = errors.New("the token says that it destroyed them, and still shows them")
	}
	return r, nil
}

// destroyObject destroys one object. That the handle means it is made sure of in the same session: a handle is
// good for one session, and after a new login the same number may be another key's. done says that the token has
// destroyed it.
func (t *Token) destroyObject(ctx context.Context, o object) (done bool, err error) {
	err = t.pool.use(ctx, func(s *cryptoki.Session) error {
		now, err := t.readObject(ctx, s, o.handle)
		if err == nil && !sameObject(o, now) { // what is there under another handle is found afterwards
			err = s.Abandon(&cryptoki.Error{Function: "C_GetAttributeValue", Code: cryptoki.CKR_OBJECT_HANDLE_INVALID})
		}
		if err == nil {
			err = s.DestroyObject(ctx, o.handle)
		}
		done = err == nil
		return err
	})
	return done, err
}

// findAll finds the objects of all the IDs that the given ones bear.
func (t *Token) findAll(ctx context.Context, objects []object) (found []object, err error) {
	var seen [][]byte
	for _, o := range objects {
		if slices.ContainsFunc(seen, func(id []byte) bool { return bytes.Equal(id, o.id) }) {
			continue
		}
		seen = append(seen, o.id)
		more, err := t.find(ctx, o.id)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

// sameObject says that two readings show the same object, its handle aside.
func sameObject(a, b object) bool {
	return a.label == b.label && bytes.Equal(a.id, b.id) && sameKey(a, b)
}

// isOneOf says that o is one of the known objects, be it under another handle by now. One that shows nothing
// of its key is known by its handle, or by being the only one of its kind among the found.
func isOneOf(known []object, o object, found []object) bool {
	alone := o.showsItself()
	if !alone {
		twins := 0
		for _, other := range found {
			if sameObject(o, other) {
				twins++
			}
		}
		alone = twins == 1
	}
	return slices.ContainsFunc(known, func(k object) bool { return sameObject(k, o) && (alone || k.handle == o.handle) })
}

func privateFirst(a, b object) int {
	rank := func(o object) int {
		if o.class == cryptoki.CKO_PRIVATE_KEY {
			return 0
		}
		return 1
	}
	return rank(a) - rank(b)
}
