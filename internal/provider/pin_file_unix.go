//go:build !windows

package provider

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openWithoutWaiting opens a pipe before there is someone who writes, and takes no terminal for its own.
func openWithoutWaiting(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if errors.Is(err, unix.ENXIO) {
		return nil, errors.New("it is a socket or a device, not a file")
	}
	return f, err
}

// risksOf says who else may read or write a file, and what to do about it.
func risksOf(info fs.FileInfo) (risks []string) {
	mode := info.Mode().Perm()
	if mode&0o022 != 0 {
		risks = append(risks, fmt.Sprintf("its mode is %04o, so its group or others may write it: they can have wrong PINs "+
			"sent, and the token locks after a few. To mend it: chmod 600 \"$HSM_PIN_FILE\"", mode))
	}
	if mode&0o004 != 0 {
		risks = append(risks, fmt.Sprintf("its mode is %04o, so every user of this machine may read the PIN. To mend it: "+
			"chmod 600 \"$HSM_PIN_FILE\"", mode))
	}
	if of, ok := info.Sys().(*syscall.Stat_t); ok && of.Uid != 0 && int(of.Uid) != os.Geteuid() {
		risks = append(risks, fmt.Sprintf("it belongs to the user with the number %d, and not to the user %d that runs "+
			"Terraform, nor to root: its owner may read and write it. To mend it: chown %[2]d \"$HSM_PIN_FILE\"", of.Uid,
			os.Geteuid()))
	}
	return risks
}
