package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A folder for commands, with what they find in their environment.
type place struct {
	t   *testing.T
	dir string
	env []string
}

// run gives what a command prints and whether it ends well.
func (p place) run(command string, args ...string) (out string, ok bool) {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), command, args...)
	cmd.Dir, cmd.Env = p.dir, append(os.Environ(), p.env...)
	text, err := cmd.CombinedOutput()
	return string(text), err == nil
}

func (p place) must(command string, args ...string) string {
	p.t.Helper()
	out, ok := p.run(command, args...)
	if !ok {
		p.t.Fatalf("%s %s: %s", command, strings.Join(args, " "), out)
	}
	return strings.TrimSpace(out)
}

func (p place) write(name, text string) {
	p.t.Helper()
	file := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}
