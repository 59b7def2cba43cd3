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

// Care repeats readings of torn objects, and clears away what SoftHSM left torn or blank. For every other make it is
// nil: Sweep and ClearTorn of a nil Care do nothing.
type Care struct {
	reader *session.Reader
	hidden sync.Map // object.Kind -> object.Set: the attributes that the token never shows
}

// NewCare takes care of a token, and of the objects that the reader reads there.
func NewCare(reader *session.Reader) *Care {
	c := &Care{reader: reader}
	reader.Doubt = c.doubt
	return c
}

// While someone else writes an object, it can read as if attributes were missing, or not at all. So a reading without
// an attribute that such objects always have is repeated, up to slips times. What is missing even then is an attribute
// that this token never shows; later readings do not wait for it.
const (
	slips    = 3
	slipTime = 5 * time.Millisecond
)

// doubt is the reader's Doubt.
func (c *Care) doubt(try int, o object.Object, err error) bool {
	var absent, hidden object.Set
	if err == nil {
		absent = o.Absent()
		stored, _ := c.hidden.Load(o.Kind())
		hidden, _ = stored.(object.Set)
	}
	switch {
	case err == nil && absent.Without(hidden) == object.Set{}:
		return false
	case err != nil && !errors.Is(err, cryptoki.CKR_ATTRIBUTE_VALUE_INVALID):
		return false
	case try <= slips:
		time.Sleep(slipTime)
		return true
	case err == nil:
		c.hidden.Store(o.Kind(), hidden.With(absent))
	}
	return false
}

// agreeTries is how often a search is repeated that finds other objects each time.
const agreeTries = 4

// Find is the reader's Find. Searches can tear each other's view of objects, so nothing, or half a pair, counts only if
// two searches in a row find it.
func (c *Care) Find(ctx context.Context, id []byte) ([]object.Object, error) {
	found, err := c.reader.Search(ctx, id, false)
	if err != nil {
		return nil, err
	}
	for range agreeTries {
		if !object.Incomplete(found) {
			return found, nil
		}
		before := found
		if found, err = c.reader.Find(ctx, id); err != nil || slices.EqualFunc(before, found, sameReading) {
			return found, err
		}
	}
	if !object.Incomplete(found) {
		return found, nil
	}
	return nil, &cryptoki.AnswerError{Function: "C_FindObjects",
		Problem: fmt.Sprintf("the token gives other objects at each search for %s %s", cryptoki.CKA_ID, object.FormatID(id))}
}

func sameReading(a, b object.Object) bool {
	return a.Handle == b.Handle && (a.Err == nil) == (b.Err == nil)
}

// sweepTime is how long an object must stay blank. While a key is being made, its objects are blank for a much shorter
// time.
const sweepTime = 250 * time.Millisecond

// Sweep destroys the blank objects of some classes, which a failed generation leaves behind. They are nobody's keys.
// Nothing depends on its success.
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
		notBlank := func(handle cryptoki.Object) bool {
			o, err := c.reader.Object(ctx, s, handle)
			return err != nil || !o.Blank()
		}
		blanks = slices.DeleteFunc(blanks, notBlank)
		time.Sleep(sweepTime)
		for _, handle := range slices.DeleteFunc(blanks, notBlank) {
			if err := s.DestroyObject(ctx, handle); err != nil && !cryptoki.InvalidHandle(err) {
				return err
			}
		}
		return nil
	})
}

// ClearTorn destroys the malformed objects behind the handles of a new key, in the session that made it. They may have
// lost their ID, so that no search finds them. Objects with another ID are left alone, and so is what reads as sound.
func (c *Care) ClearTorn(ctx context.Context, s *cryptoki.Session, handles []cryptoki.Object, id []byte) (failure error) {
	if c == nil {
		return nil
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
}
