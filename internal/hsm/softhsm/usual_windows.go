package softhsm

import "os"

// As SoftHSM is built for Windows: its configuration, and the folder of tokens where that names none. Both are in the
// folder in which Terraform runs.
const (
	usualConfiguration = "softhsm2.conf"
	usualTokens        = "tokens"
)

// ownConfiguration is the user's own configuration, "" for a user without a home folder.
func ownConfiguration() string {
	drive, path := os.Getenv("HOMEDRIVE"), os.Getenv("HOMEPATH")
	if drive == "" || path == "" {
		return ""
	}
	return drive + path + `\softhsm2.conf`
}
