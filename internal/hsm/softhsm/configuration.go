package softhsm

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// SoftHSM reads a configuration file when it is initialised, and answers CKR_GENERAL_ERROR where it cannot.
const configurationVariable = "SOFTHSM2_CONF"

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
	if own := ownConfiguration(); own != "" {
		if _, err := os.Stat(own); err == nil {
			return own, ""
		}
	}
	return built(usualConfiguration, homebrew[runtime.GOOS]), ""
}

// homebrew are its folders on Apple's processors and on Intel's, before the paths with which it builds SoftHSM. It keeps
// tokens where its configuration says.
var homebrew = map[string][]string{"darwin": {"/opt/homebrew", "/usr/local"}}

// built is a path as distributions build it in, or what is there of it in one of the folders.
func built(path string, folders []string) string {
	for _, folder := range folders {
		if _, err := os.Stat(folder + path); err == nil {
			return folder + path
		}
	}
	return path
}

// TokensIn is the folder of tokens that a configuration file names, as it is written there, or the usual one where
// named is false. It reads the file as SoftHSM does (SimpleConfigLoader.cpp): what follows a # is a comment, a value
// ends at another =, one that is blank does not count, and the last one counts.
func TokensIn(path string) (folder string, named bool, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", false, err
	}
	const blanks = " \t\v\f\r"
	folder = usualTokens
	for line := range strings.SplitSeq(string(text), "\n") {
		line = line[:strings.IndexAny(line+"#", "#\r")]
		parts := strings.FieldsFunc(line, func(r rune) bool { return r == '=' })
		if len(parts) < 2 || strings.Trim(parts[0], blanks) != "directories.tokendir" {
			continue
		}
		if value := strings.Trim(parts[1], blanks); value != "" {
			folder, named = value, true
		}
	}
	return folder, named, nil
}

// Listable is nil where the folder can be listed, as SoftHSM lists its folder of tokens when it is initialised. Else
// it says why not.
func Listable(folder string) error {
	info, err := os.Stat(folder)
	if err == nil && !info.IsDir() {
		return errors.New("it is no folder")
	}
	if err == nil {
		_, err = os.ReadDir(folder)
	}
	return reason(err)
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
	return reason(err)
}

// reason is an error of the file system without the path.
func reason(err error) error {
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err
	}
	return err
}
