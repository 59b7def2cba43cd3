package hsm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/session"
)

// everyone is the weight of a generation that must be alone.
const everyone = math.MaxInt64

// Generate makes a key in the token, reads it back, compares it with the template, and proves by an operation that it
// is one key: that the halves of a pair belong together, or that a secret key decrypts what it encrypts. It destroys a
// key that does not pass. Errors: *object.UnfitError, or an *OperationError that says what the token holds now. That
// wraps *object.ExistsError where a key object already has the ID, *object.MechanismError, or another failure.
func (t *Token) Generate(ctx context.Context, tmpl object.Template) (object.Key, error) {
	spec, err := tmpl.Spec()
	if err != nil {
		return object.Key{}, err
	}
	chosen := len(tmpl.ID) > 0
	if !chosen {
		tmpl.ID = []byte(uuid.NewString())
	}
	g := generation{Token: t, spec: spec, template: tmpl, chosen: chosen}
	key, holds, err := g.run(ctx)
	if err != nil {
		return object.Key{}, &OperationError{Operation: "generate", ID: tmpl.ID, Label: tmpl.Label, Err: err, Holds: holds}
	}
	return key, nil
}

// mechanismAnswer is what the token says of a mechanism.
type mechanismAnswer struct {
	info cryptoki.MechanismInfo
	err  error
}

// Check compares a template with what the token says of its mechanisms, as far as it says anything. It needs no login,
// and a token that does not answer is no error. It gives a *object.MechanismError.
func (t *Token) Check(ctx context.Context, tmpl object.Template) error {
	spec, err := tmpl.Spec()
	if err == nil {
		err = tmpl.Fits()
	}
	if err != nil {
		return err
	}
	stored, ok := t.mechanisms.Load(spec.Mechanism)
	if !ok {
		info, err := t.module.GetMechanismInfo(ctx, t.info.Slot, spec.Mechanism)
		if _, hangs := errors.AsType[*cryptoki.HangError](err); hangs {
			return err
		}
		if err != nil && !errors.Is(err, cryptoki.CKR_MECHANISM_INVALID) {
			return nil
		}
		stored = mechanismAnswer{info, err}
		t.mechanisms.Store(spec.Mechanism, stored)
	}
	answer := stored.(mechanismAnswer)
	if answer.err != nil {
		return &object.MechanismError{Wanted: spec.Noun(), Offers: "no generation of this type of key"}
	}
	return spec.Offered(tmpl, answer.info)
}

// generation is the making of one key.
type generation struct {
	*Token
	spec     *object.Spec
	template object.Template
	chosen   bool // somebody chose the ID, so that others may choose the same one
}

func (g generation) run(ctx context.Context) (object.Key, Holding, error) {
	if g.info.Has(cryptoki.CKF_WRITE_PROTECTED) {
		return object.Key{}, HoldsUntouched, ErrReadOnly
	}
	if err := g.Check(ctx, g.template); err != nil {
		return object.Key{}, HoldsUntouched, err
	}
	unlock, err := g.locks.Lock(ctx, g.template.ID)
	if err != nil {
		return object.Key{}, HoldsUntouched, err
	}
	defer unlock()
	leave, err := g.write(ctx)
	if err != nil {
		return object.Key{}, HoldsUntouched, err
	}
	defer leave()
	switch {
	case g.chosen:
		if err := g.free(ctx, g.template.ID); err != nil {
			return object.Key{}, HoldsUntouched, err
		}
	case g.differences.OneWriter:
		// Nobody else makes the same random UUID. But SoftHSM has to look at what other processes wrote before it
		// writes, or it never sees that, and any search makes it look.
		if _, err := g.reader.Search(ctx, g.template.ID, false); err != nil {
			return object.Key{}, HoldsUntouched, err
		}
	}
	// From here on the token may hold something that is not in order.
	settle, cancel := session.Settling(ctx)
	defer cancel()
	for try := 1; ; try++ {
		key, holds, err := g.attempt(ctx, settle, try)
		if err == nil {
			g.snapshot.wrote(nil, key.Objects())
			return key, HoldsKey, nil
		}
		// The last attempt says no more than every token takes.
		lean := !g.spec.Alone() && isAny(err, crowded) && !g.template.Lean &&
			(!g.differences.Crowded || try == generateTries-1)
		g.template.Lean = g.template.Lean || lean
		if holds != HoldsNothing || try == generateTries || !lean && !g.worthRepeating(ctx, err) {
			if holds != HoldsNothing {
				g.snapshot.drop()
			}
			return object.Key{}, holds, err
		}
	}
}

// generateTries is how often the token is told to generate at most. Before each repetition, it is certain that the
// token holds nothing of the call before.
const generateTries = 3

// worthRepeating says whether another attempt, with no other generation beside it, may succeed.
func (g generation) worthRepeating(ctx context.Context, err error) bool {
	if _, unfit := errors.AsType[*VerifyError](err); unfit {
		return true
	}
	return session.Repeatable(ctx, err) && (!cryptoki.Refused(err) || g.differences.Crowded && isAny(err, crowded))
}

