package hsm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// How a ring turns. What is left to do is read from the token alone: each step is found done or undone there. So
// whatever was interrupted goes on from where it stands.

// RingLabels are the labels of a ring's pairs. No two of them are the same.
type RingLabels struct {
	Current string // of the pair that signs
	Standby string // of the pairs that are published and do not sign
	Retired string // of the pairs that are published no more
}

// Ring says what a ring of key pairs is to be. Each pair is a generation: it is made and published before it signs, it
// signs, and it stays published for a while after that.
type Ring struct {
	RingLabels
	Was    RingLabels // those of before, where a label changes; else the zero value
	Prefix string     // the ID of generation 3 is the text of the Prefix and "3"

	Generation int  // which one signs, from 1
	Previous   int  // how many before it stay published
	Destroy    bool // pairs that are published no more are destroyed, and not kept under the Retired label

	// Pause is how long Turn waits before a step that takes a label from a pair. A search takes time: one that begins
	// before the new pair has the label, and comes to the old one when it has lost it, finds neither.
	Pause    time.Duration
	Template object.Template // of pairs that are still to be made: all but their ID and label
	// Fingerprints are those of pairs that are known, by generation. A pair that has another one is not touched. They
	// decide where several have an ID. Unless they are nil, a pair that is not among them has to have a label of the
	// ring's.
	Fingerprints map[int]string
}

// Role is what a pair does in a ring.
type Role string

// The roles.
const (
	RoleNext     Role = "next"
	RoleCurrent  Role = "current"
	RolePrevious Role = "previous"
	RoleRetired  Role = "retired"
)

// RoleOf is the role of a generation whose pair has a label. What was made for a generation to come stays published
// after a step back, since its ID is never given to another key. A past pair that is retired stays so, even where
// Previous grows later: somebody may have retired it in an emergency.
func (r Ring) RoleOf(generation int, label string) Role {
	switch {
	case generation > r.Generation:
		return RoleNext
	case generation == r.Generation:
		return RoleCurrent
	case generation >= r.Generation-r.Previous && !r.retired(label):
		return RolePrevious
	}
	return RoleRetired
}

// LabelOf is the label of a role.
func (r Ring) LabelOf(role Role) string {
	switch role {
	case RoleCurrent:
		return r.Current
	case RoleRetired:
		return r.Retired
	}
	return r.Standby
}

func (r Ring) retired(label string) bool {
	return label == r.Retired || label == r.Was.Retired && r.Was.Retired != ""
}

// Publishes says that pairs of that label are published.
func (r Ring) Publishes(label string) bool { return label == r.Current || label == r.Standby }

// published is Publishes, or did before the ring got other labels.
func (r Ring) published(label string) bool {
	return r.Publishes(label) || r.Was != RingLabels{} && (label == r.Was.Current || label == r.Was.Standby)
}

// ID is the ID of a generation.
func (r Ring) ID(generation int) []byte { return []byte(r.Prefix + strconv.Itoa(generation)) }

// GenerationOf reads the generation of an ID. ok is false where the ID is not the ring's.
func (r Ring) GenerationOf(id []byte) (generation int, ok bool) {
	prefix, generation, ok := CutGeneration(id)
	return generation, ok && prefix == r.Prefix
}

// maxGeneration is the highest generation that an ID has: one more is a number on every machine.
const maxGeneration = 2_000_000_000

// CutGeneration reads the ID of a ring's pair: a prefix, which has no digit at its end and is not empty, and the number
// of a generation.
func CutGeneration(id []byte) (prefix string, generation int, ok bool) {
	prefix = strings.TrimRight(string(id), "0123456789")
	digits := string(id)[len(prefix):]
	generation, err := strconv.Atoi(digits)
	return prefix, generation, err == nil && prefix != "" && generation > 0 && generation <= maxGeneration &&
		strconv.Itoa(generation) == digits
}

// Place is how a pair of a ring stands on the token.
type Place struct {
	Label string `json:"label"` // of the private half, which is the one that programs look for
	// Off says that the rest is not as the ring makes it: the public half has another label, or a half another usage.
	// Of a retired pair it says that the public half still has the label of before.
	Off bool `json:"off,omitempty"`
	// Half says that only the public half is left, of a pair that was being destroyed.
	Half bool `json:"half,omitempty"`
}

// Turn is one step of a ring.
type Turn struct {
	Do         Doing
	Generation int
	From, To   string // labels; From is "" of a pair that is made, To of one that is destroyed
}

// Doing is what a step does.
type Doing int

// What a step does.
const (
	Make Doing = iota
	Relabel
	Remove
)

