package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
)

// ringNote is what is noted of a ring in its private state: what the token holds that the state does not show.
type ringNote struct {
	Highest int                 `json:"highest"` // the highest generation that was ever seen
	Places  map[int]hsm.Place   `json:"places"`  // of the pairs that an apply may move
	Since   map[int]publication `json:"since"`   // of the pairs that the state has
}

// publication is since when a pair was published when that was last known.
type publication struct {
	Fingerprint string `json:"fingerprint"`
	Since       string `json:"since"`
}

const ringNoteKey = "ring"

// privateReader is what reads a private state.
type privateReader interface {
	GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
}

// notedRing reads the note. Where a state has none, as far as the pairs in it tell.
func notedRing(ctx context.Context, private privateReader, known map[int]ringKey) (note ringNote) {
	text, _ := private.GetKey(ctx, ringNoteKey)
	_ = json.Unmarshal(text, &note)
	if note.Places == nil {
		note.Places = map[int]hsm.Place{}
		for generation, key := range known {
			note.Places[generation] = hsm.Place{Label: key.Label.ValueString()}
		}
	}
	for generation := range known {
		note.Highest = max(note.Highest, generation)
	}
	return note
}

func (n ringNote) keep(ctx context.Context, private privateState) diag.Diagnostics {
	text, _ := json.Marshal(n) // of numbers and texts
	return private.SetKey(ctx, ringNoteKey, text)
}

// take notes what the token holds. keys are the pairs in the state.
func (n *ringNote) take(r hsm.Ring, held hsm.RingState, keys map[int]ringKey) {
	before := n.Since
	n.Places, n.Since = held.PlacesIn(r), map[int]publication{}
	for generation, at := range n.Places {
		n.Highest = max(n.Highest, generation)
		if at.Label == r.Retired && !at.Off && r.RoleOf(generation, at.Label) == hsm.RoleRetired {
			delete(n.Places, generation) // nothing moves it any more
		}
	}
	for generation, key := range keys {
		now := publication{key.Fingerprint.ValueString(), key.PublishedSince.ValueString()}
		switch was := before[generation]; {
		case now.Since != "":
			n.Since[generation] = now
		case was.Fingerprint == now.Fingerprint && was.Since != "":
			n.Since[generation] = was
		}
	}
}

// renamed gives pairs back since when they are published, where an apply that was to give the ring other labels was
// interrupted: they have their new label already, which the state does not know as one that is published.
func (n ringNote) renamed(r hsm.Ring, known map[int]ringKey) {
	for generation, key := range known {
		was := n.Since[generation]
		if key.PublishedSince.ValueString() == "" && r.Publishes(n.Places[generation].Label) && was.Since != "" &&
			was.Fingerprint == key.Fingerprint.ValueString() {
			key.PublishedSince = types.StringValue(was.Since)
			known[generation] = key
		}
	}
}

// described lists what a token holds of a ring, a line each.
func described(held hsm.RingState) string {
	lines := map[int]string{}
	for generation, pair := range held.Pairs {
		lines[generation] = fmt.Sprintf("  - generation %d: %s", generation, nameOf(pair.Label, pair.ID))
	}
	for generation, half := range held.Halves {
		lines[generation] = fmt.Sprintf("  - generation %d, half destroyed: %s", generation, half)
	}
	var all []string
	for _, generation := range slices.Sorted(maps.Keys(lines)) {
		all = append(all, lines[generation])
	}
	return strings.Join(all, "\n")
}
