package cryptokitest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Compile builds a C source with cc, in a folder of the test's, and gives the path of the result. The arguments are
// cc's, but for the files.
func Compile(t testing.TB, name string, source []byte, arguments ...string) (path string) {
	t.Helper()
	folder := t.TempDir()
	path, file := filepath.Join(folder, name), filepath.Join(folder, "source.c")
	if err := os.WriteFile(file, source, 0o600); err != nil {
		t.Fatal(err)
	}
	arguments = append([]string{"-std=gnu11", "-Wall", "-Werror", "-O1"}, arguments...)
	if out, err := exec.Command("cc", append(arguments, "-o", path, file, "-ldl")...).CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	return path
}
