//go:build unix

package softhsm

import (
	"os"
	"syscall"
)

// openLock opens a lock's file, and makes it if it does not exist. It does not follow a link.
func openLock(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
}

// tryLock locks a file until it is closed. It is false, without an error, while another process has the lock.
func tryLock(file *os.File) (bool, error) {
	switch err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err {
	case nil:
		return true, nil
	case syscall.EWOULDBLOCK, syscall.EINTR:
		return false, nil
	default:
		return false, err
	}
}
