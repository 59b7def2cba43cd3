package session

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// Reader finds objects on a token, and reads them. It is not to be copied.
type Reader struct {
	Pool        *Pool
	Differences quirk.Differences
	// Doubt says whether an object must be read again; it may wait before it answers. try counts from 1. nil: the first
	// reading counts.
	Doubt func(try int, o object.Object, err error) bool
	// Searched is called after each search: with the time that it took, the number of objects read in it, and the time
	// spent reading them. It may be nil.
	Searched func(took time.Duration, reads int, reading time.Duration)
	// Progress is called for each object that ReadAll has read. It may be nil.
	Progress func()

	alone    atomic.Bool  // the token refuses to read many attributes: each is asked for alone from then on
	refusals atomic.Int64 // how often it has failed to read many since it last read them
}

// Read runs f, which changes nothing on the token. Where the module fails or its answer makes no sense, it runs f once
// more on a fresh session.
func (r *Reader) Read(ctx context.Context, f func(*cryptoki.Session) error) error {
	err := r.Pool.Use(ctx, f)
	if Repeatable(ctx, err) {
		err = r.Pool.Use(ctx, f)
	}
	return err
}

// Object reads one object.
func (r *Reader) Object(ctx context.Context, s *cryptoki.Session, handle cryptoki.Object) (object.Object, error) {
	for try := 1; ; try++ {
		var o object.Object
		attributes, err := r.Attributes(ctx, s, handle, object.Read(r.Differences))
		if further := object.Further(attributes); err == nil && len(further) > 0 {
			var more cryptoki.Attributes
			more, err = r.Attributes(ctx, s, handle, further)
			maps.Copy(attributes, more)
		}
		if long, ok := errors.AsType[*cryptoki.LongError](err); ok {
			return object.DecodeLong(handle, attributes, r.Differences, long), nil
		}
		if err == nil {
			o = object.Decode(handle, attributes, r.Differences)
		}
		if r.Doubt == nil || !r.Doubt(try, o, err) {
			return o, err
		}
	}
}

// Attributes reads attributes of an object in one call; the first one is the class, which every object has. Some tokens
// answer CKR_FUNCTION_FAILED where an object lacks some of them. There each attribute is asked for alone, once the token
// is known for it, or has failed twice: the second time, a fresh session has asked.
func (r *Reader) Attributes(
	ctx context.Context, s *cryptoki.Session, handle cryptoki.Object, types []cryptoki.AttributeType,
) (read cryptoki.Attributes, err error) {
	if !s.Lost() {
		// What fails so leaves the session as good as it was, if another call then reads the object in it.
		defer func() {
			if err == nil {
				s.Unharmed()
			}
		}()
	}
	if r.alone.Load() {
		return oneByOne(ctx, s, handle, types)
	}
	all, err := s.GetAttributeValue(ctx, handle, types)
	if !errors.Is(err, cryptoki.CKR_FUNCTION_FAILED) {
		if err == nil {
			r.refusals.Store(0)
		}
		return all, err
	}
	if r.refusals.Add(1) < 2 && !r.Differences.OneByOne {
		return nil, err
	}
	each, failed := oneByOne(ctx, s, handle, types)
	if failed != nil {
		return nil, err
	}
	r.alone.Store(true)
	return each, nil
}

// oneByOne asks for each attribute alone. One that the token fails to read twice is one that it does not show. If
// that is the first one, or the label, which every key has, the token fails in another way.
func oneByOne(
	ctx context.Context, s *cryptoki.Session, handle cryptoki.Object, types []cryptoki.AttributeType,
) (cryptoki.Attributes, error) {
	read := cryptoki.Attributes{}
	var long *cryptoki.LongError
	for i, t := range types {
		one, err := s.GetAttributeValue(ctx, handle, []cryptoki.AttributeType{t})
		if errors.Is(err, cryptoki.CKR_FUNCTION_FAILED) && i > 0 {
			one, err = s.GetAttributeValue(ctx, handle, []cryptoki.AttributeType{t})
			if errors.Is(err, cryptoki.CKR_FUNCTION_FAILED) && (t != cryptoki.CKA_LABEL || !isKey(read)) {
				continue
			}
		}
		if e, ok := errors.AsType[*cryptoki.LongError](err); ok {
			long, err = cmp.Or(long, e), nil
		}
		if err != nil {
			return nil, err
		}
		maps.Copy(read, one)
	}
	if long != nil {
		return read, long
	}
	return read, nil
}

// isKey says that attributes are those of a key, or of half of one.
func isKey(read cryptoki.Attributes) bool {
	class, _, _ := read.ULong(cryptoki.CKA_CLASS)
	return object.ClassNames[class] != ""
}

