//go:build unix

package softhsm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// process is a lock as another process of this machine has it.
func process(path string, slice time.Duration) *ProcessLock {
	p := place{folder: filepath.Dir(path), name: filepath.Base(path)}
	return &ProcessLock{place: p, poll: lockPoll, slice: slice, patience: time.Minute}
}

func enter(t *testing.T, l *ProcessLock) (leave func(), othersWrote bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	leave, othersWrote, err := l.Enter(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return leave, othersWrote
}

// refused says that nobody enters for now.
func refused(t *testing.T, l *ProcessLock) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer time.AfterFunc(5*lockPoll, cancel).Stop()
	leave, _, err := l.Enter(ctx)
	if err == nil {
		leave()
		return false
	}
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	return true
}

func TestOneProcessWritesAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	one, other := process(path, time.Minute), process(path, time.Minute)
	first, _ := enter(t, one)
	second, _ := enter(t, one) // all of a process may
	if !refused(t, other) {
		t.Error("two processes write")
	}
	first()
	if !refused(t, other) {
		t.Error("another process writes while one of this is not done")
	}
	second()
	leave, _ := enter(t, other)
	if !refused(t, one) {
		t.Error("the first process writes beside the other")
	}
	leave()
}

func TestWhatAnotherProcessWroteIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	one, other := process(path, time.Minute), process(path, time.Minute)
	turn := func(name string, l *ProcessLock, want bool) {
		t.Helper()
		leave, wrote := enter(t, l)
		leave()
		if wrote != want {
			t.Errorf("%s: others have written: %t", name, wrote)
		}
	}
	turn("the first of all", one, false)
	turn("the same again", one, false)
	turn("another process", other, true)
	turn("the same again", other, false)
	turn("the first after the other", one, true)
	turn("the same again", one, false)

	leave, _ := enter(t, one)
	again, wrote := enter(t, one)
	if wrote {
		t.Error("who joins is told of others, which the first has been told of")
	}
	again()
	leave()
}

func TestAProcessLetsOthersInWhenItsSliceIsOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	one, other := process(path, 200*time.Millisecond), process(path, time.Minute)
	one.poll, other.poll = time.Second, time.Millisecond // so that a busy machine does not decide who comes first
	leave, _ := enter(t, one)
	time.Sleep(250 * time.Millisecond)
	if !refused(t, one) {
		t.Error("the slice is over, and more of the process join those inside")
	}
	entered := make(chan func())
	go func() {
		leave, _, err := other.Enter(context.Background())
		if err != nil {
			t.Error(err)
		}
		entered <- leave
	}()
	time.Sleep(100 * time.Millisecond) // the other waits for the lock by now
	leave()
	mine := make(chan func())
	go func() {
		leave, _, err := one.Enter(context.Background())
		if err != nil {
			t.Error(err)
		}
		mine <- leave
	}()
	select {
	case leave := <-entered:
		leave()
	case <-mine:
		t.Error("the process whose slice is over comes first again")
	}
	select {
	case leave := <-mine:
		leave()
	case <-time.After(20 * time.Second):
		t.Error("it never comes in again")
	}
}

// TestWhatStandsInTheLocksPlace has something stand there that cannot be trusted. Operations go on, and say so.
func TestWhatStandsInTheLocksPlace(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	for name, c := range map[string]struct {
		put  func(path string) error
		says string
	}{
		"a folder":            {func(path string) error { return os.Mkdir(path, 0o700) }, "is a directory"},
		"a link to a file":    {func(path string) error { return os.Symlink(os.Args[0], path) }, "symbolic links"},
		"a dangling link":     {func(path string) error { return os.Symlink(elsewhere, path) }, "symbolic links"},
		"a pipe":              {func(path string) error { return unix.Mkfifo(path, 0o600) }, "not a file"},
		"a file for everyone": {func(path string) error { return errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, 0o666)) }, "any user may open it"},
		"another user's file": {func(path string) error {
			if os.Geteuid() != 0 {
				t.Skip("only root gives files away")
			}
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Chown(path, 65534, 65534))
		}, "another user"},
		"no folder": {func(path string) error { return os.Remove(filepath.Dir(path)) }, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "token")
			path := filepath.Join(folder, "lock")
			if err := errors.Join(os.Mkdir(folder, 0o700), os.Chmod(folder, 0o711), c.put(path)); err != nil {
				t.Fatal(err)
			}
			one, other := process(path, time.Minute), process(path, time.Minute)
			leave, wrote := enter(t, one)
			beside, _ := enter(t, other)
			if !wrote {
				t.Error("nothing shows that nobody else has written")
			}
			if said := strings.Join(one.Cautions(), "\n"); !strings.Contains(said, c.says) || !strings.Contains(said, "There is no lock") {
				t.Errorf("the caution is %q", said)
			}
			if _, err := os.Lstat(elsewhere); err == nil {
				t.Error("something was made behind a link")
			}
			beside()
			leave()
		})
	}
	var none *ProcessLock
	leave, wrote := enter(t, none)
	leave()
	if wrote || len(none.Cautions()) > 0 {
		t.Error("no lock, and others are said to write")
	}
}

