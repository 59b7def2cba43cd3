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
)

// everyone is the weight of what runs with nothing else beside it.
const everyone = math.MaxInt64

// Generate makes a key in the token, reads it back, holds it against the template, and proves by its use that
// it is one key: that the halves of a pair belong together, that a secret key undoes what it does. What does not pass
// is destroyed again. Errors: *ExistsError where a key object bears the ID already, *MechanismError, or an
// *OperationError that says what the token holds now.
func (t *Token) Generate(ctx context.Context, tmpl Template) (WholeKey, error) {
	kt, err := tmpl.row()
	if err != nil {
		return WholeKey{}, err
	}
	chosen := len(tmpl.ID) > 0
	if !chosen {
		tmpl.ID = []byte(uuid.NewString())
	}
	g := generation{token: t, row: kt, template: tmpl, chosen: chosen}
	pair, holds, err := g.run(ctx)
	if err != nil {
		return WholeKey{}, &OperationError{Operation: "generate", ID: tmpl.ID, Label: tmpl.Label, Err: err, Holds: holds}
	}
	return pair, nil
}

// generation is the making of one key.
type generation struct {
	token    *Token
	row      *keyType
	template Template
	chosen   bool // the ID is somebody's choice, so that others may choose the same
}

func (g generation) run(ctx context.Context) (WholeKey, Holding, error) {
	t := g.token
	if t.info.Has(cryptoki.CKF_WRITE_PROTECTED) {
		return WholeKey{}, HoldsUntouched, ErrReadOnly
	}
	if err := t.Check(ctx, g.template); err != nil {
		return WholeKey{}, HoldsUntouched, err
	}
	unlock, err := t.locks.lock(ctx, g.template.ID)
	if err != nil {
		return WholeKey{}, HoldsUntouched, err
	}
	defer unlock()
	leave, err := t.write(ctx)
	if err != nil {
		return WholeKey{}, HoldsUntouched, err
	}
	defer leave()
	if g.chosen { // nobody else makes the same random UUID
		if err := t.free(ctx, g.template.ID); err != nil {
			return WholeKey{}, HoldsUntouched, err
		}
	}
	// From here on the token may hold something that is not in order yet.
	settle, cancel := settling(ctx)
	defer cancel()
	for try := 1; ; try++ {
		pair, holds, err := g.attempt(ctx, settle, try)
		if err == nil {
			t.wrote(nil, pair.objects())
			return pair, HoldsKey, nil
		}
		if holds != HoldsNothing || try == generateTries || !g.worthRepeating(ctx, err) {
			if holds != HoldsNothing {
				t.failed()
			}
			return WholeKey{}, holds, err
		}
	}
}

// generateTries is how often the token is told to generate at most. Before each call but the first, it is made sure
// that nothing is left of the one before.
const generateTries = 3

// worthRepeating says whether another attempt, with no other generation beside it, may go well.
func (g generation) worthRepeating(ctx context.Context, err error) bool {
	if _, unfit := errors.AsType[*VerifyError](err); unfit {
		return true
	}
	return repeatable(ctx, err) && (!cryptoki.Refused(err) || isAny(err, crowded))
}

// crowded are answers about the template which are not always about it: SoftHSM 2.6.1 gives them now and then to
// one of several who generate at the same time. Alone, the same template gets its true answer.
var crowded = []error{
	cryptoki.CKR_TEMPLATE_INCONSISTENT, cryptoki.CKR_TEMPLATE_INCOMPLETE,
	cryptoki.CKR_ATTRIBUTE_TYPE_INVALID, cryptoki.CKR_ATTRIBUTE_VALUE_INVALID,
}

func isAny(err error, codes []error) bool {
	return slices.ContainsFunc(codes, func(code error) bool { return errors.Is(err, code) })
}

// attempt makes the key once, the first time beside others, then alone. What is not accepted is destroyed.
func (g generation) attempt(ctx, settle context.Context, try int) (WholeKey, Holding, error) {
	weight := int64(1)
	if try > 1 {
		weight = everyone
	}
	made, holds, err := g.generate(ctx, settle, weight)
	if err != nil {
		return WholeKey{}, holds, err
	}
	pair, err := g.accept(settle, made)
	if err == nil {
		return pair, HoldsKey, nil
	}
	holds = g.token.discard(settle, made)
	if !g.chosen && holds != HoldsNothing {
		holds = g.token.wipe(settle, g.row, g.template.ID)
	}
	return WholeKey{}, holds, err
}

