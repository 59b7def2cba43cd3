package hsm

import (
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// TestSnapshotCost simulates lookups with known costs. However many there are, they cost at most twice as much as the
// cheaper of searching always and taking the snapshot at once, apart from the first search and the count.
func TestSnapshotCost(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		lookups, objects   int
		search, list, read time.Duration
		wantTaken          bool
	}{
		"three keys among fifty thousand on a network HSM": {lookups: 3, objects: 50_000, search: 6 * ms, list: ms, read: ms},
		"ten thousand of ten thousand on SoftHSM":          {lookups: 10_000, objects: 20_000, search: 400 * ms, list: 400 * ms, read: ms / 50, wantTaken: true},
		"a hundred of a hundred":                           {lookups: 100, objects: 200, search: 6 * ms, list: ms, read: ms, wantTaken: true},
		"one key":                                          {lookups: 1, objects: 10, search: 6 * ms, list: ms, read: ms},
	} {
		t.Run(name, func(t *testing.T) {
			var r snapshotCost
			var spent time.Duration
			taken := false
			r.waiting = 1
			for range c.lookups {
				if taken {
					break
				}
				switch step := r.next(); step {
				case count:
					spent += c.list
					r.counted(c.objects, c.list)
					if r.next() != take {
						spent += c.search
						r.searched(c.search, 2, 2*c.read)
						continue
					}
					fallthrough
				case take:
					spent += c.list + time.Duration(c.objects)*c.read
					taken = true
				default:
					spent += c.search
					r.searched(c.search, 2, 2*c.read)
				}
			}
			direct, snapshot := time.Duration(c.lookups)*c.search, c.list+time.Duration(c.objects)*c.read
			if most := 2*min(direct, snapshot) + 2*(c.search+c.list); spent > most {
				t.Errorf("%s spent, where searching costs %s and the snapshot %s", spent, direct, snapshot)
			}
			if taken != c.wantTaken {
				t.Errorf("snapshot taken: %t", taken)
			}
		})
	}
}

// TestSnapshotOfAge drops a snapshot that is too old, but not one whose taking takes longer than that.
func TestSnapshotOfAge(t *testing.T) {
	for _, c := range []struct {
		old, took time.Duration
		kept      bool
	}{
		{4 * time.Minute, time.Minute, true}, {time.Hour, time.Minute, false}, {time.Hour, 20 * time.Minute, true},
		{time.Hour, 10 * time.Minute, false},
	} {
		s := &snapshot{inventory: object.NewInventory(nil), began: time.Now().Add(-c.old), took: c.took}
		s.dropOlder(30 * time.Minute)
		if kept := s.inventory != nil; kept != c.kept {
			t.Errorf("%s old, taken in %s: kept %t", c.old, c.took, kept)
		}
	}
}
