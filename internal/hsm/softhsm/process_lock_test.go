package softhsm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// process is a lock as another process of this machine has it.
func process(path string, slice time.Duration) *ProcessLock {
	return &ProcessLock{path: path, poll: lockPoll, slice: slice}
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
	ctx, cancel := context.WithTimeout(context.Background(), 5*lockPoll)
	defer cancel()
	leave, _, err := l.Enter(ctx)
	if err == nil {
		leave()
		return false
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	return true
}

func TestOneProcessWritesAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "lock")
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

func TestWithoutALockThingsGoOn(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"a folder that cannot be made": filepath.Join(file, "lock"),
		"a folder in its place":        folder,
	} {
		one, other := process(path, time.Minute), process(path, time.Minute)
		leave, wrote := enter(t, one)
		beside, _ := enter(t, other)
		if !wrote {
			t.Errorf("%s: nothing shows that nobody else has written", name)
		}
		beside()
		leave()
	}
	var none *ProcessLock
	leave, wrote := enter(t, none)
	leave()
	if wrote {
		t.Error("no lock, and others are said to write")
	}
}
