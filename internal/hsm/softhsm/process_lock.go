package softhsm

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// ProcessLock lets one process of this machine at a time make, move and destroy objects on a token. Within that
// process, all operations may. Without the lock, a process that has just written an object would not see what another
// process wrote at the same time: both would find an ID free, make a key with it, and see only their own. Where
// processes on several machines share a token, the operations themselves decide who keeps an ID.
//
// The lock is a file, which the operating system unlocks when the process dies. If there can be no such file, for
// instance in a folder that is not writable, operations go on without the lock. A nil ProcessLock keeps nobody out.
type ProcessLock struct {
	path        string
	poll, slice time.Duration

	mu     sync.Mutex
	inside int
	taking bool
	since  time.Time
	file   *os.File
	change chan struct{} // closed when inside becomes 0, or when this process has got the lock
	turns  uint64        // how many turns all processes had had after this one's last turn; the file has the count
	yield  bool          // the last turn used up its slice, so that other processes come first
}

const (
	lockPoll = 20 * time.Millisecond
	// lockSlice is how long a process may keep others out. Then it lets no more operations in, and gives the lock away
	// once those inside have finished.
	lockSlice = 30 * time.Second
)

// locks are the process's locks, by path.
var locks sync.Map // string -> *ProcessLock

// LockOf gives the process's lock for a token. The module and the slot do not matter.
func LockOf(token cryptoki.TokenInfo) *ProcessLock {
	name := sha256.Sum256([]byte(token.Identity()))
	path := filepath.Join(os.TempDir(), fmt.Sprintf("terraform-provider-hsm-%d", os.Getuid()), fmt.Sprintf("%x.lock", name[:16]))
	lock, _ := locks.LoadOrStore(path, &ProcessLock{path: path, poll: lockPoll, slice: lockSlice})
	return lock.(*ProcessLock)
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
	_, _ = l.file.ReadAt(last[:], 0) // a new file is empty, which reads as 0
	turns := binary.LittleEndian.Uint64(last[:])
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

// lock waits for the file's lock. It gives nil where there can be none.
func (l *ProcessLock) lock(ctx context.Context) (*os.File, error) {
	_ = os.MkdirAll(filepath.Dir(l.path), 0o700) // where that fails, so does what follows
	file, err := openLock(l.path)
	if err != nil {
		return nil, nil //nolint:nilerr // things go on without the lock, as the type's comment says
	}
	for {
		locked, err := tryLock(file)
		switch {
		case locked:
			return file, nil
		case err != nil:
			return nil, file.Close()
		}
		select {
		case <-time.After(l.poll):
		case <-ctx.Done():
			_ = file.Close()
			return nil, fmt.Errorf("another process on this machine kept writing to the token: %w", context.Cause(ctx))
		}
	}
}
