package cryptokitest

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// CC is the C compiler for what the tests load or run: the one that the environment variable CC names, as it does to
// Go, where they are of another processor than the compiler.
func CC(arguments ...string) *exec.Cmd {
	return exec.Command(cmp.Or(os.Getenv("CC"), "cc"), arguments...)
}

// Compile builds a C source with [CC], in a folder of the test's, and gives the path of the result. The arguments are
// the compiler's, but for the files.
func Compile(t testing.TB, name string, source []byte, arguments ...string) (path string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("what is built with cc is for Unix")
	}
	folder := t.TempDir()
	path, file := filepath.Join(folder, name), filepath.Join(folder, "source.c")
	if err := os.WriteFile(file, source, 0o600); err != nil {
		t.Fatal(err)
	}
	arguments = append([]string{"-std=gnu11", "-Wall", "-Werror", "-O1"}, arguments...)
	if out, err := CC(append(arguments, "-o", path, file, "-ldl")...).CombinedOutput(); err != nil {
		t.Fatalf("the C compiler: %v\n%s", err, out)
	}
	return path
}
