package provider

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

// commandsOf are the commands that a text prints, but for Terraform's.
func commandsOf(text string) (commands []string) {
	for line := range strings.Lines(text) {
		line, indented := strings.CutPrefix(strings.TrimRight(line, "\n"), "  ")
		if indented && (strings.HasPrefix(line, "pkcs11-tool ") || strings.HasPrefix(line, "openssl ")) {
			commands = append(commands, line)
		}
	}
	return commands
}

// answering gives pkcs11-tool what it asks for at the terminal, and has a word in the place of each that is to be chosen.
func answering(command string) string {
	const pin = "env:HSMTEST_TOOL_PIN"
	if !strings.HasPrefix(command, "pkcs11-tool ") {
		return command
	}
	command = strings.NewReplacer("NEW_ID", "6b39", "LABEL", "chosen").Replace(command)
	switch {
	case strings.Contains(command, "--init-pin"):
		return command + " --so-pin " + pin + " --new-pin " + pin
	case strings.Contains(command, "--init-token"):
		return command + " --so-pin " + pin
	case strings.Contains(command, "--login-type so --change-pin"):
		return command + " --so-pin " + pin + " --new-pin " + pin
	case strings.Contains(command, "--change-pin"):
		return command + " --pin " + pin + " --new-pin " + pin
	case strings.Contains(command, "--login-type so"):
		return command + " --so-pin " + pin
	}
	return command + " --pin " + pin
}

// runAll runs the commands of a text in a folder.
func runAll(t *testing.T, folder, pin, text string, environment ...string) {
	t.Helper()
	commands := commandsOf(text)
	if len(commands) == 0 {
		t.Fatalf("it prints no command:\n%s", text)
	}
	for _, command := range commands {
		shell := exec.Command("bash", "-c", answering(command))
		shell.Dir, shell.Env = folder, append(append(os.Environ(), "HSMTEST_TOOL_PIN="+pin), environment...)
		if out, err := shell.CombinedOutput(); err != nil || strings.Contains(string(out), "error: ") {
			t.Errorf("%s: %v\n%s\nof the text\n%s", command, err, out, text)
		}
	}
}

// needsTools skips the test where what runs commands is missing.
func needsTools(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"bash", "openssl", "pkcs11-tool"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	if hsmtest.ThisMake(t).Name != "softhsm" {
		t.Skip("runs commands on SoftHSM")
	}
}

// TestTheCommandsThatInitialiseATokenDoIt on a module that has a blank token alone: the slot is another one after the
// first command.
func TestTheCommandsThatInitialiseATokenDoIt(t *testing.T) {
	needsTools(t)
	label := "chosen"
	blank := []hsm.TokenInfo{{Slot: 0}}
	for name, err := range hsmtest.InOrder(map[string]error{
		"its slot is named":     &hsm.BlankTokenError{Slot: 0},
		"its label is named":    &hsm.TokenError{Tokens: blank, Selector: hsm.Selector{Label: &label}},
		"its serial is named":   &hsm.TokenError{Tokens: blank, Selector: hsm.Selector{Serial: new(string)}},
		"nothing of it is said": &hsm.TokenError{Tokens: blank},
	}) {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			file := filepath.Join(folder, "softhsm2.conf")
			if err := os.WriteFile(file, []byte("directories.tokendir = "+folder+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			provider := diagnose.Provider{Library: hsmtest.Library(t)}
			text := diagnose.Failure{Err: err, Doing: "Read Keys", Provider: provider}.Diagnostic().Detail()
			text += "\n  " + hsm.Command("pkcs11-tool", "--module", provider.Library, "--token-label", label, "--login", "--list-objects")
			runAll(t, folder, hsmtest.RandomPIN(), text, "SOFTHSM2_CONF="+file)
		})
	}
}

