package hsm

import "time"

// snapshotCost decides when direct searches have cost enough that the snapshot should be taken: the ski-rental
// rule. A search is the rent, the snapshot the price; whoever rents until the rent has come to the price
// pays at most twice what the best choice would have been, without knowing how many lookups are to come. All
// costs are measured as the process runs, and none is configured.
//
// Costs are session time: what parallel sessions spend is added up on both sides.
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
	search step = iota // the first search: alone, so that its cost is known before others decide
	count              // count the objects, to know the price
	take               // take the snapshot
	direct             // search
)

// A token of up to wholeToken objects is read whole after wholeAfter searches, be a search as cheap as it may. The
// rule would go on searching until that has cost as much as the snapshot, and come to four calls a key in a plan
// of all of them; so it is 2N + 60, and at the worst wholeToken reads that nobody needed.
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

// searched is told of a direct search: what it took in all, and of that for reading how many objects.
func (r *snapshotCost) searched(took time.Duration, reads int, reading time.Duration) {
	r.searches++
	r.spent += took
	r.reads += reads
	r.reading += reading
}

// callsASearch is how many calls a search makes that finds nothing: its start, two results and its end.
const callsASearch = 4

// counted is told how many objects there are, and what it took to list them. Where no search has found anything
// to read, a read is taken for one plain call: what a search takes beyond walking through the token, which
// listing shows, by its number of calls.
func (r *snapshotCost) counted(objects int, took time.Duration) {
	read := max(r.spent/time.Duration(r.searches)-took, 0) / callsASearch
	if r.reads > 0 {
		read = r.reading / time.Duration(r.reads)
	}
	r.priced, r.objects, r.price = true, objects, took+time.Duration(objects)*read
}
