package hsm

import "time"

// snapshotCost decides when the snapshot is due: when direct searches have cost as much as the snapshot would. This is
// the ski-rental rule, where a search is the rent and the snapshot is the price. Who rents until the rent adds up to
// the price pays at most twice what the best choice would have cost, without knowing how many lookups will come. All
// costs are measured while the process runs; none is configured.
//
// Costs are session time: the times of parallel sessions are added up on both sides.
type snapshotCost struct {
	searches int           // direct searches made
	spent    time.Duration // on all of them
	reads    int           // objects read in them
	reading  time.Duration // spent on that, a part of spent
	objects  int           // on the token
	priced   bool          // objects and price are set
	price    time.Duration // what the snapshot is estimated to cost
	waiting  int           // lookups that wait for the decision now
}

// step is what the next lookup should do.
type step int

const (
	search step = iota // make the first search alone, so that others know its cost before they decide
	count              // count the objects, to know the price of the snapshot
	take               // take the snapshot
	direct             // search
)

// A token of up to wholeToken objects is read whole after wholeAfter searches, however cheap a search is. By the rule
// alone, a plan of all N keys would search until that had cost as much as the snapshot, and make four calls a key. This
// way it makes 2N + 60 calls. At the worst, wholeToken objects are read that nobody needed.
const (
	wholeToken = 4096
	wholeAfter = 5
)

func (r *snapshotCost) next() step {
	switch {
	case r.searches == 0:
		return search
	case !r.priced:
		return count
	case r.objects <= wholeToken && r.searches+r.waiting > wholeAfter:
		return take
	case r.spent+time.Duration(r.waiting-1)*r.spent/time.Duration(r.searches) >= r.price:
		return take
	}
	return direct
}

// searched notes a direct search: the time that it took, how many objects it read, and the time spent reading them.
func (r *snapshotCost) searched(took time.Duration, reads int, reading time.Duration) {
	r.searches++
	r.spent += took
	r.reads += reads
	r.reading += reading
}

// callsASearch is how many calls a search makes that finds nothing: its start, two results and its end.
const callsASearch = 4

// counted notes how many objects there are, and the time that it took to list them. Where no search has found anything
// to read, it takes one plain call for the cost of a read: that is what a search takes beyond the walk through the
// token (which the listing shows), divided by its number of calls.
func (r *snapshotCost) counted(objects int, took time.Duration) {
	read := max(r.spent/time.Duration(r.searches)-took, 0) / callsASearch
	if r.reads > 0 {
		read = r.reading / time.Duration(r.reads)
	}
	r.priced, r.objects, r.price = true, objects, took+time.Duration(objects)*read
}
