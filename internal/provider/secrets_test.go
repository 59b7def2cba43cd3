package provider_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// shell runs the real Terraform with the provider's own program, as its users do, in a folder that keeps all that
// comes of it: state, plans, logs and output.
type shell struct {
	t   *testing.T
	dir string
	env []string
	ran *int
}

// build builds the provider, once a test process, into a folder that TestMain removes.
var build = sync.OnceValues(func() (folder string, err error) {
	if folder, err = os.MkdirTemp("", "terraform-provider-hsm-"); err != nil {
		return "", err
	}
	cleanUp = append(cleanUp, folder)
	if out, err := exec.Command("go", "build", "-o", filepath.Join(folder, "terraform-provider-hsm"), "../..").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return folder, nil
})

func newShell(t *testing.T, b *bench, config string) shell {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return shellWith(t, b, bin, config)
}

// shellWith is a shell whose provider is the program in that folder.
func shellWith(t *testing.T, b *bench, bin, config string) shell {
	t.Helper()
	s := shell{t: t, dir: t.TempDir(), ran: new(int)}
	cli := filepath.Join(t.TempDir(), "cli.tfrc")
	s.write(cli, fmt.Sprintf("provider_installation {\n  dev_overrides {\n    \"terraform-provider-hsm/hsm\" = %q\n  }\n  direct {}\n}\n", bin))
	s.write(filepath.Join(s.dir, "main.tf"), "terraform {\n  required_providers {\n    hsm = { source = \"terraform-provider-hsm/hsm\" }\n  }\n}\n"+config)
	s.env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+cli, "TF_IN_AUTOMATION=1", "TF_LOG=TRACE", "HSM_LIBRARY="+b.Library,
		"HSM_LIBRARY_PARAMETERS="+b.Parameters, "HSM_TOKEN_LABEL="+b.Label)
	return s
}

func (s shell) write(file, text string) {
	s.t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s shell) with(variables ...string) shell {
	s.env = append(append([]string{}, s.env...), variables...)
	return s
}

