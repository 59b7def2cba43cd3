package softhsm

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWhatThisUserMayNotRead is asked of the system once for each file that can be read.
func TestWhatThisUserMayNotRead(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root becomes another user")
	}
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
	as := func(user int) (n int) {
		t.Helper()
		runtime.LockOSThread() // whose user it is; the thread ends with the goroutine
		if _, _, failed := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(user), ^uintptr(0)); failed != 0 {
			t.Fatal(failed)
		}
		n = unreadable(folder, readable)
		_, _, _ = unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), 0, ^uintptr(0))
		runtime.UnlockOSThread()
		return n
	}
	for above := folder; above != os.TempDir() && above != "/"; above = filepath.Dir(above) {
		if err := os.Chmod(above, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if n := as(65534); n != 1 || !readable["a.object"] || len(readable) != 1 {
		t.Errorf("%d cannot be read, and %v can", n, readable)
	}
	write("c.object", 0o600)
	if n := as(65534); n != 2 {
		t.Errorf("beside one more file, %d cannot be read", n)
	}
	if n := as(0); n != 0 || len(readable) != 3 {
		t.Errorf("root: %d cannot be read, and %v can", n, readable)
	}
}