// TestALockThatIsNeverGivenAway is held by a stranger, who takes no turns.
func TestALockThatIsNeverGivenAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	one := process(path, time.Minute)
	leave, _ := enter(t, one)
	leave()
	stranger, err := os.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(stranger.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	one.patience = 3 * lockPoll
	leave, wrote := enter(t, one)
	leave()
	want := fmt.Sprintf("process %d, which holds %s, did not make way", os.Getpid(), path)
	if runtime.GOOS != "linux" {
		want = "the process that holds " + path
	}
	if said := strings.Join(one.Cautions(), "\n"); !wrote || !strings.Contains(said, want) {
		t.Errorf("others have written: %t; the caution is %q", wrote, said)
	}
	one.patience = time.Minute // which it does not wait again
	start := time.Now()
	leave, _ = enter(t, one)
	leave()
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("it waited again for %s", took)
	}
	other := process(path, time.Minute)
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(2*lockPoll, cancel)
	if _, _, err := other.Enter(ctx); err == nil || !strings.Contains(err.Error(), "holds "+path) {
		t.Errorf("who waits is told %v", err)
	}
	// Half of the time that an operation has is for the wait.
	soon, stop := context.WithTimeout(context.Background(), 10*lockPoll)
	defer stop()
	if leave, _, err = other.Enter(soon); err != nil || soon.Err() != nil {
		t.Errorf("an operation with little time: %v", err)
	}
	leave()
	_ = stranger.Close()
	leave, _ = enter(t, one)
	if one.file == nil {
		t.Error("the lock is free again, and not taken")
	}
	leave()
}

// TestAWaiterSeesTurns waits for longer than its patience while others come and go.
func TestAWaiterSeesTurns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	one, other := process(path, time.Minute), process(path, time.Minute)
	other.patience = 2 * time.Second
	leave, _ := enter(t, one)
	done := make(chan error)
	go func() {
		leave, _, err := other.Enter(context.Background())
		if err == nil {
			leave()
		}
		done <- err
	}()
	for i := range uint64(5) {
		time.Sleep(other.patience / 4)
		var count [8]byte
		binary.LittleEndian.PutUint64(count[:], 100+i)
		if _, err := one.file.WriteAt(count[:], 0); err != nil {
			t.Fatal(err)
		}
	}
	leave()
	if err := <-done; err != nil || len(other.Cautions()) > 0 {
		t.Errorf("%v, %v", err, other.Cautions())
	}
}

func TestALockThatIsTakenAwayIsOpenedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	one, other := process(path, time.Minute), process(path, time.Minute)
	leave, _ := enter(t, one)
	if !refused(t, other) { // it has the file open while it waits
		t.Error("two processes write")
	}
	entered := make(chan struct{})
	go func() {
		leave, _ := enter(t, other)
		close(entered)
		time.Sleep(5 * lockPoll)
		leave()
	}()
	time.Sleep(3 * lockPoll)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	leave()
	<-entered
	third := process(path, time.Minute)
	if !refused(t, third) {
		t.Error("the file was taken away, and two processes write")
	}
}

// TestALockIsForThoseWhoShareTheFolder has root make the lock in another user's folder, or in a group's.
func TestALockIsForThoseWhoShareTheFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives folders away")
	}
	for mode, want := range map[os.FileMode]os.FileMode{0o700: 0o600, 0o770: 0o660, 0o750: 0o600} {
		folder := filepath.Join(t.TempDir(), "token")
		if err := errors.Join(os.Mkdir(folder, mode), os.Chmod(folder, mode), os.Chown(folder, 65534, 65533)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, "lock")
		l := process(path, time.Minute)
		leave, _ := enter(t, l)
		leave()
		var stat unix.Stat_t
		if err := unix.Stat(path, &stat); err != nil {
			t.Fatal(err)
		}
		if got := os.FileMode(stat.Mode & 0o777); stat.Uid != 65534 || stat.Gid != 65533 || got != want || len(l.Cautions()) > 0 {
			t.Errorf("in a folder %o, the lock is %o of %d and %d: %v", mode, got, stat.Uid, stat.Gid, l.Cautions())
		}
	}
}

func TestAFolderForEveryoneIsToldOf(t *testing.T) {
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	l := process(filepath.Join(folder, "lock"), time.Minute)
	leave, _ := enter(t, l)
	leave()
	if said := strings.Join(l.Cautions(), "\n"); !strings.Contains(said, "Any user may write to "+folder) {
		t.Errorf("the caution is %q", said)
	}
}
