package hsm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/session"
)

// birth is what one call of C_GenerateKeyPair or C_GenerateKey has made, and what a look at it showed.
type birth struct {
	failure   error             // of the call
	handles   []cryptoki.Object // of the new objects, where there is no failure
	session   *cryptoki.Session // that made them; in any other one, the handles may mean other people's objects
	trouble   error             // of the look; also why ours is empty
	uncleared bool              // something of what was made may be left that no search for the ID finds
	ours      []object.Object   // the new objects; none where they could not be read
	key       object.Key        // of them
	proven    bool              // the key is as asked for, its halves belong together, and no other key has its ID
}

// beget has the token make the key. It looks at the key in the same session, where the new handles are certain. If
// anything is not as it should be, the caller goes on.
func (g *generation) beget(ctx, settle context.Context, weight int64) (b birth) {
	public, private := g.template.Attributes(g.spec, g.differences)
	if b.failure = g.generating.Acquire(ctx, weight); b.failure != nil {
		return b
	}
	held := true
	release := func() {
		if held {
			g.generating.Release(weight)
			held = false
		}
	}
	defer release()
	err := g.pool.Use(ctx, func(s *cryptoki.Session) error {
		mechanism := cryptoki.Mechanism{Type: g.mechanism}
		var err error
		if g.spec.Alone() {
			var key cryptoki.Object
			key, err = s.GenerateKey(ctx, mechanism, private)
			b.handles = []cryptoki.Object{key}
		} else {
			var pair cryptoki.Pair
			pair, err = s.GenerateKeyPair(ctx, mechanism, public, private)
			b.handles = []cryptoki.Object{pair.Private, pair.Public}
		}
		release()
		if err != nil {
			b.handles = nil
			return err
		}
		b.session = s
		return g.inspect(settle, s, &b)
	})
	if b.handles == nil {
		b.failure = err
	} else {
		b.trouble = err
	}
	return b
}

// readBackTries is how often the new objects are read back at most. A module may sometimes fail to read an object
// while others are made, and a key that cannot be read back is destroyed.
const readBackTries = 3

// inspect looks at the new objects, and proves the key, in the session that made them. What still makes no sense at the
// last look is destroyed there, since in another session the handles may mean other people's objects.
func (g *generation) inspect(ctx context.Context, s *cryptoki.Session, b *birth) (err error) {
	for range readBackTries {
		if err = g.look(ctx, s, b); len(b.ours) > 0 || session.Ended(err) || !session.Repeatable(ctx, err) {
			return err
		}
	}
	var left error
	for range 2 {
		if left = g.clear(ctx, s, b.handles, err); left == nil || session.Ended(left) {
			break
		}
	}
	b.uncleared = left != nil
	return err
}

// look reads the new objects and proves the key. If others may have chosen the same ID, it searches for the ID, so
// that one search shows both the new objects and those beside them. If ours stays empty, the error says why. Another
// error says that the session may not be usable any more.
func (g *generation) look(ctx context.Context, s *cryptoki.Session, b *birth) error {
	var ours, others []object.Object
	raced := false
	// A session in which a call failed is good for reading by handles, and no more.
	if g.chosen && !g.assigned() && !s.Lost() {
		g.processLock.Stir(ctx)
		found, err := g.reader.FindIn(ctx, s, g.template.ID)
		if err != nil {
			return err
		}
		ours, others = g.split(found, b.handles)
		raced = len(others) > 0 || g.hidden(g.template.ID) != nil
	}
	if len(ours) != len(b.handles) {
		var err error
		if ours, err = g.readNew(ctx, s, b.handles); err != nil {
			return err
		}
	}
	b.ours = ours
	key, problems := g.template.Read(g.spec, g.differences, ours)
	if len(problems) > 0 || raced || s.Lost() {
		return nil
	}
	result, refusal, err := proveBy(key, g.differences, func(prove prover) error { return prove(ctx, s, key) })
	if err == nil && result == object.Undecided && refusal != nil {
		err = refusal // which another session may not give
	}
	if err = judge(key, result, refusal, err, g.differences); err != nil {
		return err
	}
	if computes(key) {
		value, err := aesCheckValue(ctx, s, key.Private.Handle)
		if err != nil {
			return err
		}
		if key, err = checked(key, value, nil); err != nil {
			return err
		}
	}
	b.key, b.proven = key, true
	return nil
}