// Confirm reads the object of a handle in a session that is about to act on it, and makes sure that it still is the
// one that is meant. A handle is good for one session: after a new login, the same number may mean another object.
// Confirm gives the object as it is now. If it is another one, the error is CKR_OBJECT_HANDLE_INVALID, as for a handle
// without an object, and the session is given up.
func (r *Reader) Confirm(ctx context.Context, s *cryptoki.Session, handle cryptoki.Object, meant func(now object.Object) bool) (object.Object, error) {
	now, err := r.Object(ctx, s, handle)
	if err == nil && !meant(now) {
		err = s.Abandon(&cryptoki.Error{Function: "C_GetAttributeValue", Code: cryptoki.CKR_OBJECT_HANDLE_INVALID})
	}
	return now, err
}

// Is is for Confirm: it says that the object is still exactly as it was. What has no ID matches nothing, since nothing
// tells it from other people's objects.
func Is(o object.Object) func(object.Object) bool {
	return func(now object.Object) bool { return len(o.ID) > 0 && object.SameObject(o, now) }
}

// ErrLookAlike says that several objects look the same, and nothing shows which of them is meant.
var ErrLookAlike = errors.New("several objects on the token have the same ID and label and show nothing of their keys, " +
	"so that nothing shows which of them is meant")

// ConfirmOne is Confirm for who destroys or changes an object that another session found. Such an object may show
// nothing of its key: then it must be the only one of its looks in this session too, or ErrLookAlike is the error.
func (r *Reader) ConfirmOne(
	ctx context.Context, s *cryptoki.Session, handle cryptoki.Object, meant func(now object.Object) bool,
) (object.Object, error) {
	now, err := r.Confirm(ctx, s, handle, meant)
	if err != nil || now.ShowsItself() {
		return now, err
	}
	found, err := r.FindIn(ctx, s, now.ID)
	if err != nil && !errors.Is(err, object.ErrMalformed) {
		return now, err
	}
	if !slices.ContainsFunc(found, func(o object.Object) bool { return o.Handle == handle }) {
		return now, s.Abandon(&cryptoki.AnswerError{Function: "C_FindObjects", Object: handle,
			Problem: "a search for the object's ID does not find it"}) // nor would it find its rivals
	}
	return now, alone(now, found)
}

// alone is ErrLookAlike where another one of the objects found looks the same.
func alone(o object.Object, found []object.Object) error {
	if slices.ContainsFunc(found, func(x object.Object) bool { return x.Handle != o.Handle && object.SameObject(o, x) }) {
		return ErrLookAlike
	}
	return nil
}

// ConfirmRead is Confirm for who uses an object that was read earlier, and changes nothing. It takes one without an ID
// if it shows its key, or is the only one of its looks on the token.
func (r *Reader) ConfirmRead(ctx context.Context, s *cryptoki.Session, o object.Object) error {
	now, err := r.Confirm(ctx, s, o.Handle, func(now object.Object) bool { return object.SameObject(o, now) })
	if err != nil || len(o.ID) > 0 || now.ShowsItself() {
		return err
	}
	handles, err := s.FindObjects(ctx, []cryptoki.Attribute{
		cryptoki.ULong(cryptoki.CKA_CLASS, o.Class), cryptoki.ULong(cryptoki.CKA_KEY_TYPE, o.CKK), cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(o.Label)),
	})
	if err != nil {
		return err
	}
	var found []object.Object
	for _, handle := range handles {
		like, err := r.Object(ctx, s, handle)
		if err != nil {
			return err
		}
		found = append(found, like)
	}
	return alone(now, found)
}

// Find searches the token for the key objects of an ID. A token hides private objects from those who are not logged
// in, so an answer without a private object counts only while the process is logged in.
func (r *Reader) Find(ctx context.Context, id []byte) (objects []object.Object, err error) {
	return r.Search(ctx, id, true)
}

// Search is Find, but where not sure, an answer without a private object may also come from a session that has lost its
// login: for who searches again before an absence counts.
func (r *Reader) Search(ctx context.Context, id []byte, sure bool) (objects []object.Object, err error) {
	start, reads, reading := time.Now(), 0, time.Duration(0)
	if r.Searched != nil {
		defer func() { r.Searched(time.Since(start), reads, reading) }()
	}
	err = r.Read(ctx, func(s *cryptoki.Session) (err error) {
		objects, err = r.searchIn(ctx, s, id, sure, func(took time.Duration) { reads, reading = reads+1, reading+took })
		return err
	})
	if errors.Is(err, object.ErrMalformed) {
		err = nil // each object carries its own error
	}
	return objects, err
}

// FindIn is Find in a session. Malformed objects are among them, and their errors are the error.
func (r *Reader) FindIn(ctx context.Context, s *cryptoki.Session, id []byte) (objects []object.Object, err error) {
	return r.searchIn(ctx, s, id, true, func(time.Duration) {})
}

