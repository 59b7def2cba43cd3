package hsm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// read runs f, which changes nothing on the token, and runs it once more on a fresh session where the module
// failed or its answer made no sense.
func (t *Token) read(ctx context.Context, f func(*cryptoki.Session) error) error {
	err := t.pool.use(ctx, f)
	if repeatable(ctx, err) {
		err = t.pool.use(ctx, f)
	}
	return err
}

// repeatable says whether a read that failed so may be tried again. What a PIN was refused for is final, and
// nobody waits twice for a call that hangs.
func repeatable(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil {
		return false
	}
	for _, sentinel := range pinErrors {
		if errors.Is(err, sentinel) {
			return false
		}
	}
	var call *cryptoki.Error
	var answer *cryptoki.AnswerError
	return errors.As(err, &call) || errors.As(err, &answer) || errors.Is(err, ErrMalformed)
}

// find searches the token for the key objects that bear the ID. An answer without a private object is worth
// something only while logged in: a token hides them from everyone else.
//
// Where searches tear each other (quirks.torn), an absence counts only if two searches one after the other show it.
func (t *Token) find(ctx context.Context, id []byte) (objects []object, err error) {
	if objects, err = t.findOnce(ctx, id); !t.quirks.torn {
		return objects, err
	}
	for range agreeTries {
		if err != nil || !incomplete(objects) {
			return objects, err
		}
		before := objects
		if objects, err = t.findOnce(ctx, id); err == nil && slices.EqualFunc(before, objects, sameReading) {
			return objects, nil
		}
	}
	if err != nil || !incomplete(objects) {
		return objects, err
	}
	return nil, &cryptoki.AnswerError{Function: "C_FindObjects", Problem: fmt.Sprintf("each search for %s %s brings other objects", cryptoki.CKA_ID, FormatID(id))}
}

// agreeTries is how often a search is made again that shows other objects each time.
const agreeTries = 4

func sameReading(a, b object) bool {
	return a.handle == b.handle && (a.err == nil) == (b.err == nil)
}

// incomplete says that nothing was found, or half a pair.
func incomplete(objects []object) bool {
	m, err := match(known(objects))
	return len(objects) == 0 || err == nil && len(m.halves) > 0
}

func (t *Token) findOnce(ctx context.Context, id []byte) (objects []object, err error) {
	start, reads, reading := time.Now(), 0, time.Duration(0)
	defer func() { t.snapshot.searched(time.Since(start), reads, reading) }()
	err = t.read(ctx, func(s *cryptoki.Session) error {
		objects = nil
		handles, err := s.FindObjects(ctx, []cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_ID, id)})
		if err != nil {
			return err
		}
		secret := false
		var broken error
		for _, handle := range handles {
			began := time.Now()
			o, err := t.readObject(ctx, s, handle)
			reads, reading = reads+1, reading+time.Since(began)
			if errors.Is(err, cryptoki.CKR_ATTRIBUTE_VALUE_INVALID) {
				o, err = unclassified(handle, id, err), nil
			}
			if err != nil {
				return err
			}
			if o.err == nil && !bytes.Equal(o.id, id) {
				o.err = &MalformedError{Object: o.name(), Err: fmt.Errorf("it was found by %s %s, and reads as another", cryptoki.CKA_ID, FormatID(id))}
			}
			if o.err == nil && (!o.isKey() || !o.onToken()) {
				continue
			}
			objects = append(objects, o)
			broken = errors.Join(broken, o.err)
			secret = secret || o.class != cryptoki.CKO_PUBLIC_KEY
		}
		if !secret {
			return loggedIn(ctx, s, t.info)
		}
		return broken
	})
	if errors.Is(err, ErrMalformed) {
		err = nil // each object carries its own error
	}
	return distinct(objects), err
}

// distinct leaves out what is the same object once more under another handle: openCryptoki 3.8.1 shows an object
// twice to a process that makes several at the same time. One that shows nothing of its key is never left out.
func distinct(objects []object) []object {
	seen := map[string]bool{}
	return slices.DeleteFunc(objects, func(o object) bool {
		if !o.showsItself() {
			return false
		}
		key := fmt.Sprintf("%d %d %x %q %x %x %d %x %x", o.class, o.ckk, o.id, o.label, o.modulus, o.point, o.valueLen, o.checkValue, o.flags)
		again := seen[key]
		seen[key] = true
		return again
	})
}

// An object that someone else writes at this moment can read as one that lacks attributes, or as none at all:
// SoftHSM 2.6.1 does so when it reloads an object's file. A reading that lacks what such an object always has is
// made again, up to slips times; what is lacking even then is what this token does not tell, and is not waited for
// any more.
const (
	slips    = 3
	slipTime = 5 * time.Millisecond
)

