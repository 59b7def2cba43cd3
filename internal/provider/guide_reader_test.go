package provider_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// newReader is a shell of somebody who does what a guide says: in a folder with the guide's files, with terraform on the
// PATH and the provider where make install has put it, and with nothing else of a configuration. SoftHSM alone has the
// tools with which guides make tokens.
func newReader(t *testing.T, folders ...string) shell {
	t.Helper()
	if os.Getenv(resource.EnvTfAcc) == "" {
		t.Skip("runs Terraform: scripts/acceptance go test ./internal/provider")
	}
	hsmtest.Needs(t, hsmtest.OwnToken)
	s := shell{t: t, dir: t.TempDir(), env: os.Environ(), ran: new(int)}
	for _, folder := range folders {
		s.copy(folder, "")
	}
	home, bin := t.TempDir(), t.TempDir()
	if err := os.Symlink(os.Getenv("TF_ACC_TERRAFORM_PATH"), filepath.Join(bin, "terraform")); err != nil {
		t.Fatal(err)
	}
	s = s.with("HOME="+home, "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"), "SOFTHSM="+hsmtest.Library(t))
	s.install("0.1.0", "")
	return s
}

// copy puts what a folder of the guides' examples has into a folder of the reader's.
func (s shell) copy(folder, to string) {
	s.t.Helper()
	if err := os.CopyFS(filepath.Join(s.dir, to), os.DirFS(filepath.Join(examples, "guides", folder))); err != nil {
		s.t.Fatal(err)
	}
}

// install installs the provider by make install, as a version; whoever builds another one of that version gets another
// file.
func (s shell) install(version, tail string) {
	s.t.Helper()
	bin, err := build()
	if err != nil {
		s.t.Fatal(err)
	}
	program, err := os.ReadFile(filepath.Join(bin, "terraform-provider-hsm"))
	if err != nil {
		s.t.Fatal(err)
	}
	built := filepath.Join(s.t.TempDir(), "terraform-provider-hsm")
	s.write(built, string(program)+tail)
	root, err := filepath.Abs("../..")
	if err != nil {
		s.t.Fatal(err)
	}
	// without the building, which would take longer than the test
	s.does(true, "make", "-s", "-C", root, "-o", "build", "install", "VERSION="+version, "BINARY="+built)
}

// does runs a command as the reader, and gives what it prints, which stays in the folder too. It fails the test where
// the command ends otherwise than is expected.
func (s shell) does(well bool, command string, args ...string) string {
	s.t.Helper()
	// sh finds the command on the reader's PATH.
	cmd := exec.Command("sh", append([]string{"-c", `exec "$0" "$@"`, command}, args...)...)
	cmd.Dir, cmd.Env = s.dir, s.env
	out, err := cmd.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited || (err == nil) != well {
		s.t.Fatalf("%s %s: %v\n%s", command, strings.Join(args, " "), err, out)
	}
	*s.ran++
	s.write(filepath.Join(s.dir, fmt.Sprintf("%d.out", *s.ran)), string(out))
	return colours.ReplaceAllString(string(out), "")
}

var colours = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// edit replaces a text in one of the reader's files.
func (s shell) edit(file, old, new string) {
	s.t.Helper()
	path := filepath.Join(s.dir, file)
	text, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		s.t.Fatalf("%s has no %q", file, old)
	}
	s.write(path, strings.Replace(string(text), old, new, 1))
}

// says fails the test where a text is not among what was printed, however it was wrapped.
func (s shell) says(printed string, texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		if !wrapped(text).MatchString(printed) {
			s.t.Errorf("%q is not in\n%s", text, printed)
		}
	}
}

// shows fails the test where a block of output in a guide, the one that has a phrase, is not what was printed, however
// it was wrapped. An ellipsis in it stands for anything.
func (s shell) shows(guide, phrase, printed string) {
	s.t.Helper()
	page, err := os.ReadFile(filepath.Join("../../templates/guides", guide))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, block := range quoted.FindAllStringSubmatch(string(page), -1) {
		if !strings.Contains(block[1], phrase) {
			continue
		}
		var parts []string
		for part := range strings.SplitSeq(block[1], "...") {
			parts = append(parts, wrapped(part).String())
		}
		if !regexp.MustCompile("(?s)" + strings.Join(parts, ".*?")).MatchString(colours.ReplaceAllString(printed, "")) {
			s.t.Errorf("%s shows\n%s\nbut it is\n%s", guide, block[1], printed)
		}
		return
	}
	s.t.Errorf("%s shows no output with %q", guide, phrase)
}

var quoted = regexp.MustCompile("(?ms)^```text\n(.*?)^```")
