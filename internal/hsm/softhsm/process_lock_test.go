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
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
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
		"a folder":         {func(path string) error { return os.Mkdir(path, 0o700) }, "is a directory"},
		"a link to a file": {func(path string) error { return os.Symlink(os.Args[0], path) }, "symbolic links"},
		"a dangling link":  {func(path string) error { return os.Symlink(elsewhere, path) }, "symbolic links"},
		"a pipe":           {func(path string) error { return unix.Mkfifo(path, 0o600) }, "not a file"},
		"a file with another name": {func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Link(path, path+".too"))
		}, "a second name"},
		"a file for a group": {func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, 0o660))
		}, "its group"},
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
	synctest.Test(t, func(t *testing.T) {
		one, other := process(path, time.Minute), process(path, time.Minute)
		leave, _ := enter(t, one)
		done := make(chan error, 2)
		for range cap(done) { // one waits for the lock, the second for the first
			go func() {
				leave, _, err := other.Enter(context.Background())
				if err == nil {
					leave()
				}
				done <- err
			}()
		}
		for i := range uint64(5) {
			time.Sleep(other.patience / 4)
			takeTurn(t, one.file, 100+i)
		}
		leave()
		if err := errors.Join(<-done, <-done); err != nil || len(other.Cautions()) > 0 {
			t.Errorf("%v, %v", err, other.Cautions())
		}
	})
}

// takeTurn writes how many turns all processes have had.
func takeTurn(t *testing.T, file *os.File, turns uint64) {
	t.Helper()
	if _, err := file.WriteAt(binary.LittleEndian.AppendUint64(nil, turns), 0); err != nil {
		t.Error(err)
	}
}

// TestWhoWaitsForAWaiterHasPatienceOfItsOwn has an operation with little time come behind one with much.
func TestWhoWaitsForAWaiterHasPatienceOfItsOwn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	synctest.Test(t, func(t *testing.T) {
		stranger, one := process(path, time.Hour), process(path, time.Hour)
		gone, _ := enter(t, stranger)
		one.patience = 2 * time.Minute
		taken := make(chan func())
		go func() {
			leave, wrote, err := one.Enter(context.Background())
			if err != nil || !wrote {
				t.Errorf("the one with much time: %v, others have written: %t", err, wrote)
			}
			taken <- leave
		}()
		synctest.Wait()
		start := time.Now()
		soon, stop := context.WithTimeout(context.Background(), 10*time.Second)
		defer stop()
		leave, wrote, err := one.Enter(soon)
		if took := time.Since(start); err != nil || !wrote || took != 5*time.Second {
			t.Fatalf("the one with little time: %v after %s, others have written: %t", err, took, wrote)
		}
		said := strings.Join(one.Cautions(), "\n")
		if !strings.Contains(said, "holds "+path) || !strings.Contains(said, "5s") {
			t.Errorf("the caution is %q", said)
		}
		leave()
		ended, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Second, cancel)
		if _, _, err := one.Enter(ended); err == nil || !strings.Contains(err.Error(), "holds "+path) {
			t.Errorf("who waits for a waiter is told %v", err)
		}
		gone()
		(<-taken)()
		if one.inside != 0 || one.file != nil {
			t.Errorf("%d are inside, with the lock %v", one.inside, one.file)
		}
	})
}

// TestPatienceComesBack has somebody hold the lock for too long, and then others take turns at it.
func TestPatienceComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	synctest.Test(t, func(t *testing.T) {
		stranger, one := process(path, time.Hour), process(path, time.Hour)
		gone, _ := enter(t, stranger)
		waits := func(want time.Duration) {
			t.Helper()
			start := time.Now()
			leave, _, err := one.Enter(context.Background())
			if took := time.Since(start); err != nil || took < want || took > want+time.Second {
				t.Errorf("it waited %s: %v", took, err)
			}
			leave()
		}
		waits(one.patience)
		waits(0)
		takeTurn(t, stranger.file, 100)
		waits(one.patience)
		waits(0)
		gone()
		waits(0)
		if one.held != nil {
			t.Error("the lock was free, and is said to be held")
		}
	})
}

// TestWhoWritesWithoutTheLockIsSeen by the next one that has it.
func TestWhoWritesWithoutTheLockIsSeen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	synctest.Test(t, func(t *testing.T) {
		holder, one := process(path, time.Hour), process(path, time.Hour)
		turn := func(want bool) {
			t.Helper()
			leave, wrote := enter(t, holder)
			leave()
			if wrote != want {
				t.Errorf("others have written: %t", wrote)
			}
		}
		turn(false)
		turn(false)
		busy, _ := enter(t, holder)
		without, wrote, err := one.Enter(context.Background())
		if err != nil || !wrote || one.file != nil {
			t.Fatalf("%v, others have written: %t, the lock %v", err, wrote, one.file)
		}
		busy()
		turn(true) // it has begun
		turn(false)
		without()
		turn(true) // it has ended
		turn(false)
	})
}

// TestALockThatIsAlwaysTakenAway is opened in one folder, and never is where others meet.
func TestALockThatIsAlwaysTakenAway(t *testing.T) {
	folder, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "below")
	if err := errors.Join(os.Mkdir(elsewhere, 0o700), os.Symlink(elsewhere, filepath.Join(folder, "link"))); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		one := process(filepath.Join(folder, "lock"), time.Minute)
		one.name = "link/../lock" // which a folder's path has no link for
		ended, cancel := context.WithCancel(context.Background())
		time.AfterFunc(lockPoll, cancel)
		if _, _, err := one.Enter(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("its context ended, and it says %v", err)
		}
		start := time.Now()
		leave, wrote := enter(t, one)
		leave()
		if took := time.Since(start); took != (lockRounds-1)*lockPoll || !wrote {
			t.Errorf("it took %s; others have written: %t", took, wrote)
		}
		if said := strings.Join(one.Cautions(), "\n"); !strings.Contains(said, "again and again") {
			t.Errorf("the caution is %q", said)
		}
	})
}

func TestALockThatIsTakenAwayIsOpenedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	one, other := process(path, time.Minute), process(path, time.Minute)
	leave, _ := enter(t, one)
	if !refused(t, other) { // it has the file open while it waits
		t.Error("two processes write")
	}
	entered, done := make(chan struct{}), make(chan struct{})
	go func() {
		leave, _ := enter(t, other)
		close(entered)
		<-done
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
	close(done)
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

// TestNobodyCountsWhileACallHangs has a call that was written off be in the module, which may have locked the count.
func TestNobodyCountsWhileACallHangs(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "generation")
	count := func() uint64 {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return binary.BigEndian.Uint64(text)
	}
	if err := os.WriteFile(path, make([]byte, 8), 0o600); err != nil {
		t.Fatal(err)
	}
	l := process(filepath.Join(folder, "lock"), time.Minute)
	l.token, l.gate = true, newGate(20*time.Millisecond)
	inside, end, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		_ = l.gate.Pass(context.Background(), &cryptoki.Call{Function: "C_DestroyObject"}, func() error {
			close(inside)
			<-end
			return nil
		})
		close(done)
	}()
	<-inside
	l.Stir(context.Background())
	if n := count(); n != 0 {
		t.Errorf("beside a call that hangs, the count became %d", n)
	}
	close(end)
	<-done
	l.Stir(context.Background())
	if n := count(); n != 1 {
		t.Errorf("the call has ended, and the count is %d", n)
	}
	if said := l.Cautions(); len(said) > 0 {
		t.Errorf("cautions %v", said)
	}
}
