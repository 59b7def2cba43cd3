package hsm

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
)

// Inventory gives what the whole token holds. Errors: *UnreadableError, with what this user may read, or the token's
// failure.
func (t *Token) Inventory(ctx context.Context) (*object.Inventory, error) {
	inventory, err := t.snapshot.all(ctx)
	if err != nil {
		return nil, err
	}
	return inventory, t.hidden(nil)
}

// hidden is an *UnreadableError where the token has objects that this user may not read. Some makes say nothing of them.
func (t *Token) hidden(id []byte) error {
	if n := t.processLock.Unreadable(); n > 0 {
		return &UnreadableError{ID: id, Objects: n}
	}
	return nil
}

// absent is the error of a search that found no key of an ID, or not all of it. It is an *UnreadableError where what
// was not found may be hidden, and an *UnseenError where it may not be shown yet.
func (t *Token) absent(ctx context.Context, id []byte, err error) error {
	match, names := errors.AsType[*object.MatchError](err)
	nothing := names && len(match.Found) == 0 || errors.Is(err, object.ErrNotFound)
	if nothing || errors.Is(err, object.ErrHalfPair) {
		err = cmp.Or(t.hidden(id), err)
	}
	half, _ := errors.AsType[*object.HalfPairError](err)
	switch {
	case nothing:
		err = cmp.Or(t.Unseen(ctx, id), err)
	case half != nil && half.Missing == object.ClassNames[cryptoki.CKO_PRIVATE_KEY]:
		err = cmp.Or(t.unseenPrivate(ctx, id), err)
	}
	return err
}

// Unseen is an *UnseenError where absence is no proof of destruction, since the token does not show at once what others
// do, or shows no private object at all to who is logged in and is not its normal user: the security officer, or a
// user of a vendor's. It is nil on most tokens.
func (t *Token) Unseen(ctx context.Context, id []byte) error {
	if t.differences.Late {
		return &UnseenError{ID: id}
	}
	return t.unseenPrivate(ctx, id)
}

