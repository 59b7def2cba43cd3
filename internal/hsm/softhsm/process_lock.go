package softhsm

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// ProcessLock lets one process at a time make, move and destroy objects on a token. Within that process, all operations
// may. Without the lock, a process that has just written an object would not see what another process wrote at the same
// time: both would find an ID free and make a key with it. Where processes on several machines share a token, and where
// there is no lock, the operations themselves decide who keeps an ID.
//
// The lock is a file beside the token's own, which the operating system unlocks when the process dies. Where there can
// be no lock, or somebody holds it and does not make way, operations go on without it, and Cautions says so. A nil
// ProcessLock keeps nobody out.
type ProcessLock struct {
	place
	poll, slice, patience time.Duration
	gate                  *Gate

	mu       sync.Mutex
	inside   int
	taking   bool
	since    time.Time
	file     *os.File
	change   chan struct{} // closed when inside becomes 0, or when this process has got the lock
	moved    time.Time     // when the operation that waits for the lock last saw that others take turns
	last     record        // what the file had after this process's last turn
	marks    bool          // there is a lock that others may have, so that those who write without it tell them
	yield    bool          // the last turn used up its slice, so that other processes come first
	held     *grip         // who held the lock for longer than patience, and may still; nil for nobody
	cautions []string
	readable map[string]bool // files of objects that this user may read
}

// record is what the processes tell each other in the file.
type record struct {
	turns uint64 // how many turns all processes have had
	mark  uint64 // another one after each operation that writes without the lock
}

// grip is a hold of the lock that outlasted an operation's patience.
type grip struct {
	file  os.FileInfo
	pid   int // 0 where the system does not tell
	turns uint64
}

// is says that two are one hold, as far as the system shows it.
func (g *grip) is(other *grip) bool {
	return g != nil && g.pid == other.pid && g.turns == other.turns && os.SameFile(g.file, other.file)
}

const (
	lockPoll = 20 * time.Millisecond
	// lockSlice is how long a process may keep others out. Then it lets no more operations in, and gives the lock away
	// once those inside have finished.
	lockSlice = 30 * time.Second
	// lockPatience is how long an operation waits while no other process gets the lock or gives it away.
	lockPatience = 2 * time.Minute
	// lockRounds is how often a lock that somebody takes away is opened again.
	lockRounds = 5
)

// locks are the process's locks, by path.
var locks sync.Map // string -> *ProcessLock

// LockOf gives the process's lock for a token. The module and the slot do not matter; the module's parameters do where
// they say where the token's files lie.
func LockOf(token cryptoki.TokenInfo, parameters string, files quirk.Files) *ProcessLock {
	p := placeOf(token, parameters, files)
	lock, _ := locks.LoadOrStore(p.path(), &ProcessLock{
		place: p, poll: lockPoll, slice: lockSlice, patience: lockPatience, gate: GateOf(token),
	})
	return lock.(*ProcessLock)
}

// Cautions are what its user has to know: sentences on why nothing, or not enough, keeps other processes from writing
// to the token at the same time.
func (l *ProcessLock) Cautions() []string {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.cautions)
}

func (l *ProcessLock) caution(format string, values ...any) {
	text := fmt.Sprintf(format, values...)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.cautions, text) {
		l.cautions = append(l.cautions, text)
	}
}

// Stir has SoftHSM look at the token's files at the next search, so that it shows what others have written meanwhile.
// It does nothing where the files are not known, and while the module is in a call that hangs: that may have locked the
// file of the count, and this process's locks of it end when anybody in the process closes it.
func (l *ProcessLock) Stir(ctx context.Context) {
	if l == nil || !l.token {
		return
	}
	// As a call that writes, it is in the module's place alone.
	err := l.gate.Pass(ctx, &cryptoki.Call{Function: "generation"}, func() error {
		if l.gate.hangs() {
			return nil
		}
		return bump(l.folder)
	})
	if err != nil && ctx.Err() == nil {
		l.caution("SoftHSM cannot be made to look again at what other processes write: %v.", err)
	}
}

