package hsm

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// writers lets one process of this machine at a time make and destroy objects on a token; within the process
// all may. A token needs no such thing by itself, but SoftHSM 2.6.1 does: a process that has just written an
// object does not see what another one wrote at the same time, so that both would find an ID free, make it, and
// see nobody's key but their own. Where processes of several machines share a token, contend decides.
//
// The lock is a file that the operating system unlocks when a process dies. Where it cannot be had, as in a
// folder that is not writable, things go on without it.
type writers struct {
	path string

	mu     sync.Mutex
	inside int
	taking bool
	since  time.Time
	file   *os.File
	change chan struct{} // closed when inside becomes 0, or the lock is had
	turns  uint64        // of all processes, up to this one's last; the file has them
	others int           // how often another process had the turn in between

	yield   bool // the last turn ended with its slice: others come first
	changes int  // that this process has made to the token's objects
}

const (
	writersPoll = 20 * time.Millisecond
	// writersSlice is how long a process may keep others out before it lets those inside finish, and others in.
	writersSlice = 30 * time.Second
)

var allWriters shared[writers]

// writersOf gives the process's lock of a token, whatever module and slot it is reached by.
func writersOf(token TokenInfo) *writers {
	name := sha256.Sum256([]byte(token.identity()))
	path := filepath.Join(os.TempDir(), fmt.Sprintf("terraform-provider-hsm-%d", os.Getuid()), fmt.Sprintf("%x.lock", name[:16]))
	return allWriters.of(path, func() *writers { return &writers{path: path} })
}

// entry is a turn at writing.
type entry struct {
	first  bool // nobody of this process was inside: what others wrote before has to be looked at
	others int  // differs from that of an earlier entry where another process has written since
}

// enter waits until this process may write.
func (w *writers) enter(ctx context.Context) (entry, error) {
	for {
		w.mu.Lock()
		switch {
		case w.inside > 0 && time.Since(w.since) < writersSlice:
			w.inside++
			e := entry{others: w.others}
			w.mu.Unlock()
			return e, nil
		case w.inside == 0 && !w.taking:
			w.taking = true
			if w.yield {
				w.mu.Unlock()
				time.Sleep(3 * writersPoll)
				w.mu.Lock()
				w.yield = false
			}
			w.mu.Unlock()
			file, err := w.lock(ctx)
			w.mu.Lock()
			w.taking = false
			if err == nil {
				w.inside, w.since, w.file = 1, time.Now(), file
				w.count()
			}
			e := entry{first: true, others: w.others}
			w.signal()
			w.mu.Unlock()
			return e, err
		}
		if w.change == nil {
			w.change = make(chan struct{})
		}
		change := w.change
		w.mu.Unlock()
		select {
		case <-change:
		case <-ctx.Done():
			return entry{}, fmt.Errorf("other operations of this process on the token have not ended: %w", context.Cause(ctx))
		}
	}
}

// count notes this turn in the file, and whether another process has had one since the last.
func (w *writers) count() {
	if w.file == nil {
		w.others++
		return
	}
	var last [8]byte
	_, _ = w.file.ReadAt(last[:], 0) // a new file is empty, which reads as 0
	if turns := binary.LittleEndian.Uint64(last[:]); turns != w.turns {
		w.turns = turns
		w.others++
	}
	w.turns++
	binary.LittleEndian.PutUint64(last[:], w.turns)
	if _, err := w.file.WriteAt(last[:], 0); err != nil {
		w.turns = 0 // the next turn takes it that others have written
	}
}

func (w *writers) signal() {
	if w.change != nil {
		close(w.change)
		w.change = nil
	}
}

func (w *writers) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.inside--; w.inside > 0 {
		return
	}
	w.yield = time.Since(w.since) >= writersSlice
	if w.file != nil {
		_ = w.file.Close() // unlocks
		w.file = nil
	}
	w.signal()
}

// lock waits for the file's lock; nil where there can be none.
func (w *writers) lock(ctx context.Context) (*os.File, error) {
	_ = os.MkdirAll(filepath.Dir(w.path), 0o700) // where that fails, so does what follows
	file, err := os.OpenFile(w.path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, nil //nolint:nilerr // things go on without the lock, as the type's comment says
	}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch err {
		case nil:
			return file, nil
		case syscall.EWOULDBLOCK, syscall.EINTR:
		default:
			return nil, file.Close()
		}
		select {
		case <-time.After(writersPoll):
		case <-ctx.Done():
			_ = file.Close()
			return nil, fmt.Errorf("another process of this machine has been writing to the token all the time: %w", context.Cause(ctx))
		}
	}
}

// wrote notes a change of objects that this Token made: those of old are no more, those of now are there.
func (t *Token) wrote(old, now []object) {
	t.changed()
	t.snapshot.wrote(old, now)
}

// failed notes a change of objects that may have been made, in part or in whole.
func (t *Token) failed() {
	t.changed()
	t.snapshot.drop()
}

func (t *Token) changed() {
	t.writers.mu.Lock()
	defer t.writers.mu.Unlock()
	t.writers.changes++
	t.changes++
}

// catchUp drops the snapshot where another Token of this process, as of a provider alias, has changed objects since.
func (t *Token) catchUp() {
	t.writers.mu.Lock()
	others := t.writers.changes - t.changes
	behind := others != t.othersChanges
	t.othersChanges = others
	t.writers.mu.Unlock()
	if behind {
		t.snapshot.drop()
	}
}

// write lets an operation make or destroy objects.
func (t *Token) write(ctx context.Context) (leave func(), err error) {
	e, err := t.writers.enter(ctx)
	if err != nil {
		return nil, err
	}
	if t.othersWrote.Swap(int64(e.others)) != int64(e.others) {
		t.snapshot.drop()
	}
	if e.first { // any search makes SoftHSM look what others have written
		if _, err := t.findOnce(ctx, []byte("terraform-provider-hsm")); err != nil {
			t.writers.leave()
			return nil, err
		}
	}
	return t.writers.leave, nil
}
