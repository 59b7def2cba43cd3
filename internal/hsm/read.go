package hsm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"

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
func (t *Token) find(ctx context.Context, id []byte) (objects []object, err error) {
	defer t.snapshot.measure()()
	err = t.read(ctx, func(s *cryptoki.Session) error {
		objects = nil
		handles, err := s.FindObjects(ctx, []cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_ID, id)})
		if err != nil {
			return err
		}
		secret := false
		var broken error
		for _, handle := range handles {
			o, err := readObject(ctx, s, handle)
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
			return t.loggedIn(ctx, s)
		}
		return broken
	})
	if errors.Is(err, ErrMalformed) {
		return objects, nil // each object carries its own error
	}
	return objects, err
}

// loggedIn is an error where the session has lost its login, so that what it did not find is not gone.
func (t *Token) loggedIn(ctx context.Context, s *cryptoki.Session) error {
	if !t.info.Has(cryptoki.CKF_LOGIN_REQUIRED) {
		return nil
	}
	in, err := isLoggedIn(ctx, s)
	if err == nil && !in {
		return s.Abandon(&cryptoki.Error{Function: "C_GetSessionInfo", Code: cryptoki.CKR_USER_NOT_LOGGED_IN})
	}
	return err
}

func readObject(ctx context.Context, s *cryptoki.Session, handle cryptoki.Object) (object, error) {
	attributes, err := s.GetAttributeValue(ctx, handle, objectAttributes)
	if err != nil {
		return object{}, err
	}
	return decode(handle, attributes), nil
}

// readAll reads every key object on the token: one search, then one read an object, fanned out over the
// sessions.
func (t *Token) readAll(ctx context.Context) ([]object, error) {
	handles, err := t.handles(ctx)
	if err != nil {
		return nil, err
	}
	objects := make([]object, len(handles))
	var claimed atomic.Int64
	claim := func() int { return int(claimed.Add(1)) - 1 }
	group, ctx := errgroup.WithContext(ctx)
	for range min(t.pool.size(), len(handles)/16+1) {
		group.Go(func() error {
			i, again := claim(), false
			for i < len(handles) {
				err := t.pool.use(ctx, func(s *cryptoki.Session) error {
					for ; i < len(handles); i, again = claim(), false {
						o, err := readObject(ctx, s, handles[i])
						if err == nil && o.err != nil && !again {
							err = o.err // a second look tells a slip from a broken object
						}
						if err != nil {
							return err
						}
						objects[i] = o
					}
					return nil
				})
				switch {
				case err == nil:
					return nil
				case again && errors.Is(err, cryptoki.CKR_OBJECT_HANDLE_INVALID):
					i, again = claim(), false // destroyed by someone since the search
				case again || !repeatable(ctx, err):
					return err
				default:
					again = true
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	keys := objects[:0]
	for _, o := range objects {
		if o.err != nil || o.isKey() && o.onToken() {
			keys = append(keys, o)
		}
	}
	return keys, nil
}

// handles lists all objects of the token, and makes sure that the private ones were not hidden.
func (t *Token) handles(ctx context.Context) (handles []cryptoki.Object, err error) {
	err = t.read(ctx, func(s *cryptoki.Session) error {
		if handles, err = s.FindObjects(ctx, nil); err != nil {
			return err
		}
		return t.loggedIn(ctx, s)
	})
	return handles, err
}
