package hsm

import (
	"context"
	"slices"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// Two processes that make the same ID at the same time both find it free: a token has no way to reserve an ID. But
// each looks again once its own key is there, so that at least the later one sees the other's key. Who sees a key with
// a greater fingerprint than its own gives way at once. Who sees a key with a smaller one waits until that is gone. If
// it stays, the other has looked before and has kept its key, so this one gives way.
//
// A key of another user's that this one may not read shows neither its ID nor its fingerprint: who sees that there is
// one gives way.
//
// So two never both keep theirs. Both lose only if one of them stood still for raceTime, or if the keys show no
// fingerprint or cannot be read: then everyone gives way.
const (
	raceTime = 3 * time.Second
	racePoll = 50 * time.Millisecond
)

func (g *generation) contend(ctx context.Context, made []object.Object) error {
	id := g.template.ID
	mine := "" // without a fingerprint, everyone gives way
	for _, o := range made {
		if o.Class == g.spec.Classes[len(g.spec.Classes)-1] {
			mine = g.spec.Fingerprint(o)
		}
	}
	for end := time.Now().Add(raceTime); ; {
		g.processLock.Stir(ctx)
		objects, err := g.find(ctx, id)
		if err != nil {
			return err
		}
		var rivals []object.Object
		giveWay := false
		for _, o := range objects {
			if object.IsOneOf(made, o, objects) {
				continue
			}
			if o.Err != nil && slices.ContainsFunc(made, func(m object.Object) bool { return m.Handle == o.Handle }) {
				return o.Err
			}
			rivals = append(rivals, o)
			giveWay = giveWay || !g.spec.Makes(o.CKK) || !slices.Contains(g.spec.Classes, o.Class) || g.yields(mine, o)
		}
		if len(rivals) == 0 {
			return g.hidden(id) // nothing was, where the ID was found free
		}
		raced := object.Exists(id, rivals)
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

// yields says that a key with the fingerprint mine gives way to a rival of the same type.
func (g *generation) yields(mine string, rival object.Object) bool {
	theirs := g.spec.Fingerprint(rival)
	if g.spec.Alone() {
		return mine == "" || theirs == "" || theirs > mine
	}
	return rival.Class == cryptoki.CKO_PUBLIC_KEY && theirs > mine
}
