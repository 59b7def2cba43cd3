//go:build !windows

package softhsm

import (
	"os"
	"path/filepath"
)

// As distributions build SoftHSM: its configuration, and the folder of tokens where that names none.
const (
	usualConfiguration = "/etc/softhsm/softhsm2.conf"
	usualTokens        = "/var/lib/softhsm/tokens"
)

// ownConfiguration is the user's own configuration, "" for a user without a home folder.
func ownConfiguration() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".config/softhsm2/softhsm2.conf")
}
