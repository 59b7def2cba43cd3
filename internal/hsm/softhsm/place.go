package softhsm

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// place is where the processes that share a token meet: a file in a folder.
type place struct {
	folder, name string
	// token says that folder is the one in which the token's files lie, and that they are SoftHSM's.
	token bool
	// own says that folder is this user's, made for locks, because of why nobody knows where the token's files lie.
	own bool
	why error
}

func (p place) path() string { return filepath.Join(p.folder, p.name) }

const lockName = "terraform-provider-hsm"

// placeOf finds the place of a token. Whoever shares the token's files can open them, and so the lock beside them,
// whatever user it is or folder for temporary files it has; nobody else can. Where the files are not found, the lock is
// in a folder of this user.
func placeOf(token cryptoki.TokenInfo, parameters string, files quirk.Files) place {
	hash := sha256.Sum256([]byte(token.Identity()))
	p := place{name: fmt.Sprintf("%s-%x.lock", lockName, hash[:8])}
	switch {
	case files.BySerial && token.Serial == "": // it is not initialised, and has no files yet
		p.folder, p.why = tokensFolder()
	case files.BySerial:
		if p.folder, p.why = tokenFolder(token.Serial); p.why == nil {
			p.name, p.token = lockName+".lock", true
		}
	case files.Parameter != "":
		if parameters == "" && files.Variable != "" {
			parameters = os.Getenv(files.Variable)
		}
		p.folder, p.why = namedFolder(parameters, files.Parameter)
	default:
		p.folder, p.why = realFolder(files.Path)
	}
	if p.why != nil {
		p.folder, p.own = ownFolder(), true
	}
	return p
}

// ownFolder is this user's folder for locks.
func ownFolder() string {
	if cache, err := os.UserCacheDir(); err == nil {
		return filepath.Join(cache, lockName)
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("%s-%d", lockName, os.Geteuid()))
}

// tokenFolder is the folder of the SoftHSM token with that serial number.
func tokenFolder(serial string) (string, error) {
	tokens, err := tokensFolder()
	if err != nil {
		return "", err
	}
	folders, err := foldersIn(tokens)
	if err != nil {
		return "", err
	}
	found := folders[strings.ToLower(serial)]
	if len(found) != 1 {
		return "", fmt.Errorf("SoftHSM's folder of tokens, %s, has %d tokens with the serial number %q", tokens, len(found), serial)
	}
	return found[0], nil
}

// foldersIn are the folders of SoftHSM's tokens by serial number, in lower case. SoftHSM names each by a random UUID,
// whose last 16 digits are the serial number.
func foldersIn(tokens string) (map[string][]string, error) {
	entries, err := os.ReadDir(tokens)
	if err != nil {
		return nil, fmt.Errorf("SoftHSM's folder of tokens: %w", err)
	}
	folders := map[string][]string{}
	for _, entry := range entries {
		digits := strings.ToLower(strings.ReplaceAll(entry.Name(), "-", ""))
		if entry.IsDir() && len(digits) == 32 {
			folders[digits[16:]] = append(folders[digits[16:]], filepath.Join(tokens, entry.Name()))
		}
	}
	return folders, nil
}

// Serials are the serial numbers of the tokens whose files this user can read; none where nobody knows where they lie.
func Serials() (serials []string) {
	tokens, err := tokensFolder()
	if err != nil {
		return nil
	}
	folders, _ := foldersIn(tokens) // of a folder that cannot be listed, SoftHSM shows nothing either
	for serial, found := range folders {
		if slices.ContainsFunc(found, func(folder string) bool {
			return Readable(filepath.Join(folder, "token.object")) == nil
		}) {
			serials = append(serials, serial)
		}
	}
	return serials
}

// tokensFolder is what SoftHSM's configuration says, or where SoftHSM looks without that.
func tokensFolder() (string, error) {
	path, _ := ConfigurationPath()
	if err := Readable(path); err != nil {
		return "", fmt.Errorf("SoftHSM's configuration, %s: %w", path, err)
	}
	tokens, _, err := TokensIn(path)
	if err != nil {
		return "", fmt.Errorf("SoftHSM's configuration: %w", err)
	}
	return realFolder(tokens)
}

// namedFolder is the folder that a word of a library's parameters names: configdir='sql:/path' of NSS.
func namedFolder(parameters, word string) (string, error) {
	match := regexp.MustCompile(`(?:^|\s)` + regexp.QuoteMeta(word) + `=(?:'([^']*)'|"([^"]*)"|(\S*))`).FindStringSubmatch(parameters)
	if match == nil {
		return "", fmt.Errorf("the library parameters have no %s", word)
	}
	value := strings.Join(match[1:], "")
	for _, kind := range []string{"sql:", "dbm:"} {
		value = strings.TrimPrefix(value, kind)
	}
	return realFolder(value)
}

// realFolder is a folder that whoever configures the token has named: links are theirs.
func realFolder(path string) (string, error) {
	if path == "" {
		return "", errors.New("nothing shows where the token's files lie")
	}
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return "", fmt.Errorf("the folder of the token's files: %w", err)
	}
	if info, err := os.Stat(real); err != nil || !info.IsDir() {
		return "", fmt.Errorf("%s is not a folder", real)
	}
	return real, nil
}