// TestTheCommandsOfFailuresRun runs what each text prints on a token where that has happened.
func TestTheCommandsOfFailuresRun(t *testing.T) {
	needsTools(t)
	id, other := []byte("k1"), []byte("k2")
	private, public := object.Name{Class: "private key", ID: id, Label: "web"}, object.Name{Class: "public key", ID: id}
	kind := newECKeyPairResource().kind.forMessages()
	secret := newSecretKeyResource().kind.forMessages()
	failed := func(doing string, err error) diagnose.Failure {
		return diagnose.Failure{Doing: doing, Kind: &kind, Err: err}
	}
	of := func(doing string, err error) diagnose.Failure {
		return diagnose.Failure{Doing: doing, Kind: &secret, Err: err}
	}
	moved := &diagnose.MovedError{From: "6b32", To: "6b31"}
	pair := []string{"--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", "web", "--id", "6b31"}
	aes := []string{"--keygen", "--key-type", "AES:16", "--label", "web", "--id", "6b31"}
	for _, c := range []struct {
		name    string
		tool    [][]string // what pkcs11-tool does before
		failure diagnose.Failure
		left    []string // key objects that are on the token afterwards: class and ID
	}{
		{"a locked PIN", nil, failed(diagnose.Read, hsm.ErrPINLocked), nil},
		{"no user PIN", nil, failed(diagnose.Read, hsm.ErrPINNotSet), nil},
		{"a PIN that must be changed", nil, failed(diagnose.Read, hsm.ErrPINExpired), nil},
		{"the final try", nil, failed(diagnose.Read, hsm.ErrPINFinalTry), nil},
		{"the security officer's final try", nil, failed(diagnose.Read, hsm.ErrOfficerPINFinalTry), nil},
		{"a PIN of the security officer that must be changed", nil, failed(diagnose.Read, hsm.ErrOfficerPINExpired), nil},
		{"a public half that is left", [][]string{pair, {"--delete-object", "--type", "privkey", "--id", "6b31"}},
			failed(diagnose.Read, &object.HalfPairError{ID: id, Present: public, Missing: "private key"}), nil},
		{"halves under two IDs", [][]string{pair, {"--type", "pubkey", "--id", "6b31", "--set-id", "6b32"}},
			failed(diagnose.Read, &object.HalfPairError{ID: id, Present: private, Missing: "public key",
				Other: &object.Name{Class: "public key", ID: other}}), []string{"private 6b31", "public 6b31"}},
		{"a public half that is lost", [][]string{pair, {"--read-object", "--type", "pubkey", "--id", "6b31", "--output-file",
			"copy.der"}, {"--delete-object", "--type", "pubkey", "--id", "6b31"}},
			failed(diagnose.Read, &object.HalfPairError{ID: id, Present: private, Missing: "public key"}),
			[]string{"private 6b31", "public 6b31"}},
		{"halves of two keys", [][]string{pair, {"--read-object", "--type", "pubkey", "--id", "6b31", "--output-file",
			"copy.der"}}, diagnose.Failure{Doing: diagnose.Read, Kind: &kind, KeyID: "6b31", Label: "web",
			Err: &hsm.DisprovedError{}}, []string{"private 6b31", "public 6b31"}},
		{"a pair that has moved", [][]string{pair}, failed(diagnose.Read, moved), []string{"private 6b32", "public 6b32"}},
		{"a secret key that has moved", [][]string{aes}, of(diagnose.Read, moved), []string{"secret 6b32"}},
		{"a pair without an ID", [][]string{pair[:len(pair)-2]},
			failed(diagnose.Import, &diagnose.NoIDError{Kind: kind, Noun: "key pair", Label: "web"}),
			[]string{"private 6b39", "public 6b39"}},
		{"two pairs of one ID", [][]string{pair, pair}, failed(diagnose.Import, &object.AmbiguousError{ID: id, Halves: true,
			Objects: []object.Name{private, private, public, public}, Fingerprints: make([]string, 4)}),
			[]string{"private 6b31", "private 6b39", "public 6b31", "public 6b39"}},
		{"a taken ID", [][]string{pair}, failed(diagnose.Create, &object.ExistsError{ID: id}), []string{"private 6b31", "public 6b31"}},
		{"a key that is not found", nil, failed(diagnose.Import, object.ErrNotFound), nil},
		{"a failure that nobody knows", nil, failed(diagnose.Create, fmt.Errorf("odd")), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			on, folder := hsmtest.New(t), t.TempDir()
			for _, args := range c.tool {
				if args[len(args)-1] == "copy.der" {
					args = append(slices.Clone(args[:len(args)-1]), filepath.Join(folder, "copy.der"))
				}
				on.Tool(t, args...)
			}
			if public := filepath.Join(folder, "copy.der"); exists(public) {
				on.Command(t, "openssl", "pkey", "-pubin", "-inform", "DER", "-in", public, "-out", filepath.Join(folder, "public.pem"))
			}
			token, err := hsm.Open(context.Background(), on.Config())
			if err != nil {
				t.Fatal(err)
			}
			c.failure.Token = token
			text := c.failure.Diagnostic().Detail()
			if err := token.Close(); err != nil {
				t.Fatal(err)
			}
			runAll(t, folder, on.PIN, text)
			checkHeld(t, on, c.left)
		})
	}
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// checkHeld compares the key objects on a token, each by class and ID, with those that should be there.
func checkHeld(t *testing.T, on *hsmtest.Token, want []string) {
	t.Helper()
	token, err := hsm.Open(context.Background(), on.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = token.Close() }()
	inventory, err := token.Inventory(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, o := range inventory.All() {
		have = append(have, strings.TrimSuffix(o.Name().Class, " key")+" "+object.FormatID(o.ID))
	}
	slices.Sort(have)
	if !slices.Equal(have, want) {
		t.Errorf("the token holds %q, not %q", have, want)
	}
}

// TestTheCommandsForCertificatesRun on a certificate that belongs to a pair.
func TestTheCommandsForCertificatesRun(t *testing.T) {
	needsTools(t)
	on, folder := hsmtest.New(t), t.TempDir()
	certificate := filepath.Join(folder, "made.der")
	on.Command(t, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=x",
		"-keyout", filepath.Join(folder, "key.pem"), "-outform", "DER", "-out", certificate)
	write := func() {
		on.Tool(t, "--write-object", certificate, "--type", "cert", "--id", "6b31", "--label", "of web")
	}
	write()
	token, err := hsm.Open(context.Background(), on.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = token.Close() }()
	all, err := token.Certificates(context.Background(), []byte("k1"))
	if err != nil || len(all) != 1 {
		t.Fatalf("found %d: %v", len(all), err)
	}
	listed := &certificateList{id: "6b31", all: all, command: token.Command}
	half := diagnose.Failure{Doing: diagnose.Import, Token: token, Err: &object.HalfPairError{
		ID: []byte("k1"), Missing: "public key", Certificates: []object.Name{{Label: "of web"}}}}
	kind := newECKeyPairResource().kind.forMessages()
	half.Kind = &kind
	for _, text := range []string{
		"  " + listed.copyTo("6b33", all), half.Diagnostic().Detail(), "  " + listed.do(all, "--set-id", "6b32"),
	} {
		runAll(t, folder, on.PIN, text)
	}
	for _, alternative := range commandsOf(listed.before("web", "another key's").Detail()) { // another ID, or its end
		write()
		runAll(t, folder, on.PIN, "  "+alternative)
	}
}