// free is an *ExistsError where a key object of any type bears the ID. It looks at the token itself: some tokens
// silently replace a key of the same ID, so that an absence in a snapshot will not do.
func (t *Token) free(ctx context.Context, id []byte) error {
	objects, err := t.find(ctx, id)
	if err != nil {
		return err
	}
	if len(objects) > 0 {
		return existsError(id, objects)
	}
	return nil
}

// existsError says what bears the ID.
func existsError(id []byte, objects []object) *ExistsError {
	e := &ExistsError{ID: id, Objects: namesOf(objects)}
	if slices.ContainsFunc(objects, func(o object) bool { return o.err != nil }) {
		return e
	}
	if m, err := match(known(objects)); err == nil && len(m.keys) == 1 && len(m.keys[0].objects()) == len(objects) {
		e.Whole = m.keys[0].Type
	}
	return e
}

// generate has the token make the key, and where that fails looks what came of it: a whole key is adopted, half
// of one is cleared away. It gives the key's objects as they were read back.
func (g generation) generate(ctx, settle context.Context, weight int64) ([]object, Holding, error) {
	age := g.token.pool.age()
	made, err := g.call(ctx, weight)
	if err == nil {
		return g.readBack(settle, made, age)
	}
	objects, holds := g.aftermath(settle, err)
	if holds == HoldsKey {
		return objects, holds, nil
	}
	if g.token.quirks.blanks && holds != HoldsUnknown {
		g.token.sweep(settle, g.row)
	}
	return nil, holds, err
}

// call calls C_GenerateKeyPair, or C_GenerateKey where a key is one object. It gives the new handles.
func (g generation) call(ctx context.Context, weight int64) (made []cryptoki.Object, err error) {
	public, private := g.template.attributes(g.row)
	public = g.token.quirks.template(public)
	if err := g.token.generating.Acquire(ctx, weight); err != nil {
		return made, err
	}
	defer g.token.generating.Release(weight)
	err = g.token.pool.use(ctx, func(s *cryptoki.Session) error {
		mechanism := cryptoki.Mechanism{Type: g.row.generate}
		if g.row.alone() {
			key, err := s.GenerateKey(ctx, mechanism, private)
			made = []cryptoki.Object{key}
			return err
		}
		pair, err := s.GenerateKeyPair(ctx, mechanism, public, private)
		made = []cryptoki.Object{pair.Private, pair.Public}
		return err
	})
	return made, err
}

// aftermath looks what a failed generation left, and clears away half a pair. objects are those of a whole key
// that fits the template, for HoldsKey.
func (g generation) aftermath(ctx context.Context, cause error) (objects []object, holds Holding) {
	if _, ok := errors.AsType[*cryptoki.HangError](cause); ok {
		return nil, HoldsUnknown // the call may still take effect
	}
	objects, err := g.token.find(ctx, g.template.ID)
	if err != nil {
		return nil, HoldsUnknown
	}
	half := func() bool { return len(objects) > 0 && len(objects) < len(g.row.classes) }
	if half() { // perhaps someone is just about to make the other half
		time.Sleep(min(100*time.Millisecond, settleTime/4))
		if objects, err = g.token.find(ctx, g.template.ID); err != nil {
			return nil, HoldsUnknown
		}
	}
	torn := slices.ContainsFunc(objects, func(o object) bool { return o.err != nil })
	switch {
	case len(objects) == 0:
		return nil, HoldsNothing
	case torn && g.chosen:
		return nil, HoldsUnknown // somebody may be writing it
	case torn:
		return nil, g.token.wipe(ctx, g.row, g.template.ID)
	case g.isOurs(objects):
		return objects, HoldsKey
	case half() && objects[0].label == g.template.Label && objects[0].ckk == g.row.ckk:
		return nil, g.token.discard(ctx, objects)
	}
	return nil, HoldsOther
}

