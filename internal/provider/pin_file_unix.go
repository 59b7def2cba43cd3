//go:build !windows

package provider

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
)

// openWithoutWaiting opens a pipe before there is someone who writes, and takes no terminal for its own.
func openWithoutWaiting(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if errors.Is(err, unix.ENXIO) {
		return nil, errors.New("it is a socket or a device, not a file")
	}
	return f, err
}

// risksOf says who else may read, write or exchange a file, and what to do about it. A file that its group may read is
// a usual arrangement, so nothing is said of that.
func risksOf(name string, info fs.FileInfo) (risks []string) {
	mode := info.Mode().Perm()
	if mode&0o022 != 0 {
		risks = append(risks, fmt.Sprintf("its mode is %04o, so its group or others may write to it: they can have wrong PINs "+
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
	for _, folder := range openFolders(name) {
		risks = append(risks, "every user of this machine may write to the folder "+folder+", which has no sticky bit, so each "+
			"of them may put another file in the place of this one. To mend it: "+hsm.Command("chmod", "o-w", folder))
	}
	return risks
}

// openFolders are the folders on the way to a file in which every user may exchange what is there: those that the name
// has, and those that it leads to through links.
func openFolders(name string) (open []string) {
	seen := map[string]bool{}
	var visit func(string)
	visit = func(path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		if real, err := filepath.EvalSymlinks(path); err == nil && real != path {
			visit(real)
		} else if info, err := os.Stat(path); err == nil && info.IsDir() && info.Mode()&(0o002|fs.ModeSticky) == 0o002 {
			open = append(open, path)
		}
		if parent := filepath.Dir(path); parent != path {
			visit(parent)
		}
	}
	if path, err := filepath.Abs(name); err == nil {
		visit(path)
	}
	return open
}
