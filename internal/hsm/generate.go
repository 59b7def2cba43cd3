package hsm

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/session"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// everyone is the weight of a generation that must be alone.
const everyone = math.MaxInt64

// Generate makes a key in the token, reads it back, compares it with the template, and proves by an operation that it
// is one key: that the halves of a pair belong together, or that a secret key decrypts what it encrypts. It destroys a
// key that does not pass. Errors: *object.UnfitError, or an *OperationError that says what the token holds now. That
// wraps *object.RefusedError where the make does not make such a key, *object.ExistsError where a key object already
// has the ID, *object.MechanismError, *LastingError, or another failure.
func (t *Token) Generate(ctx context.Context, tmpl object.Template) (object.Key, error) {
	spec, err := tmpl.Spec()
	if err != nil {
		return object.Key{}, err
	}
	g := &generation{
		Token: t, spec: spec, differences: t.differences, template: t.fitted(tmpl), chosen: len(tmpl.ID) > 0,
	}
	if !g.chosen {
		g.template.ID = nil
	}
	key, holds, err := g.run(ctx)
	if err != nil {
		return object.Key{}, &OperationError{
			Operation: "generate", ID: g.template.ID, Label: tmpl.Label, Err: g.lasting(err, holds), Holds: holds,
		}
	}
	return key, nil
}

// mechanismAnswer is what the token says of a mechanism.
type mechanismAnswer struct {
	info cryptoki.MechanismInfo
	err  error
}

// Check compares a template with what is known of the token's make, and with what the token says of its mechanisms, as
// far as it says anything. It needs no login, and a token that does not answer is no error. It gives a
// *object.RefusedError or a *object.MechanismError.
func (t *Token) Check(ctx context.Context, tmpl object.Template) error {
	_, err := t.mechanismFor(ctx, tmpl)
	return err
}

// mechanismFor is Check, and gives the mechanism that makes the key: of those that the make has for it, the first one
// that the token offers for a key of that size.
func (t *Token) mechanismFor(ctx context.Context, tmpl object.Template) (cryptoki.MechanismType, error) {
	tmpl = t.fitted(tmpl)
	spec, err := tmpl.Spec()
	if err == nil {
		err = tmpl.Fits()
	}
	if err == nil {
		err = tmpl.Refused(spec, t.differences)
	}
	if err != nil {
		return 0, err
	}
	var refusal error
	for _, mechanism := range spec.Mechanisms(t.differences) {
		answer, err := t.asked(ctx, mechanism)
		switch {
		case err != nil:
			return 0, err
		case answer == nil: // the token does not say
			return mechanism, nil
		case answer.err == nil:
			err := spec.Offered(tmpl, answer.info)
			if err == nil {
				return mechanism, nil
			}
			refusal = cmp.Or(refusal, err)
		}
	}
	if refusal != nil {
		return 0, refusal
	}
	return 0, &object.MechanismError{Wanted: spec.Noun(), Offers: "no generation of this type of key"}
}

// asked is what the token says of a mechanism, nil where it does not answer. Errors: *cryptoki.HangError.
func (t *Token) asked(ctx context.Context, mechanism cryptoki.MechanismType) (*mechanismAnswer, error) {
	if stored, ok := t.mechanisms.Load(mechanism); ok {
		answer := stored.(mechanismAnswer)
		return &answer, nil
	}
	info, err := t.module.GetMechanismInfo(ctx, t.info.Slot, mechanism)
	if _, hangs := errors.AsType[*cryptoki.HangError](err); hangs {
		return nil, err
	}
	if err != nil && !errors.Is(err, cryptoki.CKR_MECHANISM_INVALID) {
		return nil, nil
	}
	answer := mechanismAnswer{info, err}
	t.mechanisms.Store(mechanism, answer)
	return &answer, nil
}

// generation is the making of one key.
type generation struct {
	*Token
	spec        *object.Spec
	differences quirk.Differences // the token's, and what is tried instead
	mechanism   cryptoki.MechanismType
	template    object.Template
	chosen      bool // somebody chose the ID, or it is short, so that others may choose the same one
	// before are the objects under the label before the generation, where the token chooses the ID.
	before []object.Object
}

