package softhsm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/session"
)

// Care reads anew, and clears away, what SoftHSM has torn. For every other make it is nil: each method of a nil Care does
// nothing, and costs nothing.
type Care struct {
	reader *session.Reader
	untold sync.Map // object.Kind -> object.Set: what the token does not tell of its objects
}

// NewCare takes care of a token, and of what the reader reads of it.
func NewCare(reader *session.Reader) *Care {
	c := &Care{reader: reader}
	reader.Doubt = c.doubt
	return c
}

// An object that someone else writes at this moment can read as one that lacks attributes, or as none at all. A reading
// that lacks what such an object always has is made again, up to slips times; what is lacking even then is what this token
// does not tell, and is not waited for any more.
const (
	slips    = 3
	slipTime = 5 * time.Millisecond
)

// doubt is the reader's Doubt.
func (c *Care) doubt(try int, o object.Object, err error) bool {
	var absent, untold object.Set
	if err == nil {
		absent = o.Absent()
		stored, _ := c.untold.Load(o.Kind())
		untold, _ = stored.(object.Set)
	}
	switch {
	case err == nil && absent.Without(untold) == object.Set{}:
		return false
	case err != nil && !errors.Is(err, cryptoki.CKR_ATTRIBUTE_VALUE_INVALID):
		return false
	case try <= slips:
		time.Sleep(slipTime)
		return true
	case err == nil:
		c.untold.Store(o.Kind(), untold.With(absent))
	}
	return false
}

// agreeTries is how often a search is made again that shows other objects each time.
const agreeTries = 4

// Agreed is what searches for an ID agree on: searches tear each other, so that an absence, or half a pair, counts only if
// two of them one after the other show it. found is what the first has found.
func (c *Care) Agreed(ctx context.Context, id []byte, found []object.Object) ([]object.Object, error) {
	if c == nil {
		return found, nil
	}
	for range agreeTries {
		if !object.Incomplete(found) {
			return found, nil
		}
		before := found
		var err error
		if found, err = c.reader.Find(ctx, id); err != nil || slices.EqualFunc(before, found, sameReading) {
			return found, err
		}
	}
	if !object.Incomplete(found) {
		return found, nil
	}
	return nil, &cryptoki.AnswerError{Function: "C_FindObjects", Problem: fmt.Sprintf("each search for %s %s finds other objects", cryptoki.CKA_ID, object.FormatID(id))}
}

func sameReading(a, b object.Object) bool {
	return a.Handle == b.Handle && (a.Err == nil) == (b.Err == nil)
}

// sweepTime is how long an object has to be blank. Who makes a key at this moment has it blank much shorter.
const sweepTime = 250 * time.Millisecond

// Sweep destroys the blanks of some classes, which a generation that failed leaves behind. Nobody's key is one, and
// nothing depends on its success.
func (c *Care) Sweep(ctx context.Context, classes []uint) {
	if c == nil {
		return
	}
	_ = c.reader.Pool.Use(ctx, func(s *cryptoki.Session) error {
		var blanks []cryptoki.Object
		for _, class := range classes {
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
			o, err := c.reader.Object(ctx, s, handle)
			return err != nil || !o.Blank()
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

// ClearTorn destroys what stands behind the handles of new objects and makes no sense: its ID may be lost too, so that no
// search would bring it. What another ID shows, or nothing is left of, is not touched. Nothing is, where a session was lost
// since the pool had the given age: after a new login, the handles may be anybody's.
func (c *Care) ClearTorn(ctx context.Context, handles []cryptoki.Object, id []byte, age int) (err error) {
	if c == nil {
		return nil
	}
	for range 2 { // the second time on another session, which knows the same handles
		if err = c.clearTorn(ctx, handles, id, age); err == nil {
			break
		}
	}
	return err
}

func (c *Care) clearTorn(ctx context.Context, handles []cryptoki.Object, id []byte, age int) error {
	return c.reader.Pool.Use(ctx, func(s *cryptoki.Session) (failure error) {
		if c.reader.Pool.Age() != age {
			return errors.New("sessions were lost")
		}
		for _, handle := range handles {
			o, err := c.reader.Object(ctx, s, handle)
			switch {
			case errors.Is(err, cryptoki.CKR_ATTRIBUTE_VALUE_INVALID):
			case cryptoki.InvalidHandle(err):
				continue
			case err != nil:
				failure = errors.Join(failure, err)
				continue
			case o.Err == nil || len(o.ID) > 0 && !bytes.Equal(o.ID, id):
				continue
			}
			if err := s.DestroyObject(ctx, handle); err != nil && !cryptoki.InvalidHandle(err) {
				failure = errors.Join(failure, err)
			}
		}
		return failure
	})
}
