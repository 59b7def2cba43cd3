package softhsm

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// SoftHSM reads a configuration file when it is initialised, and answers CKR_GENERAL_ERROR where it cannot.
const (
	configurationVariable = "SOFTHSM2_CONF"
	ownConfiguration      = ".config/softhsm2/softhsm2.conf" // in the home folder, where that has one
	usualConfiguration    = "/etc/softhsm/softhsm2.conf"     // as distributions build it
)

// IsModule says whether a module is SoftHSM, by its file's name: before the initialisation it tells nothing of itself.
func IsModule(library string) bool {
	if real, err := filepath.EvalSymlinks(library); err == nil {
		library = real
	}
	return strings.Contains(strings.ToLower(filepath.Base(library)), "softhsm")
}

// ConfigurationPath is the file that SoftHSM reads (SimpleConfigLoader.cpp), and the environment variable that names
// it, "" where none does.
func ConfigurationPath() (path, variable string) {
	if path, ok := os.LookupEnv(configurationVariable); ok {
		return path, configurationVariable
	}
	if home, err := os.UserHomeDir(); err == nil {
		own := filepath.Join(home, ownConfiguration)
		if _, err := os.Stat(own); err == nil {
			return own, ""
		}
	}
	return usualConfiguration, ""
}

// Readable is nil where the file can be read. Else it says why not.
func Readable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return errors.New("it is a folder")
	case err == nil && !info.Mode().IsRegular():
		return errors.New("it is not a file")
	case err == nil:
		var file *os.File
		if file, err = os.Open(path); err == nil {
			err = file.Close()
		}
	}
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err
	}
	return err
}