func (g *generation) run(ctx context.Context) (object.Key, Holding, error) {
	if g.info.Has(cryptoki.CKF_WRITE_PROTECTED) {
		return object.Key{}, HoldsUntouched, ErrReadOnly
	}
	var err error
	if g.mechanism, err = g.mechanismFor(ctx, g.template); err != nil {
		return object.Key{}, HoldsUntouched, err
	}
	leave, err := g.begin(ctx)
	if err != nil {
		return object.Key{}, HoldsUntouched, err
	}
	defer leave()
	// From here on the token may hold something that is not in order.
	settle, cancel := session.Settling(ctx)
	defer cancel()
	for try := 1; ; try++ {
		key, holds, err := g.attempt(ctx, settle, try)
		if err == nil {
			g.snapshot.wrote(nil, key.Objects())
			return key, HoldsKey, nil
		}
		if holds == HoldsNothing && g.renames(err) {
			try--
			continue
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

// begin takes the turn of an operation that makes a key, and finds out under which name: an ID that nobody has or,
// where the token chooses that, what has the label already.
func (g *generation) begin(ctx context.Context) (leave func(), err error) {
	if g.differences.LabelIsID && g.template.ID == nil {
		g.template.ID, g.chosen = []byte(g.template.Label), true
	}
	lock := g.template.ID
	if g.assigned() { // two keys of one label at a time could not be told apart by it
		lock, g.chosen = []byte("label "+g.template.Label), true
	}
	for try := 1; ; try++ {
		id := lock
		if id == nil {
			if id, g.chosen, err = newID(g.differences.IDs); err != nil {
				return nil, err
			}
			g.template.ID = id
		}
		leave, err = g.turn(ctx, id)
		if err == nil {
			return leave, nil
		}
		if leave != nil {
			leave()
		}
		if lock != nil || try == newIDTries || !errors.Is(err, object.ErrExists) {
			return nil, err
		}
	}
}

// turn takes the locks, and makes sure that the name is free. leave is nil where it took none.
func (g *generation) turn(ctx context.Context, lock []byte) (leave func(), err error) {
	unlock, err := g.locks.Lock(ctx, lock)
	if err != nil {
		return nil, err
	}
	end, err := g.write(ctx)
	if err != nil {
		unlock()
		return nil, err
	}
	leave = func() {
		end()
		unlock()
	}
	if g.assigned() || g.differences.Labels.Unique {
		g.before, err = g.labelled(ctx, g.template.Label)
		if err == nil {
			err = g.AllowsLabel(g.template.Label, g.before)
		}
		if err != nil {
			return leave, err
		}
	}
	switch {
	case g.assigned():
	case g.chosen:
		err = g.free(ctx, g.template.ID)
	case g.differences.OneWriter:
		// Nobody else makes the same random UUID. But the token has to look at what other processes wrote before it
		// writes, or it never sees that, and any search makes it look.
		_, err = g.reader.Search(ctx, g.template.ID, false)
	}
	return leave, err
}

// renames says that a curve that the token did not know by its name is asked for by its OID next: nothing was made.
func (g *generation) renames(err error) bool {
	if g.template.Curve != publickey.Ed25519 || g.differences.Ed25519 != quirk.EdwardsPrintable || !isAny(err, unnamed) {
		return false
	}
	g.differences.Ed25519 = quirk.EdwardsOID
	return true
}

// unnamed are answers to a curve whose name the token does not know.
var unnamed = append([]error{
	cryptoki.CKR_CURVE_NOT_SUPPORTED, cryptoki.CKR_DOMAIN_PARAMS_INVALID, cryptoki.CKR_MECHANISM_PARAM_INVALID,
	cryptoki.CKR_ARGUMENTS_BAD,
}, crowded...)

// generateTries is how often the token is told to generate at most. Before each repetition, it is certain that the
// token holds nothing of the call before.
const generateTries = 3

// worthRepeating says whether another attempt, with no other generation beside it, may succeed.
func (g *generation) worthRepeating(ctx context.Context, err error) bool {
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
func (g *generation) attempt(ctx, settle context.Context, try int) (object.Key, Holding, error) {
	weight := int64(1)
	if try > 1 {
		weight = everyone
	}
	if g.assigned() {
		g.template.ID = nil
	}
	b := g.beget(ctx, settle, weight)
	if g.assigned() && len(b.ours) > 0 {
		g.template.ID = b.ours[0].ID
	}
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
	switch {
	case err == nil:
		return key, HoldsKey, nil
	case b.failure != nil && g.assigned():
		return object.Key{}, HoldsUnknown, err // it was found by its label alone, and may be somebody else's
	}
	var whole *object.Key
	if read, problems := g.template.Read(g.spec, g.differences, made); len(problems) == 0 {
		whole = &read
	}
	holds = g.discard(settle, made, origin, whole)
	if !g.chosen && holds != HoldsNothing {
		holds = g.wipe(settle, g.spec, g.template.ID)
	}
	return object.Key{}, holds, err
}

// aftermath deals with what a failed generation left: it adopts a whole key, unless that is somebody else's, and clears
// half a key away. If err is nil, objects are those of a whole key that fits the template.
func (g *generation) aftermath(ctx context.Context, cause error) (objects []object.Object, holds Holding, err error) {
	objects, holds = g.left(ctx, cause)
	if holds == HoldsKey {
		return objects, holds, nil
	}
	if holds == HoldsOther && len(objects) > 0 {
		cause = errors.Join(g.faster(objects), cause)
	}
	if g.differences.Blanks && holds != HoldsUnknown {
		g.care.Sweep(ctx, g.spec.Classes)
	}
	return nil, holds, cause
}

func (g *generation) left(ctx context.Context, cause error) (objects []object.Object, holds Holding) {
	if _, ok := errors.AsType[*cryptoki.HangError](cause); ok {
		return nil, HoldsUnknown // the call may still take effect
	}
	objects, err := g.seek(ctx)
	if err != nil {
		return nil, HoldsUnknown
	}
	half := func() bool { return len(objects) > 0 && len(objects) < len(g.spec.Classes) }
	if half() { // someone may be making the other half right now
		time.Sleep(min(100*time.Millisecond, session.SettleTime/4))
		if objects, err = g.seek(ctx); err != nil {
			return nil, HoldsUnknown
		}
	}
	malformed := slices.ContainsFunc(objects, func(o object.Object) bool { return o.Err != nil })
	switch {
	case len(objects) == 0 && g.differences.Late && !cryptoki.Refused(cause):
		return nil, HoldsUnknown // it may be there, and not be shown yet
	case len(objects) == 0:
		return nil, HoldsNothing
	case malformed && g.chosen:
		return nil, HoldsUnknown // somebody may be writing it
	case malformed:
		return nil, g.wipe(ctx, g.spec, g.template.ID)
	case g.isOurs(objects) && g.chosen && g.sameNameRefused(cause):
		return objects, HoldsOther
	case g.isOurs(objects) && g.chosen && g.unique():
		return nil, HoldsUnknown // ours, or that of who was faster: there are not two to be told apart
	case g.isOurs(objects):
		return objects, HoldsKey
	case half() && g.assigned():
		return nil, HoldsUnknown // somebody may be making a key of that label
	case half() && objects[0].Label == g.template.Label && g.spec.Makes(objects[0].CKK):
		return nil, g.discard(ctx, objects, nil, nil)
	}
	return nil, HoldsOther
}

// sameNameRefused says that a token which takes a name once has refused it: somebody else has taken it since it was found
// free. Nothing was made then, and a whole key of the name is theirs, however much it looks like the one that was asked
// for.
func (g *generation) sameNameRefused(err error) bool {
	return g.unique() && (cryptoki.Refused(err) || errors.Is(err, cryptoki.CKR_ARGUMENTS_BAD))
}

// unique says that the token takes a name once. The rivals of contend cannot be there.
func (g *generation) unique() bool {
	if g.assigned() {
		return g.differences.Labels.Unique
	}
	return g.differences.IDs.Unique
}

// faster is the error for the objects of somebody who took the name before.
func (g *generation) faster(objects []object.Object) error {
	if g.assigned() {
		if err := g.AllowsLabel(g.template.Label, objects); err != nil {
			return err
		}
	}
	raced := object.Exists(objects[0].ID, objects)
	raced.Raced = true
	return raced
}

// isOurs says that the objects are exactly those of the key that was asked for.
func (g *generation) isOurs(objects []object.Object) bool {
	_, problems := g.template.Read(g.spec, g.differences, objects)
	return len(problems) == 0 && len(objects) == len(g.spec.Classes)
}

// readBack finds the new objects by their ID, where the session that made them could not read them. Their handles mean
// nothing in another session.
func (g *generation) readBack(ctx context.Context, b birth) ([]object.Object, Holding, error) {
	var found []object.Object
	var err error
	for range readBackTries {
		if found, err = g.seek(ctx); err == nil && g.isOurs(found) {
			return found, HoldsKey, nil
		}
		if err != nil && !session.Repeatable(ctx, err) {
			break
		}
	}
	// Objects that may be there although no search shows them must not be made again.
	_, stranger := errors.AsType[*strangerError](b.trouble)
	unseen := len(found) == 0 && (stranger || g.assigned() || g.differences.Late ||
		g.differences.Torn && cryptoki.InvalidHandle(b.trouble))
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
func (g *generation) accept(ctx context.Context, made []object.Object) (object.Key, error) {
	if g.chosen && !g.assigned() {
		if err := g.contend(ctx, made); err != nil {
			return object.Key{}, err
		}
	}
	key, problems := g.template.Read(g.spec, g.differences, made)
	for try := 1; len(problems) > 0 && try < readBackTries; try++ {
		found, err := g.seek(ctx) // one look is not enough to destroy a key
		if err == nil && g.isOurs(found) {
			key, problems = g.template.Read(g.spec, g.differences, found)
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
	found, findErr := g.seek(ctx)
	again, problems := g.template.Read(g.spec, g.differences, found)
	same := len(found) == len(made) && slices.EqualFunc(key.Objects(), again.Objects(), object.SameObject)
	if findErr != nil || len(problems) > 0 || !same {
		return object.Key{}, errors.Join(err, findErr)
	}
	return g.prove(ctx, again)
}

// prove proves a new key by an operation, and gives it with its fingerprint.
func (g *generation) prove(ctx context.Context, key object.Key) (object.Key, error) {
	result, refusal, err := g.operate(ctx, key)
	if err = judge(key, result, refusal, err, g.differences); err != nil {
		return object.Key{}, err
	}
	return g.Fingerprinted(ctx, key)
}