// crowded are answers about the template. They may not be about it where several generate at the same time
// (quirk.Differences.Crowded), and they may be about no more than what Template.Lean leaves out.
var crowded = []error{
	cryptoki.CKR_TEMPLATE_INCONSISTENT, cryptoki.CKR_TEMPLATE_INCOMPLETE,
	cryptoki.CKR_ATTRIBUTE_TYPE_INVALID, cryptoki.CKR_ATTRIBUTE_VALUE_INVALID,
}

func isAny(err error, codes []error) bool {
	return slices.ContainsFunc(codes, func(code error) bool { return errors.Is(err, code) })
}

// free is an *object.ExistsError where a key object of any type has the ID. It searches the token itself, since the
// snapshot may be old, and some tokens silently replace a key of the same ID.
func (t *Token) free(ctx context.Context, id []byte) error {
	objects, err := t.find(ctx, id)
	if err != nil {
		return err
	}
	if len(objects) > 0 {
		return object.Exists(id, objects)
	}
	return t.hidden(id)
}

// attempt makes the key once: the first time beside others, later alone. It destroys what it does not accept.
func (g generation) attempt(ctx, settle context.Context, try int) (object.Key, Holding, error) {
	weight := int64(1)
	if try > 1 {
		weight = everyone
	}
	b := g.beget(ctx, settle, weight)
	if b.proven {
		return b.key, HoldsKey, nil
	}
	if _, hangs := errors.AsType[*cryptoki.HangError](b.trouble); hangs {
		return object.Key{}, HoldsUnknown, b.trouble
	}
	made, origin, holds, err := b.ours, b.session, HoldsKey, error(nil)
	switch {
	case b.failure != nil:
		origin = nil
		made, holds, err = g.aftermath(settle, b.failure)
	case len(made) == 0:
		origin = nil
		made, holds, err = g.readBack(settle, b)
	}
	if err != nil {
		return object.Key{}, holds, err
	}
	key, err := g.accept(settle, made)
	if err == nil {
		return key, HoldsKey, nil
	}
	var whole *object.Key
	if read, problems := g.template.Read(g.spec, made); len(problems) == 0 {
		whole = &read
	}
	holds = g.discard(settle, made, origin, whole)
	if !g.chosen && holds != HoldsNothing {
		holds = g.wipe(settle, g.spec, g.template.ID)
	}
	return object.Key{}, holds, err
}

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
func (g generation) beget(ctx, settle context.Context, weight int64) (b birth) {
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
		mechanism := cryptoki.Mechanism{Type: g.spec.Mechanism}
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
func (g generation) inspect(ctx context.Context, s *cryptoki.Session, b *birth) (err error) {
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
func (g generation) look(ctx context.Context, s *cryptoki.Session, b *birth) error {
	var ours, others []object.Object
	raced := false
	if g.chosen && !s.Lost() { // a session in which a call failed is good for reading by handles, and no more
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
	key, problems := g.template.Read(g.spec, ours)
	if len(problems) > 0 || raced || s.Lost() {
		return nil
	}
	result, refusal, err := proveBy(key, func(prove func(context.Context, *cryptoki.Session, object.Key) error) error {
		return prove(ctx, s, key)
	})
	if err == nil && result == object.Undecided && refusal != nil {
		err = refusal // which another session may not give
	}
	if err = judge(key, result, refusal, err); err != nil {
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
func (g generation) readNew(ctx context.Context, s *cryptoki.Session, handles []cryptoki.Object) ([]object.Object, error) {
	var objects []object.Object
	for _, handle := range handles {
		o, err := g.reader.Object(ctx, s, handle)
		switch {
		case err != nil:
		case o.Err != nil:
			err = o.Err
		case g.hasLostID(o):
			err = &object.MalformedError{Object: o.Name(), Handle: handle, Err: fmt.Errorf("it has lost its %s", cryptoki.CKA_ID)}
		case !bytes.Equal(o.ID, g.template.ID):
			err = s.Abandon(&strangerError{o.Name()})
		}
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	return objects, nil
}

// hasLostID says that a new object is torn: it is what was asked for, but has no ID. That is good in the session that
// made it alone.
func (g generation) hasLostID(o object.Object) bool {
	return g.differences.Torn && len(o.ID) == 0 && o.CKK == g.spec.CKK && o.Label == g.template.Label &&
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
func (g generation) clear(ctx context.Context, s *cryptoki.Session, handles []cryptoki.Object, shown error) (left error) {
	if err := g.care.ClearTorn(ctx, s, handles, g.template.ID); err != nil {
		return err
	}
	torn := g.differences.Torn && errors.Is(shown, cryptoki.CKR_ATTRIBUTE_VALUE_INVALID)
	if !torn && !errors.Is(shown, object.ErrMalformed) {
		return nil
	}
	for _, handle := range handles {
		o, err := g.reader.Object(ctx, s, handle)
		if err == nil && (bytes.Equal(o.ID, g.template.ID) || g.hasLostID(o)) {
			err = s.DestroyObject(ctx, handle)
		}
		if err != nil && !cryptoki.InvalidHandle(err) {
			return err
		}
	}
	return nil
}

// split separates the new objects, by their handles, from others.
func (g generation) split(found []object.Object, handles []cryptoki.Object) (ours, others []object.Object) {
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

// aftermath deals with what a failed generation left: it adopts a whole key, and clears half a key away. If err is
// nil, objects are those of a whole key that fits the template.
func (g generation) aftermath(ctx context.Context, cause error) (objects []object.Object, holds Holding, err error) {
	objects, holds = g.left(ctx, cause)
	if holds == HoldsKey {
		return objects, holds, nil
	}
	if g.differences.Blanks && holds != HoldsUnknown {
		g.care.Sweep(ctx, g.spec.Classes)
	}
	return nil, holds, cause
}

func (g generation) left(ctx context.Context, cause error) (objects []object.Object, holds Holding) {
	if _, ok := errors.AsType[*cryptoki.HangError](cause); ok {
		return nil, HoldsUnknown // the call may still take effect
	}
	objects, err := g.find(ctx, g.template.ID)
	if err != nil {
		return nil, HoldsUnknown
	}
	half := func() bool { return len(objects) > 0 && len(objects) < len(g.spec.Classes) }
	if half() { // someone may be making the other half right now
		time.Sleep(min(100*time.Millisecond, session.SettleTime/4))
		if objects, err = g.find(ctx, g.template.ID); err != nil {
			return nil, HoldsUnknown
		}
	}
	malformed := slices.ContainsFunc(objects, func(o object.Object) bool { return o.Err != nil })
	switch {
	case len(objects) == 0:
		return nil, HoldsNothing
	case malformed && g.chosen:
		return nil, HoldsUnknown // somebody may be writing it
	case malformed:
		return nil, g.wipe(ctx, g.spec, g.template.ID)
	case g.isOurs(objects):
		return objects, HoldsKey
	case half() && objects[0].Label == g.template.Label && objects[0].CKK == g.spec.CKK:
		return nil, g.discard(ctx, objects, nil, nil)
	}
	return nil, HoldsOther
}

// isOurs says that the objects are exactly those of the key that was asked for.
func (g generation) isOurs(objects []object.Object) bool {
	_, problems := g.template.Read(g.spec, objects)
	return len(problems) == 0 && len(objects) == len(g.spec.Classes)
}

// readBack finds the new objects by their ID, where the session that made them could not read them. Their handles mean
// nothing in another session.
func (g generation) readBack(ctx context.Context, b birth) ([]object.Object, Holding, error) {
	var found []object.Object
	var err error
	for range readBackTries {
		if found, err = g.find(ctx, g.template.ID); err == nil && g.isOurs(found) {
			return found, HoldsKey, nil
		}
		if err != nil && !session.Repeatable(ctx, err) {
			break
		}
	}
	// Objects that may be there although no search shows them must not be made again.
	_, stranger := errors.AsType[*strangerError](b.trouble)
	unseen := len(found) == 0 && (stranger || g.differences.Torn && cryptoki.InvalidHandle(b.trouble))
	holds := HoldsNothing
	if !g.chosen {
		holds = g.wipe(ctx, g.spec, g.template.ID)
	}
	// Where others may have chosen the ID too, nothing shows whose the objects are.
	if err != nil || b.uncleared || unseen || g.chosen && len(found) > 0 {
		holds = HoldsUnknown
	}
	return nil, holds, b.trouble
}

// accept makes a key of the new objects, if they are what was asked for and no other objects have the ID.
func (g generation) accept(ctx context.Context, made []object.Object) (object.Key, error) {
	if g.chosen {
		if err := g.contend(ctx, made); err != nil {
			return object.Key{}, err
		}
	}
	key, problems := g.template.Read(g.spec, made)
	for try := 1; len(problems) > 0 && try < readBackTries; try++ {
		found, err := g.find(ctx, g.template.ID) // one look is not enough to destroy a key
		if err == nil && g.isOurs(found) {
			key, problems = g.template.Read(g.spec, found)
		}
	}
	if len(problems) > 0 {
		return object.Key{}, &VerifyError{Problems: problems}
	}
	proven, err := g.prove(ctx, key)
	if err == nil || !cryptoki.InvalidHandle(err) {
		return proven, err
	}
	// The handles died with the sessions that were lost, so the key is searched for again.
	found, findErr := g.find(ctx, g.template.ID)
	again, problems := g.template.Read(g.spec, found)
	same := len(found) == len(made) && slices.EqualFunc(key.Objects(), again.Objects(), object.SameObject)
	if findErr != nil || len(problems) > 0 || !same {
		return object.Key{}, errors.Join(err, findErr)
	}
	return g.prove(ctx, again)
}

// prove proves a new key by an operation, and gives it with its fingerprint.
func (g generation) prove(ctx context.Context, key object.Key) (object.Key, error) {
	result, refusal, err := g.operate(ctx, key)
	if err = judge(key, result, refusal, err); err != nil {
		return object.Key{}, err
	}
	return g.Fingerprinted(ctx, key)
}
