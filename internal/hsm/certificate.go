package hsm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/session"
)

// Certificates gives the certificates that have an ID, whosever they are. Errors: the token's failure.
func (t *Token) Certificates(ctx context.Context, id []byte) (found []object.Certificate, err error) {
	template := []cryptoki.Attribute{
		cryptoki.ULong(cryptoki.CKA_CLASS, object.CertificateClass), cryptoki.Bytes(cryptoki.CKA_ID, id),
	}
	return t.searchCertificates(ctx, template, func(c object.Certificate) error {
		if bytes.Equal(c.ID, id) {
			return nil
		}
		return &object.MalformedError{Object: c.Name(), Handle: c.Handle, Err: fmt.Errorf("the token was asked "+
			"for the certificate with the %s %s, and gave something else", cryptoki.CKA_ID, object.FormatID(id))}
	})
}

// searchCertificates gives the certificates that a search finds. check, if it is not nil, says what is wrong with one.
func (t *Token) searchCertificates(
	ctx context.Context, template []cryptoki.Attribute, check func(object.Certificate) error,
) (found []object.Certificate, err error) {
	start, reads, reading := time.Now(), 0, time.Duration(0)
	defer func() { t.searched(start, reads, reading) }()
	err = t.reader.Read(ctx, func(s *cryptoki.Session) error {
		found = nil
		known := map[cryptoki.Object]*object.Certificate{} // nil for what is none
		var handles []cryptoki.Object
		vanished := error(nil)
		for try := 1; try == 1 || vanished != nil && try <= listings; try++ {
			var err error
			if handles, err = s.FindObjects(ctx, template); err != nil {
				return err
			}
			vanished = nil
			for _, handle := range handles {
				if _, is := known[handle]; is {
					continue
				}
				began := time.Now()
				c, is, err := t.decodeCertificate(ctx, s, handle)
				reads, reading = reads+1, reading+time.Since(began)
				if cryptoki.InvalidHandle(err) {
					vanished = err
					continue
				}
				if err == nil && check != nil {
					err = check(c)
				}
				if err != nil {
					return err
				}
				if known[handle] = nil; is {
					known[handle] = &c
				}
			}
		}
		if vanished != nil {
			return fmt.Errorf("the certificates on the token change while they are read: %w", vanished)
		}
		for _, handle := range handles {
			if c := known[handle]; c != nil {
				found = append(found, *c)
			}
		}
		return t.pool.LoggedIn(ctx, s) // a token hides private certificates from who is not logged in
	})
	return found, err
}

// listings is how often certificates are listed at most, until all that a list has are read. One that vanishes in
// between may have been renewed: then another one is there.
const listings = 4

// readCertificate reads a certificate in a session. What is none by now has no ID.
func (t *Token) readCertificate(
	ctx context.Context, s *cryptoki.Session, handle cryptoki.Object,
) (object.Certificate, error) {
	c, _, err := t.decodeCertificate(ctx, s, handle)
	return c, err
}

// tornCertificate is how often a certificate without a value is read again on a token that shows what is being written.
const tornCertificate = 3

func (t *Token) decodeCertificate(ctx context.Context, s *cryptoki.Session, handle cryptoki.Object) (
	c object.Certificate, is bool, err error,
) {
	for try := 1; ; try++ {
		attributes, err := t.reader.Attributes(ctx, s, handle, object.CertificateAttributes)
		if as[*cryptoki.LongError](err) { // anyone can make such a one: it is one without a value
			err = nil
		}
		if err != nil {
			return object.Certificate{}, false, err
		}
		c, is = object.DecodeCertificate(handle, attributes)
		if len(c.DER()) > 0 || !t.differences.Torn || try > tornCertificate {
			return c, is, nil
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// certificates moves the certificates of one key to another ID, and back. It takes those of the ID whose public key is
// the key's own, and leaves all others where they are. It leaves those too that nobody can change: a stranger can make
// one without a PIN, and must not keep the key from moving by that.
//
// They move before the key does. Whoever is killed in between leaves the key under the ID that the state knows, so that
// the next run moves what is left, and the key.
type certificates struct {
	token       *Token
	from, to    []byte
	fingerprint string // of the key's public half
	before      contents
}

// contents counts certificates by what they are.
type contents map[[32]byte]int

// move moves the key's certificates to the new ID. If that fails, it moves them back, and says what the token holds.
func (c *certificates) move(ctx, settle context.Context) (Holding, error) {
	there, err := c.own(ctx, c.to, nil)
	if err != nil {
		return HoldsUntouched, err
	}
	c.before = contents{} // those that are under the new ID already stay there, whatever happens
	for _, one := range there {
		c.before[one.Content()]++
	}
	err = c.shift(ctx, settle, c.from, c.to, nil)
	if err == nil {
		return HoldsKey, nil
	}
	holds, failure := c.putBack(settle)
	if as[*cryptoki.HangError](err) {
		holds = HoldsKeyAtLeast // it may still take effect
	}
	return holds, errors.Join(err, failure)
}

// putBack moves the certificates back that move has moved.
func (c *certificates) putBack(settle context.Context) (Holding, error) {
	if err := c.shift(settle, settle, c.to, c.from, c.before); err != nil {
		return HoldsMixed, fmt.Errorf("not every certificate of the key has its old %s %s again: %w", cryptoki.CKA_ID,
			object.FormatID(c.from), err)
	}
	return HoldsAsBefore, nil
}

// shift gives the key's certificates that have one ID the other one, but for those to keep. It reads from the token
// whether a call took effect: the code of a call does not show that.
func (c *certificates) shift(ctx, settle context.Context, from, to []byte, keep contents) error {
	left, err := c.own(ctx, from, keep)
	if err != nil || len(left) == 0 {
		return err
	}
	for again := false; ; again = true {
		cause := c.set(ctx, left, to)
		if as[*cryptoki.HangError](cause) {
			return cause
		}
		if left, err = c.own(settle, from, keep); err != nil {
			return errors.Join(cause, err)
		}
		switch {
		case len(left) == 0:
			return nil
		case cause == nil:
			cause = &VerifyError{Problems: []string{
				"the token says that it changed the " + left[0].Name().String() + ", but still shows it as it was",
			}}
		}
		if again || cryptoki.Refused(cause) || !as[*VerifyError](cause) && !session.Repeatable(ctx, cause) {
			return cause
		}
	}
}

// set gives certificates an ID, each in a session that has read that it is the one.
func (c *certificates) set(ctx context.Context, all []object.Certificate, id []byte) error {
	for _, one := range all {
		moved := object.CertificateTemplate{ID: id, Label: one.Label, DER: one.DER()}
		if err := c.token.setOnce(ctx, one, moved); err != nil {
			return fmt.Errorf("%s: %w", one.Name(), err)
		}
	}
	return nil
}

// own gives the certificates of an ID whose public key is the key's and that can be changed, without so many of each
// content as are to stay.
func (c *certificates) own(ctx context.Context, id []byte, keep contents) ([]object.Certificate, error) {
	found, err := c.token.Certificates(ctx, id)
	stay := contents{}
	return slices.DeleteFunc(found, func(one object.Certificate) bool {
		if one.Foreign(c.fingerprint) != nil || one.Fixed() {
			return true
		}
		content := one.Content()
		stay[content]++
		return stay[content] <= keep[content]
	}), err
}