// isOurs says that the objects are those of just the key that was asked for.
func (g generation) isOurs(objects []object) bool {
	private, public, ok := g.row.parts(objects)
	return ok && len(objects) == len(g.row.classes) && len(g.template.verify(g.row, private, public)) == 0
}

// readBackTries is how often the new objects are read back where that fails: a key that is whole is destroyed
// for it, and some modules (SoftHSM 2.6.1) fail to read an object now and then while others are made.
const readBackTries = 3

// readBack reads the new objects by their handles, and by their ID where the handles died with a session. age is the
// pool's of the handles.
func (g generation) readBack(ctx context.Context, handles []cryptoki.Object, age int) ([]object, Holding, error) {
	var objects, found []object
	var err, findErr error
	for range readBackTries {
		err = g.token.read(ctx, func(s *cryptoki.Session) error {
			objects = objects[:0]
			var broken error
			for _, handle := range handles {
				o, err := g.token.readObject(ctx, s, handle)
				if err == nil && len(o.id) > 0 && !bytes.Equal(o.id, g.template.ID) { // after a new login it may be anybody's
					err = s.Abandon(&cryptoki.Error{Function: "C_GetAttributeValue", Code: cryptoki.CKR_OBJECT_HANDLE_INVALID})
				}
				if err != nil {
					return err
				}
				broken = errors.Join(broken, o.err)
				objects = append(objects, o)
			}
			return broken
		})
		if err == nil {
			return objects, HoldsKey, nil
		}
		if !repeatable(ctx, err) {
			return nil, HoldsUnknown, err
		}
		if found, findErr = g.token.find(ctx, g.template.ID); findErr == nil && g.isOurs(found) {
			return found, HoldsKey, nil
		}
	}
	var clearErr error
	if g.token.quirks.torn {
		for range 2 { // the second time on another session, which knows the same handles
			if clearErr = g.clearTorn(ctx, handles, age); clearErr == nil {
				break
			}
		}
	}
	wiped := HoldsUnknown
	if !g.chosen {
		wiped = g.token.wipe(ctx, g.row, g.template.ID)
	}
	// What is there, and cannot be seen, is not made again.
	unseen := g.token.quirks.torn && cryptoki.InvalidHandle(err) && len(found) == 0
	switch {
	case clearErr != nil || unseen:
		return nil, HoldsUnknown, err
	case !g.chosen:
		return nil, wiped, err
	}
	found, findErr = g.token.find(ctx, g.template.ID)
	// Of an ID that others may have chosen too, what bears the new handles is ours for certain.
	ours := slices.DeleteFunc(slices.Clone(found), func(o object) bool { return !slices.Contains(handles, o.handle) })
	switch {
	case findErr != nil || len(ours) == 0 && len(found) > 0:
		return nil, HoldsUnknown, err
	case len(ours) == 0:
		return nil, HoldsNothing, err
	}
	return nil, g.token.discard(ctx, ours), err
}

// clearTorn destroys what stands behind the new handles and makes no sense: its ID may be lost too, so that no search
// would bring it. What another ID shows, or nothing is left of, is not touched.
// Nothing is, where a session was lost since: after a new login, the handles may be anybody's.
func (g generation) clearTorn(ctx context.Context, handles []cryptoki.Object, age int) error {
	return g.token.pool.use(ctx, func(s *cryptoki.Session) (failure error) {
		if g.token.pool.age() != age {
			return errors.New("sessions were lost")
		}
		for _, handle := range handles {
			o, err := g.token.readObject(ctx, s, handle)
			switch {
			case errors.Is(err, cryptoki.CKR_ATTRIBUTE_VALUE_INVALID):
			case cryptoki.InvalidHandle(err):
				continue
			case err != nil:
				failure = errors.Join(failure, err)
				continue
			case o.err == nil || len(o.id) > 0 && !bytes.Equal(o.id, g.template.ID):
				continue
			}
			if err := s.DestroyObject(ctx, handle); err != nil && !cryptoki.InvalidHandle(err) {
				failure = errors.Join(failure, err)
			}
		}
		return failure
	})
}