// Unreadable is how many objects of the token this user may not read. Nobody can tell which IDs they have.
func (l *ProcessLock) Unreadable() int {
	if l == nil || !l.token {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readable == nil {
		l.readable = map[string]bool{}
	}
	return unreadable(l.folder, l.readable)
}

// Enter waits until this process may write. othersWrote says that another process may have written since this
// process's last turn. Only the first who enters gets to know that.
//
// One operation waits for the lock, and others of the process wait for that one. Each has a patience of its own, after
// which it goes on without the lock.
func (l *ProcessLock) Enter(ctx context.Context) (leave func(), othersWrote bool, err error) {
	if l == nil {
		return func() {}, false, nil
	}
	patience, begun := l.patienceOf(ctx), time.Now()
	for {
		l.mu.Lock()
		left := patience - time.Since(begun)
		if l.taking {
			left = max(left, patience-time.Since(l.moved))
		}
		switch {
		case l.inside > 0 && (time.Since(l.since) < l.slice || left <= 0):
			return l.join(false)
		case l.inside == 0 && !l.taking:
			l.taking, l.moved = true, time.Now()
			if l.yield {
				l.mu.Unlock()
				time.Sleep(3 * l.poll)
				l.mu.Lock()
				l.yield = false
			}
			l.mu.Unlock()
			file, err := l.lock(ctx)
			l.mu.Lock()
			l.taking = false
			l.signal()
			if err != nil {
				l.mu.Unlock()
				return nil, false, err
			}
			l.file = file
			return l.join(l.count())
		case left <= 0:
			l.mu.Unlock()
			l.passedBy(l.who(), patience)
			l.mu.Lock()
			return l.join(true)
		}
		if l.change == nil {
			l.change = make(chan struct{})
		}
		change, taking := l.change, l.taking
		l.mu.Unlock()
		select {
		case <-change:
		case <-time.After(left):
		case <-ctx.Done():
			if taking {
				return nil, false, l.keptOut(ctx)
			}
			return nil, false, fmt.Errorf("other operations of this process on the token are still running: %w",
				context.Cause(ctx))
		}
	}
}

// patienceOf is how long an operation waits at most: half of the time that it has.
func (l *ProcessLock) patienceOf(ctx context.Context) time.Duration {
	if end, ok := ctx.Deadline(); ok {
		return min(l.patience, time.Until(end)/2)
	}
	return l.patience
}

// join lets an operation in. The caller has locked l.mu, which join unlocks.
func (l *ProcessLock) join(othersWrote bool) (func(), bool, error) {
	if l.inside++; l.inside == 1 {
		l.since = time.Now()
	}
	silent := l.file != nil || !l.marks
	l.mu.Unlock()
	if silent {
		return l.leave, othersWrote, nil
	}
	l.mark()
	return func() { l.mark(); l.leave() }, othersWrote, nil
}

// mark tells the next one that has the lock that somebody writes without it.
func (l *ProcessLock) mark() {
	file, err := openLock(l.place)
	if err != nil {
		return
	}
	var word [8]byte
	_, _ = rand.Read(word[:]) // never fails
	_, _ = file.WriteAt(word[:], markAt)
	_ = file.Close()
}

// count notes this turn in the file, and says whether another process may have had a turn since the last one.
func (l *ProcessLock) count() (others bool) {
	if l.file == nil {
		return true
	}
	now := recordIn(l.file)
	others = now != l.last
	now.turns++
	l.last = now
	if _, err := l.file.WriteAt(binary.LittleEndian.AppendUint64(nil, now.turns), 0); err != nil {
		l.last = record{} // so that the next turn says that others may have written
	}
	return others
}

func (l *ProcessLock) signal() {
	if l.change != nil {
		close(l.change)
		l.change = nil
	}
}

func (l *ProcessLock) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inside--; l.inside > 0 {
		return
	}
	l.yield = time.Since(l.since) >= l.slice
	if l.file != nil {
		_ = l.file.Close() // unlocks
		l.file = nil
	}
	l.signal()
}

