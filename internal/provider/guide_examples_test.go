package provider_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a guide shows is run by the guide's test, which names each folder of it.
func TestEveryFolderOfTheGuidesIsRun(t *testing.T) {
	folders, err := filepath.Glob(filepath.Join(examples, "guides", "*", "*"))
	if err != nil || len(folders) < 10 {
		t.Fatalf("the guides have the folders %v, %v", folders, err)
	}
	for _, folder := range folders {
		guide := filepath.Base(filepath.Dir(folder))
		file := "guide_" + strings.ReplaceAll(guide, "-", "_") + "_test.go"
		test, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("%s has no test: %v", folder, err)
			continue
		}
		if name := guide + "/" + filepath.Base(folder); !strings.Contains(string(test), `"`+name+`"`) {
			t.Errorf("%s runs nothing of %s", file, name)
		}
	}
}