// accept makes a WholeKey of the new objects, if they are what was asked for and nobody else's stand beside them.
func (g generation) accept(ctx context.Context, made []object) (WholeKey, error) {
	private, public, ok := g.row.parts(made)
	if !ok {
		return WholeKey{}, &VerifyError{Problems: []string{fmt.Sprintf("what was made is not %s: %s", g.row.composition(), list(namesOf(made)))}}
	}
	if g.chosen {
		if err := g.contend(ctx, made); err != nil {
			return WholeKey{}, err
		}
	}
	problems := g.template.verify(g.row, private, public)
	for try := 1; len(problems) > 0 && try < readBackTries; try++ {
		found, err := g.token.find(ctx, g.template.ID) // a key is not destroyed for one look at it
		if err != nil || !g.isOurs(found) {
			continue
		}
		private, public, _ = g.row.parts(found)
		problems = nil
	}
	if len(problems) > 0 {
		return WholeKey{}, &VerifyError{Problems: problems}
	}
	pair, err := newWholeKey(g.row, private, public)
	if err != nil {
		return WholeKey{}, err
	}
	proven, err := g.prove(ctx, pair)
	if err == nil || !cryptoki.InvalidHandle(err) {
		return proven, err
	}
	// The handles died with the sessions that were lost: the key is looked up again.
	found, findErr := g.token.find(ctx, g.template.ID)
	private, public, ok = g.row.parts(found)
	if findErr != nil || !ok || len(found) != len(g.row.classes) || !sameObject(private, pair.private) || !sameObject(public, pair.public) {
		return WholeKey{}, errors.Join(err, findErr)
	}
	if pair, err = newWholeKey(g.row, private, public); err != nil {
		return WholeKey{}, err
	}
	return g.prove(ctx, pair)
}

// prove proves a new key by its use, and gives it with its fingerprint.
func (g generation) prove(ctx context.Context, key WholeKey) (WholeKey, error) {
	if err := g.token.prove(ctx, g.row, key); err != nil {
		return WholeKey{}, err
	}
	return g.token.Fingerprinted(ctx, key)
}

// Two who make the same ID at the same time both find it free: a token has no way to reserve an ID. But each
// looks again once its own pair is there, so that at least the later one sees the other's. Whoever sees a
// pair of a greater fingerprint beside its own gives way at once. Whoever sees a lesser one waits for it to
// give way, and gives way itself where it does not: the other has looked before, and has kept its pair.
// So never do both keep theirs, and both lose only where one of them stood still for raceTime, or where keys
// have no fingerprint that shows: then everyone gives way.
const (
	raceTime = 3 * time.Second
	racePoll = 50 * time.Millisecond
)

func (g generation) contend(ctx context.Context, made []object) error {
	id := g.template.ID
	private, public, _ := g.row.parts(made)
	mine := g.row.fingerprint(public)
	if g.row.alone() {
		mine = g.row.fingerprint(private)
	}
	for end := time.Now().Add(raceTime); ; {
		objects, err := g.token.find(ctx, id)
		if err != nil {
			return err
		}
		var rivals []object
		giveWay := false
		for _, o := range objects {
			if isOneOf(made, o, objects) {
				continue
			}
			if o.err != nil && slices.ContainsFunc(made, func(m object) bool { return m.handle == o.handle }) {
				return o.err
			}
			rivals = append(rivals, o)
			giveWay = giveWay || o.ckk != g.row.ckk || !slices.Contains(g.row.classes, o.class) || g.yields(mine, o)
		}
		if len(rivals) == 0 {
			return nil
		}
		raced := existsError(id, rivals)
		raced.Raced = true
		if giveWay || time.Now().After(end) {
			return raced
		}
		select {
		case <-time.After(racePoll):
		case <-ctx.Done():
			return raced
		}
	}
}

// yields says that a key of the fingerprint gives way to a rival, which is of the same type.
func (g generation) yields(mine string, rival object) bool {
	theirs := g.row.fingerprint(rival)
	if g.row.alone() {
		return mine == "" || theirs == "" || theirs > mine
	}
	return rival.class == cryptoki.CKO_PUBLIC_KEY && theirs > mine
}
