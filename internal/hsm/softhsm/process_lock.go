package softhsm

import (
	"context"
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
	turns    uint64        // how many turns all processes had had after this one's last turn; the file has the count
	yield    bool          // the last turn used up its slice, so that other processes come first
	held     bool          // somebody held the lock for longer than patience, and may still
	cautions []string
}

const (
	lockPoll = 20 * time.Millisecond
	// lockSlice is how long a process may keep others out. Then it lets no more operations in, and gives the lock away
	// once those inside have finished.
	lockSlice = 30 * time.Second
	// lockPatience is how long an operation waits while no other process gets the lock or gives it away.
	lockPatience = 2 * time.Minute
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
// It does nothing where the files are not known.
func (l *ProcessLock) Stir(ctx context.Context) {
	if l == nil || !l.token {
		return
	}
	// As a call that writes, it is in the module's place alone.
	err := l.gate.Pass(ctx, &cryptoki.Call{Function: "generation"}, func() error { return bump(l.folder) })
	if err != nil && ctx.Err() == nil {
		l.caution("SoftHSM cannot be made to look again at what other processes write: %v.", err)
	}
}

// Unreadable is how many objects of the token this user may not read. Nobody can tell which IDs they have.
func (l *ProcessLock) Unreadable() int {
	if l == nil || !l.token {
		return 0
	}
	return unreadable(l.folder)
}

// Enter waits until this process may write. othersWrote says that another process may have written since this
// process's last turn. Only the first who enters gets to know that.
func (l *ProcessLock) Enter(ctx context.Context) (leave func(), othersWrote bool, err error) {
	if l == nil {
		return func() {}, false, nil
	}
	for {
		l.mu.Lock()
		switch {
		case l.inside > 0 && time.Since(l.since) < l.slice:
			l.inside++
			l.mu.Unlock()
			return l.leave, false, nil
		case l.inside == 0 && !l.taking:
			l.taking = true
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
			if err == nil {
				l.inside, l.since, l.file = 1, time.Now(), file
				othersWrote = l.count()
			}
			l.signal()
			l.mu.Unlock()
			return l.leave, othersWrote, err
		}
		if l.change == nil {
			l.change = make(chan struct{})
		}
		change := l.change
		l.mu.Unlock()
		select {
		case <-change:
		case <-ctx.Done():
			return nil, false, fmt.Errorf("other operations of this process on the token are still running: %w",
				context.Cause(ctx))
		}
	}
}

// count notes this turn in the file, and says whether another process may have had a turn since the last one.
func (l *ProcessLock) count() (others bool) {
	if l.file == nil {
		return true
	}
	var last [8]byte
	turns := turnsIn(l.file)
	others = turns != l.turns
	l.turns = turns + 1
	binary.LittleEndian.PutUint64(last[:], l.turns)
	if _, err := l.file.WriteAt(last[:], 0); err != nil {
		l.turns = 0 // so that the next turn says that others may have written
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
	if err != nil {
		l.caution("There is no lock that keeps other processes from writing to the token at the same time: %v.", err)
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
	patience := l.patience
	if end, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(end)/2)
	}
	if l.held {
		patience = 0
	}
	turns, since := turnsIn(file), time.Now()
	for {
		locked, err := tryLock(file)
		switch {
		case err != nil:
			l.caution("There is no lock that keeps other processes from writing to the token at the same time: %v.", err)
			_ = file.Close()
			return nil, nil
		case locked && l.stillThere(file):
			l.held = false
			return file, nil
		case locked: // somebody took the file away: others meet at another one
			_ = file.Close()
			if file, err = openLock(l.place); err != nil {
				l.caution("There is no lock that keeps other processes from writing to the token at the same time: %v.", err)
				return nil, nil
			}
			continue
		}
		if now := turnsIn(file); now != turns {
			turns, since = now, time.Now()
		}
		if time.Since(since) >= patience {
			l.held = true
			l.caution("%s did not make way for %s, so that operations went on without the lock that keeps other processes "+
				"from writing to the token at the same time.", l.who(file), patience.Round(time.Second))
			_ = file.Close()
			return nil, nil
		}
		select {
		case <-time.After(l.poll):
		case <-ctx.Done():
			who := l.who(file)
			_ = file.Close()
			return nil, fmt.Errorf("another process kept writing to the token: %s: %w", who, context.Cause(ctx))
		}
	}
}

// stillThere says that the file is the one that others open by now.
func (l *ProcessLock) stillThere(file *os.File) bool {
	mine, err := file.Stat()
	now, err2 := os.Lstat(l.path())
	return err == nil && err2 == nil && os.SameFile(mine, now)
}

// who names the one that has the lock.
func (l *ProcessLock) who(file *os.File) string {
	if pid := holder(file); pid > 0 {
		return fmt.Sprintf("process %d, which holds %s,", pid, l.path())
	}
	return fmt.Sprintf("the process that holds %s", l.path())
}

// turnsIn is how many turns all processes have had. A new file is empty, which reads as 0.
func turnsIn(file *os.File) uint64 {
	var count [8]byte
	_, _ = file.ReadAt(count[:], 0)
	return binary.LittleEndian.Uint64(count[:])
}