// readNew reads the objects of new handles. They have the new ID: a handle behind which another object shows itself is
// no handle of ours, and an object without an ID may be anybody's.
func (g *generation) readNew(ctx context.Context, s *cryptoki.Session, handles []cryptoki.Object) (
	objects []object.Object, err error,
) {
	for _, handle := range handles {
		o, err := g.reader.Object(ctx, s, handle)
		switch {
		case err != nil:
		case o.Err != nil:
			err = o.Err
		case g.hasLostID(o):
			lost := fmt.Errorf("it has lost its %s", cryptoki.CKA_ID)
			err = &object.MalformedError{Object: o.Name(), Handle: handle, Err: lost}
		case !g.named(o, objects):
			err = s.Abandon(&strangerError{o.Name()})
		}
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	return objects, nil
}

// named says that an object behind a new handle has the new key's ID. Of one that the token chooses, the private half
// comes first: that has the new label, was not there before, and shows the ID of the other one.
func (g *generation) named(o object.Object, before []object.Object) bool {
	switch {
	case !g.assigned():
		return bytes.Equal(o.ID, g.template.ID)
	case len(before) > 0:
		return bytes.Equal(o.ID, before[0].ID)
	}
	return len(o.ID) > 0 && o.Class == g.spec.Classes[0] && g.spec.Makes(o.CKK) && o.Label == g.template.Label &&
		!slices.ContainsFunc(g.before, func(b object.Object) bool { return bytes.Equal(b.ID, o.ID) })
}

// hasLostID says that a new object is torn: it is what was asked for, but has no ID. That is good in the session that
// made it alone.
func (g *generation) hasLostID(o object.Object) bool {
	return g.differences.Torn && len(o.ID) == 0 && g.spec.Makes(o.CKK) && o.Label == g.template.Label &&
		slices.Contains(g.spec.Classes, o.Class) && o.Is(cryptoki.CKA_LOCAL)
}

// strangerError says that the token shows an object with another ID, or without one, where it says that it made ours.
type strangerError struct{ object object.Name }

func (e *strangerError) Error() string {
	return fmt.Sprintf("where the token says that it made the key, it shows the %s, which is left alone", e.object)
}

// clear destroys the new objects in the session that made them, because of what the last look showed. If that was a
// failure to read them, another session may have more luck, and nothing is destroyed. left says that something may be
// left that no search for the ID finds.
func (g *generation) clear(ctx context.Context, s *cryptoki.Session, handles []cryptoki.Object, shown error,
) (left error) {
	if err := g.care.ClearTorn(ctx, s, handles, g.template.ID); err != nil {
		return err
	}
	torn := g.differences.Torn && errors.Is(shown, cryptoki.CKR_ATTRIBUTE_VALUE_INVALID)
	if !torn && !errors.Is(shown, object.ErrMalformed) {
		return nil
	}
	for _, handle := range handles {
		o, err := g.reader.Object(ctx, s, handle)
		ours := len(o.ID) > 0 && bytes.Equal(o.ID, g.template.ID) || g.hasLostID(o)
		if err == nil && ours {
			err = s.DestroyObject(ctx, handle)
		}
		if err != nil && !cryptoki.InvalidHandle(err) {
			return err
		}
	}
	return nil
}

// split separates the new objects, by their handles, from others.
func (g *generation) split(found []object.Object, handles []cryptoki.Object) (ours, others []object.Object) {
	for _, o := range found {
		if slices.Contains(handles, o.Handle) {
			ours = append(ours, o)
			continue
		}
		others = append(others, o)
	}
	slices.SortStableFunc(ours, object.PrivateFirst)
	return ours, others
}
