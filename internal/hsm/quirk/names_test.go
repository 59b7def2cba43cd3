package quirk

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// names are what makes are called, wherever the name of one is told from an ordinary word.
var names = regexp.MustCompile(`(?i)softhsm|opencryptoki|tpm2|p11-kit|kryoptic|gnome-keyring|luna\b|thales|safenet|nshield|` +
	`entrust|\bncipher|cloudhsm|\baws\b|amazon|yubi|ykcs11|kmsp11|google|utimaco|securosys|primus|nethsm|nitrokey|opensc|` +
	`smartcard-hsm|azure|marvell|fortanix|ep11|\bNSS\b|mozilla`)

// hints are what one of the names has in it: a quick look spares the slow one.
var hints = []string{
	"softhsm", "opencryptoki", "tpm2", "p11-kit", "kryoptic", "gnome-keyring", "luna", "thales", "safenet", "nshield",
	"entrust", "ncipher", "cloudhsm", "aws", "amazon", "yubi", "ykcs11", "kmsp11", "google", "utimaco", "securosys", "primus",
	"nethsm", "nitrokey", "opensc", "smartcard-hsm", "azure", "marvell", "fortanix", "ep11", "nss", "mozilla",
}

// packages are those that are called so.
var packages = regexp.MustCompile(`\bsofthsm\.|internal/hsm/softhsm"|github.com/google/`)

// TestNoMakesNameStandsElsewhere: operations ask for differences. So the code names a make in this package, in softhsm
// and in hsmtest, and nowhere else. The documentation and the tests name them.
func TestNoMakesNameStandsElsewhere(t *testing.T) {
	for name := range strings.SplitSeq(strings.ReplaceAll(strings.TrimPrefix(names.String(), "(?i)"), `\b`, ""), "|") {
		if !slices.Contains(hints, strings.ToLower(name)) {
			t.Errorf("no hint has %q in it", name)
		}
	}
	root := filepath.Join("..", "..", "..")
	looked := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			switch filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator))) {
			case "internal/hsm/quirk", "internal/hsm/softhsm", "internal/hsm/hsmtest", ".git", ".cache", "bench", "examples",
				"tools":
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		looked++
		if small := strings.ToLower(string(text)); !slices.ContainsFunc(hints, func(hint string) bool {
			return strings.Contains(small, hint)
		}) {
			return err
		}
		for i, line := range strings.Split(string(text), "\n") {
			line = packages.ReplaceAllString(line, "")
			if name := names.FindString(line); name != "" {
				t.Errorf("%s:%d: %s", path, i+1, name)
			}
		}
		return err
	})
	if err != nil || looked < 100 {
		t.Errorf("looked at %d files, %v", looked, err)
	}
}
