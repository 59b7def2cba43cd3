//go:build unix

package softhsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Permissions that matter.
const (
	readWriteOwner = 0o600
	readWriteGroup = 0o060
	anyGroup       = 0o070
	readWriteOther = 0o006
	writeGroup     = 0o020
	writeOther     = 0o002
	enterGroup     = 0o010
	enterOther     = 0o001
)

// openFolder opens a folder without following a link in its place, and says what it is.
func openFolder(p place) (fd int, stat unix.Stat_t, err error) {
	if p.own {
		if err := os.MkdirAll(filepath.Dir(p.folder), 0o700); err != nil {
			return -1, stat, err
		}
		if err := os.Mkdir(p.folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return -1, stat, err
		}
	}
	fd, err = unix.Open(p.folder, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.Fstat(fd, &stat)
	}
	if err != nil {
		return fd, stat, &fs.PathError{Op: "open", Path: p.folder, Err: err}
	}
	if p.own && (int(stat.Uid) != os.Geteuid() || stat.Mode&0o077 != 0) {
		return fd, stat, fmt.Errorf("%s belongs to another user, or others may use it", p.folder)
	}
	return fd, stat, nil
}

// openLock opens the file of a lock, and makes it if it does not exist. It follows no link, and trusts only what nobody
// can have put there or can hold who may not write to the folder.
func openLock(p place) (*os.File, error) {
	folder, about, err := openFolder(p)
	if folder >= 0 {
		defer unix.Close(folder)
	}
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(madeTime); ; time.Sleep(lockPoll) {
		fd, err := unix.Openat(folder, p.name, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOENT) {
			fd, err = makeLock(folder, p.name, about)
		}
		// Another user may just be making it, and has not let us use it yet.
		if (errors.Is(err, unix.EEXIST) || errors.Is(err, unix.EACCES)) && time.Now().Before(end) {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: p.path(), Err: err}
		}
		file := os.NewFile(uintptr(fd), p.path())
		if err := trusted(fd, about); err != nil {
			_ = file.Close()
			return nil, fmt.Errorf("%s: %w", p.path(), err)
		}
		return file, nil
	}
}

// madeTime is how long another user may take to make the lock.
const madeTime = 200 * time.Millisecond

// makeLock makes the file. It is for those who may write to the folder: its owner, and its group where that may.
func makeLock(folder int, name string, about unix.Stat_t) (int, error) {
	fd, err := unix.Openat(folder, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, readWriteOwner)
	if err != nil {
		return -1, err
	}
	if os.Geteuid() == 0 {
		err = unix.Fchown(fd, int(about.Uid), int(about.Gid))
	} else {
		_ = unix.Fchown(fd, -1, int(about.Gid)) // a group that is not ours cannot be shared with
	}
	if mode := uint32(readWriteOwner); err == nil && about.Mode&writeGroup != 0 {
		err = unix.Fchmod(fd, mode|readWriteGroup)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// trusted is an error for what is no file of ours or of another who may write to the folder, and for what a stranger
// could hold.
func trusted(fd int, folder unix.Stat_t) error {
	var file unix.Stat_t
	if err := unix.Fstat(fd, &file); err != nil {
		return err
	}
	owner := int(file.Uid) == os.Geteuid() || file.Uid == 0 || file.Uid == folder.Uid
	switch {
	case file.Mode&unix.S_IFMT != unix.S_IFREG:
		return errors.New("it is not a file")
	case file.Nlink > 1:
		return errors.New("it has a second name (a hard link)")
	case !owner && folder.Mode&(writeGroup|writeOther) == 0:
		return errors.New("it belongs to another user")
	case file.Mode&readWriteOther != 0 && folder.Mode&enterOther != 0:
		return errors.New("any user may open it")
	case file.Mode&anyGroup != 0 && folder.Mode&writeGroup == 0 && folder.Mode&enterGroup != 0:
		return errors.New("its group may open it, which may not write to the folder: remove it")
	}
	return nil
}

// openToAll says that any user may put other files into the folder of the token.
func openToAll(p place) bool {
	info, err := os.Stat(p.folder)
	return err == nil && info.Mode()&writeOther != 0 && info.Mode()&fs.ModeSticky == 0
}

// tryLock locks a file until it is closed. It is false, without an error, while another process has the lock.
func tryLock(file *os.File) (bool, error) {
	switch err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.EWOULDBLOCK), errors.Is(err, unix.EINTR):
		return false, nil
	default:
		return false, &fs.PathError{Op: "flock", Path: file.Name(), Err: err}
	}
}

// holder is the process that has the lock of a file, 0 where the system does not tell.
func holder(path string) int {
	var stat unix.Stat_t
	locks, err := os.ReadFile("/proc/locks")
	if err != nil || unix.Lstat(path, &stat) != nil {
		return 0
	}
	device := uint64(stat.Dev) //nolint:unconvert // other systems have other types
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(device), unix.Minor(device), stat.Ino)
	for line := range strings.Lines(string(locks)) { // 1: FLOCK  ADVISORY  WRITE 708 00:13:1033 0 EOF
		words := strings.Fields(line)
		if len(words) > 5 && words[1] == "FLOCK" && words[5] == file {
			pid, _ := strconv.Atoi(words[4])
			return max(pid, 0)
		}
	}
	return 0
}

// bump counts SoftHSM's generation up, as each process does that has written an object. Then this process's module
// looks at the files again, too: it takes its own count for the files' where others have written just before it. No
// call that writes or looks may be in the module meanwhile, since SoftHSM's own lock of the file is this process's. A
// token in a database has no such file, and needs none.
func bump(folder string) error {
	path := filepath.Join(folder, "generation")
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close() // which unlocks it
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() != 8 {
		return fmt.Errorf("%s is not as SoftHSM 2 has it", path)
	}
	whole := unix.Flock_t{Type: unix.F_WRLCK}
	for end := time.Now().Add(bumpTime); ; time.Sleep(time.Millisecond) {
		err := unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &whole)
		if err == nil {
			break
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s stays locked: %w", path, err)
		}
	}
	var count [8]byte
	if _, err := file.ReadAt(count[:], 0); err != nil {
		return err
	}
	binary.BigEndian.PutUint64(count[:], max(binary.BigEndian.Uint64(count[:])+1, 1))
	_, err = file.WriteAt(count[:], 0)
	return err
}

// bumpTime is how long another process may count.
const bumpTime = time.Second

// unreadable counts the objects in the token's folder that this user may not read, and so never sees. It does not ask
// again about files that it knows as readable: SoftHSM gives each a name of its own. The system is asked about root,
// too, who may not read everything on another machine's disk.
func unreadable(folder string, readable map[string]bool) (n int) {
	dir, err := os.Open(folder)
	if err != nil {
		return 0
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1) // those that it has read count, whatever ended it
	for _, name := range names {
		if readable[name] || !strings.HasSuffix(name, ".object") {
			continue
		}
		err := unix.Faccessat(unix.AT_FDCWD, filepath.Join(folder, name), unix.R_OK, unix.AT_EACCESS)
		switch {
		case err == nil:
			readable[name] = true
		case errors.Is(err, unix.EACCES):
			n++
		}
	}
	return n
}
