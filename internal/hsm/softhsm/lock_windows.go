package softhsm

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/windows"
)

// openLock opens the file of a lock, and makes it if it does not exist. Who may do that, the folder's access list says.
func openLock(p place) (*os.File, error) {
	if p.own {
		if err := os.MkdirAll(p.folder, 0o700); err != nil {
			return nil, err
		}
	}
	if info, err := os.Lstat(p.path()); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: it is not a file", p.path())
	}
	return os.OpenFile(p.path(), os.O_RDWR|os.O_CREATE, 0o600)
}

// openToAll says that any user may put other files into the folder: what an access list says is not asked for.
func openToAll(place) bool { return false }

// tryLock locks a file until it is closed. It is false, without an error, while another process has the lock. The byte
// that it locks is behind those that are read and written.
func tryLock(file *os.File) (bool, error) {
	err := windows.LockFileEx(windows.Handle(file.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0,
		&windows.Overlapped{Offset: 1 << 20})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return false, nil
	}
	return err == nil, err
}

// holder is the process that has the lock: the system does not tell.
func holder(string) int { return 0 }

// bump is for the systems on which SoftHSM's way to lock its files is known. Here, SoftHSM looks when it does.
func bump(string) error { return nil }

// unreadable is for systems where each file says who may read it.
func unreadable(string, map[string]bool) int { return 0 }
