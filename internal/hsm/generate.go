package hsm

import (
	"context"
	"errors"
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
		// Nobody else makes the same random UUID. But the token has to look at what other processes wrote before it
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
