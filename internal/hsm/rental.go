package hsm

import "time"

// rental decides when direct searches have cost enough that the snapshot should be taken: the ski-rental
// rule. A search is the rent, the snapshot the price; whoever rents until the rent has come to the price
// pays at most twice what the best choice would have been, without knowing how many lookups are to come. All
// costs are measured as the process runs, and none is configured.
//
// Costs are session time: what parallel sessions spend is added up on both sides.
type rental struct {
	searches int           // direct searches made
	spent    time.Duration // on all of them
	known    bool          // the objects were counted
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

// readsASearch is how many calls a search makes that are as dear as one read of the snapshot: two halves are
// read after three calls of searching. It turns the cost of a search into that of a read on tokens where
// searching costs no more than any call; where a search walks all objects, counting them costs the same and
// is known.
const callsASearch = 6

func (r *rental) next() step {
	switch {
	case r.searches == 0:
		return search
	case !r.known:
		return count
	case r.spent+time.Duration(r.waiting-1)*r.spent/time.Duration(r.searches) >= r.price:
		return take
	}
	return direct
}

func (r *rental) searched(took time.Duration) {
	r.searches++
	r.spent += took
}

// counted is told how many objects there are, and what it took to list them. A search is six calls, of which
// the listing shows what walking through the token costs; what remains is the cost of plain calls.
func (r *rental) counted(objects int, took time.Duration) {
	search := r.spent / time.Duration(r.searches)
	read := max((search-took)/callsASearch, search/1000)
	r.known, r.price = true, took+time.Duration(objects)*read
}