// String is such as `make generation 3 under "web.standby"`.
func (t Turn) String() string {
	switch t.Do {
	case Make:
		return fmt.Sprintf("make generation %d under %q", t.Generation, t.To)
	case Remove:
		return fmt.Sprintf("destroy generation %d, which is %q", t.Generation, t.From)
	case Relabel:
	}
	return fmt.Sprintf("relabel generation %d from %q to %q", t.Generation, t.From, t.To)
}

// Apply does the step to places, as it does it to the token.
func (t Turn) Apply(places map[int]Place) {
	if t.Do == Remove {
		delete(places, t.Generation)
		return
	}
	places[t.Generation] = Place{Label: t.To}
}

// Turns are the steps that are left, in an order that keeps three things true at every instant, if they are true
// before: a whole pair has the label of the current one, another one has the standby label, and every pair that may
// have signed what is still valid is published under one of the two. places are those of the pairs that are there.
func (r Ring) Turns(places map[int]Place) []Turn {
	p := &turning{Ring: r, places: maps.Clone(places)}
	if p.places == nil {
		p.places = map[int]Place{}
	}
	for _, generation := range []int{r.Generation, r.Generation + 1} {
		if _, there := p.places[generation]; !there {
			p.do(Turn{Do: Make, Generation: generation, To: r.LabelOf(r.RoleOf(generation, ""))})
		}
	}
	p.move(func(role Role, at Place) bool { // whatever nobody finds
		return (role == RoleNext || role == RolePrevious) && !r.Publishes(at.Label)
	})
	if !p.spare() { // the current pair is the only one on standby, and would leave it empty
		p.do(Turn{Do: Make, Generation: slices.Max(slices.Collect(maps.Keys(p.places))) + 1, To: r.Standby})
	}
	p.move(func(role Role, _ Place) bool { return role == RoleCurrent })
	p.move(func(role Role, _ Place) bool { return role == RoleNext || role == RolePrevious })
	p.move(func(role Role, _ Place) bool { return role == RoleRetired })
	return p.turns
}

// turning is a ring whose steps are being found.
type turning struct {
	Ring
	places map[int]Place
	turns  []Turn
}

func (p *turning) do(turn Turn) {
	turn.Apply(p.places)
	p.turns = append(p.turns, turn)
}

// spare says that a pair besides the current one is on standby, or that none has to be.
func (p *turning) spare() bool {
	if p.places[p.Generation].Label != p.Standby {
		return true
	}
	for generation, at := range p.places {
		if generation != p.Generation && at.Label == p.Standby && !at.Half {
			return true
		}
	}
	return false
}

// move brings pairs to where they belong, those of a due role and place.
func (p *turning) move(due func(Role, Place) bool) {
	for _, generation := range slices.Sorted(maps.Keys(p.places)) {
		at := p.places[generation]
		role := p.RoleOf(generation, at.Label)
		to := p.LabelOf(role)
		switch {
		case !due(role, at), at.Half && role != RoleRetired:
		case role != RoleRetired:
			if at.Label != to || at.Off {
				p.do(Turn{Do: Relabel, Generation: generation, From: at.Label, To: to})
			}
		case p.Destroy && p.published(at.Label):
			p.do(Turn{Do: Remove, Generation: generation, From: at.Label})
		case (at.Label != to || at.Off) && (p.published(at.Label) || p.retired(at.Label)):
			p.do(Turn{Do: Relabel, Generation: generation, From: at.Label, To: to})
		}
	}
}

// RingState is what a token holds of a ring.
type RingState struct {
	Pairs map[int]object.Key // by generation
	// Halves are what is left of pairs that were being destroyed, by generation.
	Halves map[int]object.Name
	// Others are pairs that nobody tells from the ring's: under the label of the current one, or of an ID of the
	// ring's.
	Others []object.Key

	anyUsage bool // the token does not obey usages
}

// Empty says that nothing of the ring is there.
func (s RingState) Empty() bool { return len(s.Pairs)+len(s.Halves) == 0 }

// PlacesIn are the places of the pairs in a ring, by generation.
func (s RingState) PlacesIn(r Ring) map[int]Place {
	places := map[int]Place{}
	for generation, key := range s.Pairs {
		off := key.Label != key.PublicLabel || !s.anyUsage &&
			(r.misused(key.Usage) || r.misused(key.PublicUsage))
		if r.retired(key.Label) {
			off = key.Label != key.PublicLabel && (r.published(key.PublicLabel) || r.retired(key.PublicLabel))
		}
		places[generation] = Place{Label: key.Label, Off: off}
	}
	for generation, half := range s.Halves {
		places[generation] = Place{Label: half.Label, Half: true}
	}
	return places
}