// terraform runs a command. Its log goes to a file beside the others, as does what it prints, which comes back.
func (s shell) terraform(fails bool, args ...string) (printed, log string) {
	s.t.Helper()
	*s.ran++
	file := filepath.Join(s.dir, fmt.Sprintf("%d.log", *s.ran))
	cmd := exec.Command(os.Getenv("TF_ACC_TERRAFORM_PATH"), args...)
	cmd.Dir, cmd.Env = s.dir, s.with("TF_LOG_PATH="+file).env
	out, err := cmd.CombinedOutput()
	if (err != nil) != fails {
		s.t.Fatalf("terraform %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	s.write(filepath.Join(s.dir, fmt.Sprintf("%d.out", *s.ran)), string(out))
	text, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(out), string(text)
}

// calls counts a function among the calls into the module that a log tells of; "": all.
func calls(log, function string) int {
	pattern := `PKCS#11 call: .*function=` + function
	return len(regexp.MustCompile(pattern).FindAllString(log, -1))
}

// innocent fails the test where any file, or any file in an archive such as a plan, has a secret in it.
func (s shell) innocent(secrets ...string) {
	s.t.Helper()
	files := 0
	look := func(name string, content []byte) {
		files++
		for _, secret := range secrets {
			if i := bytes.Index(content, []byte(secret)); i >= 0 {
				s.t.Errorf("the PIN is in %s: ...%q...", name, content[max(0, i-100):min(len(content), i+50)])
			}
		}
	}
	err := filepath.WalkDir(s.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		look(path, content)
		archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			return nil //nolint:nilerr // it is no archive
		}
		for _, inside := range archive.File {
			r, err := inside.Open()
			if err != nil {
				return err
			}
			content, err := io.ReadAll(r)
			if err != nil {
				return err
			}
			look(path+"!"+inside.Name, content)
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if files < 10 {
		s.t.Errorf("only %d files were looked at", files)
	}
}

const ephemeralPIN = `
	variable "pin" {
	  type      = string
	  ephemeral = true
	  default   = null
	}
	provider "hsm" {
	  pin = var.pin
	}
`

func TestThePINIsNowhereAndAWrongOneIsSentOnce(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.OwnToken)
	b := newBench(t)
	wrong := hsmtest.RandomPIN()
	s := newShell(t, b, ephemeralPIN+
		pair("k", "count = 3", `label = "web ${count.index}"`, `deletion_policy = "prevent"`)+jwks("x", "uris = hsm_rsa_keypair.k[*].uri")+
		`output "jwks" { value = data.hsm_jwks.x.json }`)
	file := filepath.Join(t.TempDir(), "pin") // beside the folder that is searched
	s.write(file, b.PIN+"\n")
	byArgument, byVariable, byFile := s.with("TF_VAR_pin="+b.PIN), s.with("HSM_PIN="+b.PIN), s.with("HSM_PIN_FILE="+file)

	byArgument.terraform(false, "plan", "-out=first.plan")
	_, log := byArgument.terraform(false, "apply", "first.plan")
	if n := calls(log, "C_Login"); n != 1 || calls(log, "") < 20 {
		t.Errorf("an apply logged in %d times, in %d calls", n, calls(log, ""))
	}
	byVariable.terraform(false, "plan", "-out=second.plan", "-detailed-exitcode")
	byFile.terraform(false, "plan", "-detailed-exitcode")
	byVariable.terraform(false, "show", "-json", "second.plan")
	state := func() string {
		text, err := os.ReadFile(filepath.Join(s.dir, "terraform.tfstate"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	before, halves := state(), b.halves()
	if strings.Count(before, `"public_key_pem": "-----BEGIN`) != 3 {
		t.Fatalf("the state has not three keys: %s", before)
	}

	byWrongArgument, byWrongVariable := s.with("TF_VAR_pin="+wrong), s.with("HSM_PIN="+wrong)
	for _, try := range []struct {
		shell   shell
		from    string
		command []string
	}{
		{byWrongArgument, "pin", []string{"plan", "-out=third.plan"}},
		{byWrongVariable, "HSM_PIN", []string{"plan", "-out=fourth.plan"}},
		{byWrongArgument, "pin", []string{"apply", "-auto-approve"}},
		{byWrongVariable, "HSM_PIN", []string{"destroy", "-auto-approve"}},
	} {
		printed, log := try.shell.terraform(true, try.command...)
		if n := calls(log, "C_Login"); n != 1 {
			t.Errorf("%v sent a wrong PIN %d times", try.command, n)
		}
		for text, times := range map[string]int{
			"Unable to Read Key Pair: PIN Refused": 3, "CKR_PIN_INCORRECT": 3, "check the PIN (from " + try.from + ")": 1,
			"The PIN was sent once and is not sent again in this run": 1, "as another error of this run says": 2,
		} {
			if n := len(wrapped(text).FindAllString(printed, -1)); n != times {
				t.Errorf("%v says %q %d times, not %d:\n%s", try.command, text, n, times, printed)
			}
		}
		if after := state(); after != before {
			t.Errorf("%v changed the state to\n%s", try.command, after)
		}
	}
	b.expect(halves...)
	s.innocent(b.PIN, wrong)
}

// The wrong PIN is a short one, and part of what the provider has to say: what is left out would betray it.
func TestPlansOfNewKeysRefuseAWrongPINToo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	wrong := "3031"
	keys := pair("k", "count = 5", `label = "web 3031"`, `key_id = "6b30313${count.index}"`)
	s := newShell(t, b, ephemeralPIN+keys).with("HSM_PIN=" + wrong)
	printed, log := s.terraform(true, "plan", "-no-color")
	if n := calls(log, "C_Login"); n != 1 || !wrapped("Unable to Plan Key Pair: PIN Refused").MatchString(printed) {
		t.Errorf("the plan of five new keys sent a wrong PIN %d times, and printed:\n%s", n, printed)
	}
	if long := len(wrapped("is not sent again").FindAllString(printed, -1)); long != 1 {
		t.Errorf("five errors say %d times that the PIN is not sent again:\n%s", long, printed)
	}
	elsewhere, _ := s.with("HSM_TOKEN_LABEL=web 3031").terraform(true, "plan", "-no-color")
	if !wrapped(`no token has the label "web 3031"`).MatchString(strings.ToLower(elsewhere)) {
		t.Errorf("what the PIN is part of is not told as it is:\n%s", elsewhere)
	}
	for line := range strings.Lines(printed + log) {
		if strings.Contains(line, "***") || strings.Contains(line, "PIN is in it") {
			t.Errorf("what is left out betrays the PIN: %s", line)
		}
	}
	// validate needs no token, nor even its module
	_, log = s.with("HSM_LIBRARY=/no/such/module.so").terraform(false, "validate")
	if n := calls(log, ""); n != 0 {
		t.Errorf("validate made %d calls into the module", n)
	}
	// nor does it need one to refuse a PIN in a URI, whose line Terraform would show if it were led there
	s.write(filepath.Join(s.dir, "jwks.tf"), jwks("x", `uris = [" pkcs11:id=%6B;pin%2dvalue%3d48151623"]`))
	printed, log = s.terraform(true, "validate", "-no-color")
	if !wrapped("a PIN in it is refused").MatchString(printed) || strings.Contains(printed+log, "48151623") {
		t.Errorf("a URI with a PIN is not refused, or is repeated:\n%s", printed)
	}
}

func TestAliasesOfTheRealProvider(t *testing.T) {
	t.Parallel()
	b, second := newBench(t), newBench(t)
	s := newShell(t, b, ephemeralPIN+
		fmt.Sprintf("provider \"hsm\" {\n  alias = \"second\"\n  token_label = %q\n  pin = var.pin\n}\n", second.Label)+
		pair("k", `label = "web"`, `key_id = "6b31"`)+pair("l", `label = "web"`, `key_id = "6b31"`, "provider = hsm.second")).with("TF_VAR_pin=" + b.PIN)
	_, log := s.terraform(false, "apply", "-auto-approve")
	if n := calls(log, "C_GenerateKeyPair"); n != 2 {
		t.Errorf("%d keys were generated", n)
	}
	b.expect(signing("web", "6b31")...)
	second.expect(signing("web", "6b31")...)
	if b.fingerprintOf("6b31") == second.fingerprintOf("6b31") {
		t.Error("both tokens have the same key")
	}
	s.terraform(false, "destroy", "-auto-approve")
	b.expect()
	second.expect()
}