func (t *Token) readObject(ctx context.Context, s *cryptoki.Session, handle cryptoki.Object) (object, error) {
	for try := 1; ; try++ {
		attributes, err := s.GetAttributeValue(ctx, handle, objectAttributes)
		o := object{}
		if err == nil {
			o = t.quirks.forget(decode(handle, attributes))
		}
		switch {
		case err == nil && t.tellsNoMore(o):
			return o, nil
		case err != nil && !errors.Is(err, cryptoki.CKR_ATTRIBUTE_VALUE_INVALID), try > slips && err != nil:
			return object{}, err
		case try > slips:
			t.untold.Store(o.kind(), t.untoldOf(o)|o.absent)
			return o, nil
		}
		time.Sleep(slipTime)
	}
}

// unclassified is an object of which the token tells nothing, since it does not know its class. SoftHSM 2.6.1 answers so
// of one whose file lacks it.
func unclassified(handle cryptoki.Object, id []byte, err error) object {
	o := object{handle: handle, read: true, id: id, debris: true}
	o.err = &MalformedError{Object: o.name(), Handle: handle, Err: err}
	return o
}

// tellsNoMore says that the reading lacks nothing that this token tells of such an object.
func (t *Token) tellsNoMore(o object) bool { return o.absent&^t.untoldOf(o) == 0 }

func (t *Token) untoldOf(o object) flags {
	untold, _ := t.untold.Load(o.kind())
	mask, _ := untold.(flags)
	return mask
}

// readAll reads every key object on the token, of which the handles have just been listed: one read an object,
// fanned out over the sessions. An object that has vanished is gone only if another search does not bring it either:
// when sessions are lost, every handle becomes invalid, and nothing is gone.
func (t *Token) readAll(ctx context.Context, handles []cryptoki.Object) ([]object, error) {
	var vanished error
	for range 3 {
		var objects []object
		var err error
		if objects, vanished, err = t.readEach(ctx, handles); err != nil {
			return nil, err
		}
		if vanished == nil {
			return keysAmong(objects), nil
		}
		if handles, err = t.handles(ctx); err != nil {
			return nil, err
		}
		read := map[cryptoki.Object]bool{}
		for _, o := range objects {
			read[o.handle] = o.read
		}
		if !slices.ContainsFunc(handles, func(h cryptoki.Object) bool { return !read[h] }) {
			return keysAmong(objects), nil
		}
	}
	return nil, fmt.Errorf("the objects on the token come and go while they are read: %w", vanished)
}

// keysAmong keeps what was read and is a key, or makes too little sense to tell.
func keysAmong(objects []object) []object {
	return slices.DeleteFunc(distinct(objects), func(o object) bool { return !o.read || o.err == nil && !o.debris && (!o.isKey() || !o.onToken()) })
}

// readEach reads the objects of the handles. vanished says that some of the handles are not valid any more.
func (t *Token) readEach(ctx context.Context, handles []cryptoki.Object) (objects []object, vanished, err error) {
	objects = make([]object, len(handles))
	var claimed atomic.Int64
	claim := func() int { return int(claimed.Add(1)) - 1 }
	var gone atomic.Pointer[error]
	group, ctx := errgroup.WithContext(ctx)
	for range min(t.pool.size(), len(handles)/16+1) {
		group.Go(func() error {
			for i, again := claim(), false; i < len(handles); again = true {
				// As many as there are, for as long as the session does: taking one for each costs more.
				err := t.pool.use(ctx, func(s *cryptoki.Session) error {
					for ; i < len(handles); i, again = claim(), false {
						o, err := t.readObject(ctx, s, handles[i])
						t.snapshot.progress.Add(1)
						switch {
						case cryptoki.InvalidHandle(err):
							gone.Store(&err)
							continue
						case errors.Is(err, cryptoki.CKR_ATTRIBUTE_VALUE_INVALID) && again:
							o, err = object{handle: handles[i], read: true, debris: true}, nil
						case err == nil && !again:
							err = o.err // a second look tells a slip from a broken object
						}
						if err != nil {
							return err
						}
						objects[i] = o
					}
					return nil
				})
				if err != nil && (again || !repeatable(ctx, err)) {
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
	return objects, vanished, err
}

// handles lists all objects of the token, and makes sure that the private ones were not hidden.
func (t *Token) handles(ctx context.Context) (handles []cryptoki.Object, err error) {
	err = t.read(ctx, func(s *cryptoki.Session) error {
		if handles, err = s.FindObjects(ctx, nil); err != nil {
			return err
		}
		return loggedIn(ctx, s, t.info)
	})
	return handles, err
}