// misused says that a half is not for what the ring's pairs are for. Tokens give signing with recovery to what other
// tools make.
func (r Ring) misused(usage object.Usage) bool { return usage&^object.SignRecover != r.Template.Usage }

// GenerationError is what is wrong with one generation of a ring.
type GenerationError struct {
	Generation int
	Err        error
}

func (e *GenerationError) Error() string {
	return fmt.Sprintf("generation %d of the key ring: %v", e.Generation, e.Err)
}

// Unwrap gives the cause.
func (e *GenerationError) Unwrap() error { return e.Err }

// Ring gives what the token holds of a ring. A pair that the PIN does not protect is none of the ring's: anyone may
// have made it. Errors: *GenerationError of what Key says of a generation of which something is there and no pair,
// *UnreadableError, or the token's failure.
func (t *Token) Ring(ctx context.Context, r Ring) (RingState, error) {
	inventory, err := t.Inventory(ctx)
	if err != nil {
		return RingState{}, err
	}
	_, anyUsage := t.FixedUsage(r.Template)
	state := RingState{Pairs: map[int]object.Key{}, Halves: map[int]object.Name{}, anyUsage: anyUsage}
	keys, _ := inventory.Keys() // what is broken is loose
	doubtful, found := map[int]bool{}, map[int][]object.Key{}
	for _, key := range keys {
		generation, ours := r.GenerationOf(key.ID)
		switch {
		case key.Public == nil:
		case ours && !key.Unprotected() && !r.strange(generation, key.Label):
			found[generation] = append(found[generation], key)
			known := r.Fingerprints[generation]
			doubtful[generation] = len(found[generation]) > 1 || known != "" && known != key.Fingerprint()
		case ours || key.Label == r.Current:
			state.Others = append(state.Others, key)
		}
	}
	for _, o := range inventory.Loose() {
		if generation, ours := r.GenerationOf(o.ID); ours && !o.IsSecretKey() {
			doubtful[generation] = true
		}
	}
	var errs []error
	for _, generation := range slices.Sorted(maps.Keys(doubtful)) {
		if !doubtful[generation] {
			state.Pairs[generation] = found[generation][0]
			continue
		}
		key, err := t.Key(ctx, object.Ref{ID: r.ID(generation), Fingerprint: r.Fingerprints[generation]})
		if err != nil {
			if err := r.unsound(generation, err, inventory.Objects(r.ID(generation)), &state); err != nil {
				errs = append(errs, &GenerationError{generation, err})
			}
			continue
		}
		state.Pairs[generation] = key
		for _, other := range found[generation] {
			if other.Fingerprint() != key.Fingerprint() {
				state.Others = append(state.Others, other)
			}
		}
	}
	return state, errors.Join(errs...)
}

// strange says that a pair is none that the ring has made, though it has an ID of the ring's: who knows the ring's
// pairs does not know this one, and it has no label of the ring's. What is retired is left alone anyway.
func (r Ring) strange(generation int, label string) bool {
	return r.Fingerprints != nil && r.Fingerprints[generation] == "" && !r.published(label) && !r.retired(label) &&
		r.RoleOf(generation, label) != RoleRetired
}

// unsound is the error of a generation that is no pair but these objects. It is nil of one that is past being published
// and has no private half, such as only who has the PIN makes, with a label of those that are published: what else is
// there is nobody's business any more. And it is nil of the public half of a past pair that was being destroyed.
func (r Ring) unsound(generation int, err error, objects []object.Object, state *RingState) error {
	half, isHalf := errors.AsType[*object.HalfPairError](err)
	if isHalf && r.Destroy && generation < r.Generation && half.Other == nil && r.published(half.Present.Label) &&
		half.Missing == object.ClassNames[cryptoki.CKO_PRIVATE_KEY] {
		state.Halves[generation] = half.Present
		return nil
	}
	published := slices.ContainsFunc(objects, func(o object.Object) bool {
		return o.Class == cryptoki.CKO_PRIVATE_KEY && o.Is(cryptoki.CKA_PRIVATE) && r.published(o.Label)
	})
	if r.RoleOf(generation, r.Standby) == RoleRetired && !published {
		return nil
	}
	return err
}

// Relabels says whether the token lets labels change, as far as that shows without a change: it is asked to change the
// object of a handle that no object ever has (PKCS#11 v2.40, 3.2: CK_INVALID_HANDLE).
func (t *Token) Relabels(ctx context.Context) bool {
	err := t.pool.Use(ctx, func(s *cryptoki.Session) error {
		return s.SetAttributeValue(ctx, 0, []cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_LABEL, nil)})
	})
	return !errors.Is(err, cryptoki.CKR_FUNCTION_NOT_SUPPORTED)
}