func (r *Reader) searchIn(
	ctx context.Context, s *cryptoki.Session, id []byte, sure bool, read func(took time.Duration),
) (objects []object.Object, err error) {
	handles, err := s.FindObjects(ctx, []cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_ID, id)})
	if err != nil {
		return nil, err
	}
	secret := false
	var malformed error
	for _, handle := range handles {
		began := time.Now()
		o, err := r.Object(ctx, s, handle)
		read(time.Since(began))
		if r.Differences.Torn && errors.Is(err, cryptoki.CKR_ATTRIBUTE_VALUE_INVALID) {
			o, err = object.Unclassified(handle, id, err), nil
		}
		if err != nil {
			return nil, err
		}
		if o.Err == nil && !bytes.Equal(o.ID, id) {
			o.Err = &object.MalformedError{Object: o.Name(), Err: fmt.Errorf("the token was asked for objects with "+
				"%s %s, and gave one with another", cryptoki.CKA_ID, object.FormatID(id))}
		}
		if !o.Counts() {
			continue
		}
		objects = append(objects, o)
		malformed = errors.Join(malformed, o.Err)
		secret = secret || o.Class != cryptoki.CKO_PUBLIC_KEY
	}
	if r.Differences.ShownTwice {
		objects = object.Distinct(objects)
	}
	if !secret && sure {
		return objects, r.Pool.LoggedIn(ctx, s)
	}
	return objects, malformed
}

// List gives the handles of all objects on the token, and makes sure that the token did not hide the private ones.
func (r *Reader) List(ctx context.Context) (handles []cryptoki.Object, err error) {
	err = r.Read(ctx, func(s *cryptoki.Session) error {
		if handles, err = s.FindObjects(ctx, nil); err != nil {
			return err
		}
		return r.Pool.LoggedIn(ctx, s)
	})
	return handles, err
}

// ReadAll reads the objects that List has just found, in all sessions at the same time. An object whose handle is
// invalid counts as gone only if another search does not find it either: when sessions are lost, every handle becomes
// invalid, although nothing is gone.
func (r *Reader) ReadAll(ctx context.Context, handles []cryptoki.Object) ([]object.Object, error) {
	var vanished error
	for range 3 {
		var objects []object.Object
		var read []bool
		var err error
		if objects, read, vanished, err = r.readEach(ctx, handles); err != nil {
			return nil, err
		}
		if vanished == nil {
			return r.there(objects, read), nil
		}
		was := map[cryptoki.Object]bool{}
		for i, handle := range handles {
			was[handle] = read[i]
		}
		if handles, err = r.List(ctx); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(handles, func(h cryptoki.Object) bool { return !was[h] }) {
			return r.there(objects, read), nil
		}
	}
	return nil, fmt.Errorf("the objects on the token change while they are read: %w", vanished)
}

// there keeps the objects that were read.
func (r *Reader) there(objects []object.Object, read []bool) []object.Object {
	n := 0
	for i, o := range objects {
		if read[i] {
			objects[n] = o
			n++
		}
	}
	clear(objects[n:])
	objects = objects[:n]
	if r.Differences.ShownTwice {
		objects = object.Distinct(objects)
	}
	return objects
}

// readEach reads the objects of the handles. vanished is an error if some of the handles are not valid any more.
func (r *Reader) readEach(ctx context.Context, handles []cryptoki.Object) (objects []object.Object, read []bool, vanished, err error) {
	objects, read = make([]object.Object, len(handles)), make([]bool, len(handles))
	var claimed atomic.Int64
	var gone atomic.Pointer[error]
	// A failure keeps the others from going on, but lets their calls end: one whose context ends counts as hanging.
	var group errgroup.Group
	var failed atomic.Bool
	claim := func() int {
		if failed.Load() {
			return len(handles)
		}
		return int(claimed.Add(1)) - 1
	}
	for range min(r.Pool.Size(), len(handles)/16+1) {
		group.Go(func() error {
			for i, again := claim(), false; i < len(handles); again = true {
				// One session reads many objects: to take a session for each object costs more.
				err := r.Pool.Use(ctx, func(s *cryptoki.Session) error {
					for ; i < len(handles); i, again = claim(), false {
						o, err := r.Object(ctx, s, handles[i])
						if r.Progress != nil {
							r.Progress()
						}
						switch {
						case cryptoki.InvalidHandle(err):
							gone.Store(&err)
							continue
						case r.Differences.Torn && errors.Is(err, cryptoki.CKR_ATTRIBUTE_VALUE_INVALID) && again:
							o, err = object.Object{Handle: handles[i], Unclassified: true}, nil
						case err == nil && !again:
							err = o.Err // a malformed object is read once more: the first reading may be wrong
						}
						if err != nil {
							return err
						}
						objects[i], read[i] = o, true
					}
					return nil
				})
				if err != nil && (again || !Repeatable(ctx, err)) {
					failed.Store(true)
					return err
				}
			}
			return nil
		})
	}
	err = group.Wait()
	if last := gone.Load(); last != nil {
		vanished = *last
	}
	return objects, read, vanished, err
}