// lock waits for the file's lock. It gives nil where there can be none, and where nobody makes way.
func (l *ProcessLock) lock(ctx context.Context) (*os.File, error) {
	file, err := openLock(l.place)
	l.mu.Lock()
	l.marks = err == nil
	l.mu.Unlock()
	if err != nil {
		l.none(err)
		return nil, nil
	}
	if l.own {
		l.caution("The lock that keeps other processes from writing to the token at the same time is %s, which serves this "+
			"user on this machine alone: %v.", l.path(), l.why)
	}
	if openToAll(l.place) {
		l.caution("Any user may write to %s, and so take away the lock there that keeps other processes from writing to the "+
			"token at the same time.", l.folder)
	}
	patience, before, since := l.patienceOf(ctx), recordIn(file), time.Now()
	for rounds := 0; ; {
		locked, err := tryLock(file)
		switch {
		case err != nil:
			l.none(err)
			_ = file.Close()
			return nil, nil
		case locked && l.stillThere(file):
			l.held = nil
			return file, nil
		case locked: // somebody took the file away: others meet at another one
			_ = file.Close()
			if rounds++; rounds == lockRounds {
				l.none(fmt.Errorf("somebody takes %s away again and again", l.path()))
				return nil, nil
			}
			if file, err = openLock(l.place); err != nil {
				l.none(err)
				return nil, nil
			}
			before = recordIn(file)
		default:
			if now := recordIn(file); now.turns != before.turns {
				before, since = now, time.Now()
				l.sawATurn()
			}
			if l.held != nil && !l.held.is(l.gripOf(file)) {
				l.held = nil
			}
			if time.Since(since) >= patience && l.held == nil {
				l.held = l.gripOf(file)
				l.passedBy(l.who(), patience)
			}
			if l.held != nil {
				_ = file.Close()
				return nil, nil
			}
		}
		select {
		case <-time.After(l.poll):
		case <-ctx.Done():
			_ = file.Close()
			return nil, l.keptOut(ctx)
		}
	}
}

// sawATurn notes that those who hold the lock make way for each other.
func (l *ProcessLock) sawATurn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.moved = time.Now()
}

// gripOf is who holds the lock of a file now. Only the one that is taking the lock calls it.
func (l *ProcessLock) gripOf(file *os.File) *grip {
	info, _ := file.Stat() // nil is no file
	return &grip{info, holder(l.path()), recordIn(file).turns}
}

// none says why there is no lock.
func (l *ProcessLock) none(why error) {
	l.caution("There is no lock that keeps other processes from writing to the token at the same time: %v.", why)
}

// passedBy says that an operation no longer waits for the one that holds the lock.
func (l *ProcessLock) passedBy(who string, patience time.Duration) {
	l.caution("%s did not make way for %s, so that operations went on without the lock that keeps other processes "+
		"from writing to the token at the same time.", who, max(patience, 0).Round(time.Second))
}

// keptOut is why an operation did not get in before its context ended.
func (l *ProcessLock) keptOut(ctx context.Context) error {
	return fmt.Errorf("another process kept writing to the token: %s: %w", l.who(), context.Cause(ctx))
}

// stillThere says that the file is the one that others open by now.
func (l *ProcessLock) stillThere(file *os.File) bool {
	mine, err := file.Stat()
	now, err2 := os.Lstat(l.path())
	return err == nil && err2 == nil && os.SameFile(mine, now)
}

// who names the one that has the lock.
func (l *ProcessLock) who() string {
	if pid := holder(l.path()); pid > 0 {
		return fmt.Sprintf("process %d, which holds %s,", pid, l.path())
	}
	return fmt.Sprintf("the process that holds %s", l.path())
}

// markAt is where the mark is in the file, behind the turns.
const markAt = 8

// recordIn is what the file has. What a new file lacks reads as 0.
func recordIn(file *os.File) record {
	var text [16]byte
	_, _ = file.ReadAt(text[:], 0)
	return record{binary.LittleEndian.Uint64(text[:]), binary.LittleEndian.Uint64(text[markAt:])}
}
