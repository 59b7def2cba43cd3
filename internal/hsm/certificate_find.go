package hsm

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"errors"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// Certificate finds a certificate by its ID and its value. Where it is not under the ID, it may be under that of the
// pair that it is for: certificates move with their key. Errors: object.ErrNoCertificate where a search on the token
// has found neither, *UnreadableError and *UnseenError where that proves nothing, or the token's failure.
func (t *Token) Certificate(ctx context.Context, ref object.CertificateRef) (object.Certificate, error) {
	// Anything but a plain success needs a search on the token: others may have changed what it holds.
	if chosen, err := t.certificatesInView(ctx, ref); err != nil {
		return object.Certificate{}, err
	} else if len(chosen) > 0 {
		return chosen[0], nil
	}
	chosen, err := t.chosenCertificates(ctx, ref)
	if err != nil {
		return object.Certificate{}, err
	}
	return chosen[0], nil
}

// chosenCertificates is Certificate by a search on the token, and gives all copies of the label.
func (t *Token) chosenCertificates(ctx context.Context, ref object.CertificateRef) ([]object.Certificate, error) {
	found, err := t.Certificates(ctx, ref.ID)
	if err != nil {
		return nil, err
	}
	if chosen := ref.Choose(found); len(chosen) > 0 {
		return chosen, nil
	}
	if moved, err := t.movedCertificates(ctx, ref); err != nil || len(moved) > 0 {
		return moved, err
	}
	err = cmp.Or(t.hidden(ref.ID), object.ErrNoCertificate)
	if t.differences.Late {
		err = &UnseenError{ID: ref.ID}
	}
	return nil, err
}

// movedCertificates are the copies of a certificate under the ID of the pair that it is for.
func (t *Token) movedCertificates(ctx context.Context, ref object.CertificateRef) ([]object.Certificate, error) {
	if ref.Key.Fingerprint == "" {
		return nil, nil
	}
	key, found, err := t.KeyByFingerprint(ctx, ref.Key, func(id []byte) bool { return bytes.Equal(id, ref.ID) })
	if as[*UnreadableError](err) || isAny(err, []error{object.ErrMalformed, object.ErrHalfPair, object.ErrAmbiguous}) {
		return nil, nil // nobody can tell where the pair is, so that nothing has moved with it
	}
	if err != nil || !found {
		return nil, err
	}
	there, err := t.Certificates(ctx, key.ID)
	ref.ID = key.ID
	return ref.Choose(there), err
}

// certificatesInView finds a certificate with as few calls as it takes: by the handles of the snapshot, where that is
// taken or due. Of an ID that has many, those of the certificate's label are read first.
func (t *Token) certificatesInView(ctx context.Context, ref object.CertificateRef) ([]object.Certificate, error) {
	inventory, err := t.snapshot.whole(ctx)
	if err != nil || inventory == nil {
		return nil, err
	}
	var labelled, others []object.Object
	for _, o := range inventory.Certificates(ref.ID) {
		if o.Label == ref.Label {
			labelled = append(labelled, o)
		} else {
			others = append(others, o)
		}
	}
	for _, known := range [][]object.Object{labelled, others} {
		found, err := t.readKnown(ctx, known)
		if chosen := ref.Choose(found); err != nil || len(chosen) > 0 {
			return chosen, err
		}
	}
	return nil, nil
}

// readKnown reads the certificates that an inventory has. What shows itself otherwise by now is left out.
func (t *Token) readKnown(ctx context.Context, known []object.Object) (found []object.Certificate, err error) {
	if len(known) == 0 {
		return nil, nil
	}
	err = t.reader.Read(ctx, func(s *cryptoki.Session) error {
		found = nil
		for _, o := range known {
			c, err := t.readCertificate(ctx, s, o.Handle)
			switch {
			case cryptoki.InvalidHandle(err):
			case err != nil:
				return err
			case c.Shows(o):
				found = append(found, c)
			}
		}
		return nil
	})
	return found, err
}

// AllCertificates gives every certificate on the token, by ID, then label, then fingerprint. Errors: the token's
// failure.
func (t *Token) AllCertificates(ctx context.Context) (all []object.Certificate, err error) {
	template := []cryptoki.Attribute{cryptoki.ULong(cryptoki.CKA_CLASS, object.CertificateClass)}
	all, err = t.searchCertificates(ctx, template, nil)
	object.SortCertificates(all)
	return all, err
}

// searched notes what a search for certificates cost, as searches for keys do.
func (t *Token) searched(start time.Time, reads int, reading time.Duration) {
	if t.reader.Searched != nil {
		t.reader.Searched(time.Since(start), reads, reading)
	}
}

// PairOf finds the pair on the token that has a public key, under whatever ID. Where several show it, it is the first
// one that an operation proves, since anyone can make halves without a PIN. found is false where there was none at the
// moment that since says: what was read before serves where it has one. Errors: those of KeyByFingerprint.
func (t *Token) PairOf(
	ctx context.Context, pub crypto.PublicKey, since time.Time,
) (pair object.Key, found bool, err error) {
	ref, err := object.RefOfPublicKey(pub)
	if err != nil {
		return object.Key{}, false, nil //nolint:nilerr // such as one on a curve that no pair here has
	}
	all, err := t.keysByFingerprint(ctx, ref)
	if err == nil && len(all) == 0 {
		t.snapshot.dropBefore(since)
		all, err = t.keysByFingerprint(ctx, ref)
	}
	switch {
	case errors.Is(err, object.ErrAmbiguous): // others have put halves beside those of the pair, which takes no PIN
		return t.provenBeside(ctx, ref, err)
	case err != nil:
		return object.Key{}, false, err
	case len(all) == 0:
		return object.Key{}, false, t.hidden(nil)
	case len(all) == 1:
		return all[0], true, nil
	}
	for _, pair := range all {
		if pair.Unprotected() {
			continue
		}
		if err := t.Published(ctx, []object.Key{pair}); err == nil {
			return pair, true, nil
		} else if ctx.Err() != nil {
			return object.Key{}, false, err
		}
	}
	return object.Key{}, false, nil
}

// provenBeside is PairOf among halves of which nothing shows which belong together: the pair that an operation proves.
// doubt is the error where there is none.
func (t *Token) provenBeside(
	ctx context.Context, ref object.Ref, doubt error,
) (pair object.Key, found bool, err error) {
	inventory, err := t.snapshot.all(ctx)
	if err != nil {
		return object.Key{}, false, err
	}
	for _, ref.ID = range inventory.Doubtful(ref.Type, ref.Fingerprint) {
		pair, err := t.contestedPair(ctx, ref)
		if err == nil {
			err = t.Published(ctx, []object.Key{pair})
		}
		if err == nil {
			return pair, true, nil
		}
		if ctx.Err() != nil {
			return object.Key{}, false, err
		}
	}
	return object.Key{}, false, doubt
}