// unseenPrivate is an *UnseenError where another than the normal user is logged in, and is shown no private object at
// all: then a public half alone does not show that its private half is gone.
func (t *Token) unseenPrivate(ctx context.Context, id []byte) error {
	if t.pool.User().Normal() {
		return nil
	}
	inventory, err := t.snapshot.all(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(inventory.All(), func(o object.Object) bool { return o.Is(cryptoki.CKA_PRIVATE) }) {
		return nil
	}
	return &UnseenError{ID: id, Role: true}
}

// find searches the token for the key objects of an ID.
func (t *Token) find(ctx context.Context, id []byte) ([]object.Object, error) {
	if t.care != nil {
		return t.care.Find(ctx, id)
	}
	return t.reader.Find(ctx, id)
}

// Key finds a key by its ID. Errors: object.ErrNotFound where the token has nothing of that ID and type (a search
// while logged in has proven it), *object.HalfPairError, *UnreadableError instead of these two where the token has
// what this user may not read, *UnseenError where absence proves nothing, *object.AmbiguousError,
// *object.MalformedError, those of Prove for a key that somebody contests, or the token's failure.
func (t *Token) Key(ctx context.Context, ref object.Ref) (object.Key, error) {
	inventory, err := t.snapshot.lookup(ctx, ref.ID)
	if err != nil {
		return object.Key{}, err
	}
	if inventory != nil {
		// Anything but a plain success needs a search on the token: others may have changed what it holds.
		key, err := inventory.Choose(ref, t.fingerprinter(ctx))
		if err == nil {
			key, err = t.Fingerprinted(ctx, key)
		}
		if err == nil && key.Is(ref) && !key.Contested() {
			return key, nil
		}
		if err != nil && ctx.Err() != nil {
			return object.Key{}, err
		}
	}
	key, err := t.search(ctx, ref)
	if err == nil && (!key.Is(ref) || key.Contested()) { // one half of it may be left of the key that is meant
		_, err = t.Prove(ctx, key)
	}
	return key, err
}

// search finds a key by its ID on the token itself. If it finds half a pair, it says where the other half is.
func (t *Token) search(ctx context.Context, ref object.Ref) (object.Key, error) {
	objects, err := t.find(ctx, ref.ID)
	if err != nil {
		return object.Key{}, err
	}
	key, err := object.Choose(objects, ref, t.fingerprinter(ctx))
	err = t.absent(ctx, ref.ID, err)
	if half, ok := errors.AsType[*object.HalfPairError](err); ok {
		half.Other = t.otherHalf(ctx, object.OfType(objects, ref.Type))
		if inventory, err := t.snapshot.all(ctx); err == nil { // it only helps the message
			half.Certificates = object.Names(inventory.Certificates(ref.ID))
		}
	}
	if err != nil {
		return object.Key{}, err
	}
	return t.Fingerprinted(ctx, key)
}

// otherHalves is how many halves are tried at most to find a missing one.
const otherHalves = 8

// otherHalf looks for the missing half under other IDs. It only helps a message, so that a failure of its own does not
// matter.
func (t *Token) otherHalf(ctx context.Context, halves []object.Object) *object.Name {
	inventory, err := t.snapshot.all(ctx)
	if err != nil {
		return nil
	}
	found, maybe := inventory.OtherHalf(halves)
	for _, apart := range maybe[:min(len(maybe), otherHalves)] {
		if found != nil {
			break
		}
		if result, _, _ := t.operate(ctx, apart.Key); result == object.Same {
			found = &apart.Other
		}
	}
	if found == nil {
		return nil
	}
	name := found.Name()
	return &name
}

// KeyByFingerprint finds a key by all that ref says but its ID: type, fingerprint, kind and size. It leaves out keys
// whose ID skip says to leave out. found is false where there is no such key; of several it gives the first. Errors:
// the token's failure, *UnreadableError, or the error of what makes no sense and may be the key.
func (t *Token) KeyByFingerprint(
	ctx context.Context, ref object.Ref, skip func(id []byte) bool,
) (key object.Key, found bool, err error) {
	keys, err := t.keysByFingerprint(ctx, ref)
	if err != nil {
		return object.Key{}, false, err
	}
	for _, key := range keys {
		if !skip(key.ID) {
			return key, true, nil
		}
	}
	return object.Key{}, false, t.hidden(nil)
}

// keysByFingerprint finds all that KeyByFingerprint may give.
func (t *Token) keysByFingerprint(ctx context.Context, ref object.Ref) (keys []object.Key, err error) {
	for range 2 {
		var inventory *object.Inventory
		if inventory, err = t.snapshot.all(ctx); err != nil {
			return nil, err
		}
		keys, err = inventory.Fingerprinted(ref.Type, ref.Fingerprint, func(keys []object.Key) ([]object.Key, error) {
			for i := range keys {
				var err error
				if keys[i], err = t.Fingerprinted(ctx, keys[i]); err != nil {
					return nil, err
				}
			}
			return keys, nil
		})
		if !cryptoki.InvalidHandle(err) {
			break
		}
		t.snapshot.drop() // its handles may be older than a new login
	}
	return slices.DeleteFunc(keys, func(key object.Key) bool { return !key.Is(ref) }), err
}

// PublicKey finds the one public key that want names, and proves that its private half belongs to it. It also finds a
// public key without a private half, which somebody imported to verify with, but no private half without a public
// one. Errors: *object.MatchError where want names none or several, *object.HalfPairError where it names a private
// half alone, *object.AmbiguousError where nothing shows which halves belong together, *object.MalformedError where
// what it names makes no sense, *UnreadableError, those of Published, or the token's failure.
func (t *Token) PublicKey(ctx context.Context, want pkcs11uri.URI) (object.PublicKey, error) {
	key, err := t.matchPublicKey(ctx, want)
	if err == nil && key.Pair == nil { // its private half may be hidden
		err = t.hidden(want.ID)
	}
	if err == nil && key.Pair != nil {
		err = t.Published(ctx, []object.Key{*key.Pair})
	}
	if err != nil {
		return object.PublicKey{}, err
	}
	return key, nil
}

// matchPublicKey is PublicKey without the proof.
func (t *Token) matchPublicKey(ctx context.Context, want pkcs11uri.URI) (object.PublicKey, error) {
	named := func(o object.Object) bool {
		return want.Matches(t.info, o.Class == cryptoki.CKO_SECRET_KEY, o.Label, o.ID)
	}
	if want.ID == nil {
		inventory, err := t.Inventory(ctx)
		if err != nil {
			return object.PublicKey{}, err
		}
		all := inventory.All()
		return object.MatchPublicKey(all, named, all)
	}
	inventory, err := t.snapshot.lookup(ctx, want.ID)
	if err != nil {
		return object.PublicKey{}, err
	}
	if inventory != nil {
		// Anything but a plain success needs a search on the token: others may have changed what it holds.
		if key, err := object.MatchPublicKey(inventory.Objects(want.ID), named, nil); err == nil {
			return key, nil
		}
	}
	objects, err := t.find(ctx, want.ID)
	if err != nil {
		return object.PublicKey{}, err
	}
	key, err := object.MatchPublicKey(objects, named, nil)
	err = t.absent(ctx, want.ID, err)
	if errors.Is(err, object.ErrNoMatch) {
		inventory, failure := t.snapshot.all(ctx) // it only helps the message, so its failure does not matter
		if failure == nil {
			key, err = object.MatchPublicKey(objects, named, inventory.All())
		}
	}
	return key, err
}

// Part gives what the token holds of an ID: from the snapshot where that has one whole key of the ID and nothing
// else, or from a search. Errors: *UnreadableError where that may lack something, or the token's failure.
func (t *Token) Part(ctx context.Context, id []byte) (*object.Inventory, error) {
	inventory, err := t.snapshot.lookup(ctx, id)
	if err != nil {
		return nil, err
	}
	if inventory != nil {
		// Anything but a plain success needs a search on the token: others may have changed what it holds.
		if part := inventory.Part(id); part.Plain() {
			return part, nil
		}
	}
	objects, err := t.find(ctx, id)
	if err != nil {
		return nil, err
	}
	part := object.NewInventory(objects)
	if keys, broken := part.Keys(); len(keys) == 0 || len(broken) > 0 {
		err = t.hidden(id)
	}
	return part, err
}
