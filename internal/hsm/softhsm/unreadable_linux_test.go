package softhsm

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// as does something as another user, whom it lets come to the folder.
func as(t *testing.T, user int, folder string, do func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root becomes another user")
	}
	for above := filepath.Dir(folder); above != os.TempDir() && above != "/"; above = filepath.Dir(above) {
		if err := os.Chmod(above, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	runtime.LockOSThread() // whose user it is; the thread ends with the goroutine
	if _, _, failed := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(user), ^uintptr(0)); failed != 0 {
		t.Fatal(failed)
	}
	do()
	_, _, _ = unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), 0, ^uintptr(0))
	runtime.UnlockOSThread()
}

const nobody = 65534

// TestAFolderOfTokensThatThisUserMayEnterAndNotList has such a folder, and one in it that may be listed.
func TestAFolderOfTokensThatThisUserMayEnterAndNotList(t *testing.T) {
	folder := t.TempDir()
	inner := filepath.Join(folder, "inner")
	if err := errors.Join(os.Mkdir(inner, 0o755), os.Chmod(inner, 0o755), os.Chmod(folder, 0o711)); err != nil {
		t.Fatal(err)
	}
	var outerErr, innerErr error
	as(t, nobody, folder, func() { outerErr, innerErr = Listable(folder), Listable(inner) })
	if !errors.Is(outerErr, fs.ErrPermission) || innerErr != nil {
		t.Errorf("the folder: %v; the one in it: %v", outerErr, innerErr)
	}
}

// TestWhatThisUserMayNotRead is asked of the system once for each file that can be read.
func TestWhatThisUserMayNotRead(t *testing.T) {
	folder := t.TempDir()
	write := func(name string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	write("a.object", 0o644)
	write("b.object", 0o600)
	write("b.lock", 0o600)
	readable := map[string]bool{}
	unreadableBy := func(user int) (n int) {
		t.Helper()
		as(t, user, folder, func() { n = unreadable(folder, readable) })
		return n
	}
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if n := unreadableBy(nobody); n != 1 || !readable["a.object"] || len(readable) != 1 {
		t.Errorf("%d cannot be read, and %v can", n, readable)
	}
	write("c.object", 0o600)
	if n := unreadableBy(nobody); n != 2 {
		t.Errorf("beside one more file, %d cannot be read", n)
	}
	if n := unreadableBy(0); n != 0 || len(readable) != 3 {
		t.Errorf("root: %d cannot be read, and %v can", n, readable)
	}
}