// otherRunTime is how long a run waits for another one that turns the same ring, once, before it looks again.
const otherRunTime = 100 * time.Millisecond

// ringSnapshot is how old the snapshot may be by which a ring turns. If each of many rings on a token had it taken
// anew, that would be quadratic. Each step looks anew at the pair that it is about, and at the one that signs.
const ringSnapshot = 5 * time.Second

// RingNow is Ring of what the token holds now, and not since the process first looked: others may have turned the ring.
func (t *Token) RingNow(ctx context.Context, r Ring) (RingState, error) {
	t.snapshot.dropOlder(ringSnapshot)
	return t.Ring(ctx, r)
}

// Turn takes the steps that are left, each after a look at what the one before has left, and gives those that it has
// done, and what the token held at the last look. Another run may turn the same ring at the same time: where that
// makes a pair first, Turn goes on with it, and it takes no label where the other one has moved the pair that signs.
// Errors: those of Ring, or a *GenerationError with an *OperationError.
func (t *Token) Turn(ctx context.Context, r Ring) (state RingState, done []Turn, err error) {
	leave, err := t.write(ctx) // or the first step that writes would learn of others' writes, and have all read again
	if err != nil {
		return RingState{}, nil, err
	}
	leave()
	t.snapshot.dropOlder(ringSnapshot) // others may have turned the ring
	for waited := false; ; {
		var turn Turn
		if state, err = t.Ring(ctx, r); err == nil {
			turns := r.Turns(state.PlacesIn(r))
			if len(turns) == 0 {
				return state, done, nil
			}
			turn = turns[0]
			err = t.step(ctx, r, turn, state, done)
		}
		others := errors.Is(err, object.ErrExists) && !state.Empty() || errors.Is(err, object.ErrHalfPair)
		switch {
		case err == nil:
			done = append(done, turn)
		case others && !waited && pause(ctx, otherRunTime) == nil:
			waited = true
			t.snapshot.drop()
		default:
			return state, done, err
		}
	}
}

// step takes one step, after those that are done.
func (t *Token) step(ctx context.Context, r Ring, turn Turn, state RingState, done []Turn) error {
	if slices.Contains(done, turn) {
		return &GenerationError{turn.Generation, &VerifyError{Problems: []string{
			"the token says that it did this, and shows it undone: " + turn.String()}}}
	}
	if turn.Do != Make && turn.From != turn.To && r.published(turn.From) {
		if err := pause(ctx, r.Pause); err != nil {
			return err
		}
		if signer := state.Pairs[r.Generation]; turn.Generation != r.Generation && signer.Label == r.Current {
			if err := t.signs(ctx, r, signer); err != nil {
				return &GenerationError{r.Generation, err}
			}
		}
	}
	if err := t.take(ctx, r, turn, state.Pairs[turn.Generation]); err != nil {
		return &GenerationError{turn.Generation, err}
	}
	return nil
}

// ErrTurnedElsewhere says that another run moves the pairs of a ring that is being turned.
var ErrTurnedElsewhere = errors.New("another run turns the key ring at the same time")

// signs makes sure that the pair that signed at the last look still does, before another one loses its label.
func (t *Token) signs(ctx context.Context, r Ring, signer object.Key) error {
	t.processLock.Stir(ctx) // another process may have written
	now, err := t.search(ctx, object.Ref{Type: signer.Type, ID: signer.ID, Fingerprint: signer.Fingerprint()})
	if err == nil && now.Label != r.Current {
		err = fmt.Errorf("%w: the pair was to sign, and has the label %q by now", ErrTurnedElsewhere, now.Label)
	}
	return err
}

func pause(ctx context.Context, length time.Duration) error {
	select {
	case <-time.After(length):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting before the next step of the key ring: %w", context.Cause(ctx))
	}
}

// take takes one step, with the pair that it is about.
func (t *Token) take(ctx context.Context, r Ring, turn Turn, pair object.Key) error {
	ref := object.Ref{
		Type: pair.Type, ID: r.ID(turn.Generation),
		Fingerprint: cmp.Or(r.Fingerprints[turn.Generation], pair.Fingerprint()),
	}
	switch turn.Do {
	case Make:
		tmpl := r.Template
		tmpl.ID, tmpl.Label = ref.ID, turn.To
		_, err := t.Generate(ctx, tmpl)
		return err
	case Remove:
		_, err := t.Destroy(ctx, ref)
		return err
	case Relabel:
	}
	change := object.Change{Label: &turn.To, Usage: &r.Template.Usage}
	if _, fixed := t.FixedUsage(r.Template); fixed || turn.To == r.Retired {
		change.Usage = nil
	}
	_, err := t.Change(ctx, ref, change)
	return err
}
