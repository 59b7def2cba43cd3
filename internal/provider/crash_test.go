package provider_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	hsmprovider "github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider"
)

// serve is the provider as the test binary serves it, for Terraform to start as a process of its own: the
// environment variable HSMTEST_CRASH has its crash. The provider that is shipped knows nothing of it.
func serve() {
	var c hsmtest.Crash
	if json.Unmarshal([]byte(os.Getenv("HSMTEST_CRASH")), &c) != nil {
		c = hsmtest.Crash{}
	}
	hook, _ := c.Hook()
	_ = tf6server.Serve("registry.terraform.io/terraform-provider-hsm/hsm", hsmprovider.NewServer(hsmprovider.New("test", hsmprovider.WithHooks(hook))))
}

// crashShell is a shell whose provider is this test binary.
func crashShell(t *testing.T, b *bench) shell {
	t.Helper()
	bin := t.TempDir()
	program := fmt.Sprintf("#!/bin/sh\nHSMTEST_SERVE=1 exec %q\n", os.Args[0])
	file := filepath.Join(bin, "terraform-provider-hsm")
	if err := os.WriteFile(file, []byte(program), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	return shellWith(t, b, bin, "").with("HSM_PIN="+b.PIN, "HSMTEST_TOOL_PIN="+b.PIN)
}

// configure writes the configuration: one key, with these lines.
func (s shell) configure(lines ...string) {
	text := ""
	if len(lines) > 0 {
		text = pair("k", lines...)
		if slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "curve") }) {
			text = ecPair(lines...)
		}
		if slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "bits") }) {
			text = secretBlock("k", lines...)
		}
	}
	s.blocks(text)
}

// blocks writes the configuration.
func (s shell) blocks(text string) {
	s.t.Helper()
	s.write(filepath.Join(s.dir, "main.tf"), "terraform {\n  required_providers {\n    hsm = { source = \"terraform-provider-hsm/hsm\" }\n  }\n}\n"+text)
}

// try runs Terraform, however it ends.
func (s shell) try(args ...string) (printed string, ok bool) {
	s.t.Helper()
	cmd := exec.Command(os.Getenv("TF_ACC_TERRAFORM_PATH"), append(args, "-no-color")...)
	cmd.Dir, cmd.Env = s.dir, s.with("TF_LOG=").env
	out, err := cmd.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		s.t.Fatal(err)
	}
	return string(out), err == nil
}

// advised are the commands that a message of the provider's tells its reader to run.
var advised = regexp.MustCompile(`(?m)^[│ ]*((?:terraform (?:import|state rm) hsm_|pkcs11-tool --module).*)$`)

// follow runs the first command that a message advises, as its reader would; the one after it, too, where the first
// makes Terraform forget the key.
func (s shell) follow(printed string) {
	s.t.Helper()
	found := advised.FindAllStringSubmatch(printed, -1)
	if found == nil {
		s.t.Fatalf("no command is advised:\n%s", printed)
	}
	for i, command := range found {
		line := strings.ReplaceAll(strings.TrimSpace(command[1]), ".NAME", ".k")
		line = strings.Replace(line, "--login ", "--login --pin env:HSMTEST_TOOL_PIN ", 1)
		line = strings.Replace(line, "terraform ", os.Getenv("TF_ACC_TERRAFORM_PATH")+" ", 1)
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir, cmd.Env = s.dir, s.with("TF_LOG=").env
		if out, err := cmd.CombinedOutput(); err != nil {
			s.t.Fatalf("what was advised fails: %s: %v\n%s", line, err, out)
		}
		if i == 1 || !strings.Contains(line, " state rm ") {
			return
		}
	}
}

// TestTheProviderIsKilled kills the provider's process in an apply, runs the next apply, follows what that advises
// where it does not go well, and wants the one key that is configured in the end: the same key, where there was one.
// Each case has one crash of its calls that matter; with HSMTEST_FAULTS=matrix it has them all, and HSMTEST_FAULTS=all
// kills the provider at every call.
func TestTheProviderIsKilled(t *testing.T) {
	hsmtest.Needs(t, hsmtest.OwnToken, hsmtest.SecretKeys)
	const policy = `deletion_policy = "delete"`
	before := []string{`label = "old"`, `key_id = "6b31"`, `modulus_bits = 2048`, policy}
	moved := []string{`label = "old"`, `key_id = "6b32"`, `modulus_bits = 2048`, policy}
	box := func(label, id string) []string {
		return []string{fmt.Sprintf("label = %q", label), fmt.Sprintf("key_id = %q", id), "bits = 256"}
	}
	made, changed, destroyed := []string{"C_GenerateKeyPair", "C_Sign"}, []string{"C_SetAttributeValue"}, []string{"C_DestroyObject"}
	for _, c := range []crashCase{
		{"create", nil, before, made, nil},
		{withRandomID, nil, []string{`label = "old"`, `modulus_bits = 2048`, policy}, made[:1], nil},
		{"relabel", before, []string{`label = "new"`, `key_id = "6b31"`, `modulus_bits = 2048`, policy}, changed, nil},
		{"change the ID", before, moved, changed, nil},
		{"change the ID, not looking at the token first", before, moved, changed, []string{"-refresh=false"}},
		{"delete", before, nil, destroyed, nil},
		{"create a secret key", nil, box("old", "6b31"), []string{"C_GenerateKey", "C_Decrypt"}, nil},
		{"change the ID of a secret key", box("old", "6b31"), box("old", "6b32"), changed, nil},
		{"change the ID of a secret key, not looking at the token first", box("old", "6b31"), box("old", "6b32"), changed, []string{"-refresh=false"}},
		{"relabel a secret key", box("old", "6b31"), box("new", "6b31"), changed, nil},
		{"delete a secret key", box("old", "6b31"), nil, destroyed, nil},
		{"change the ID of a pair on a curve", []string{`label = "old"`, `key_id = "6b31"`, `curve = "P-256"`}, []string{`label = "old"`, `key_id = "6b32"`, `curve = "P-256"`}, changed, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

const withRandomID = "create with a random ID"

// crashCase is an apply that is killed, from one configuration of the key to another; nil: without it.
type crashCase struct {
	name      string
	from, to  []string
	functions []string // at whose calls it is killed
	options   []string // of the applies that follow
}

// secret says that the key is a secret one, which is one object.
func (c crashCase) secret() bool {
	return slices.Contains(c.from, "bits = 256") || slices.Contains(c.to, "bits = 256")
}

// crashes are those of the case.
func (c crashCase) crashes(t *testing.T) (all []hsmtest.Crash) {
	t.Helper()
	extent := hsmtest.ThisExtent(t)
	functions, most := c.functions, 2 // a change and a destruction make the call for each half
	if c.from == nil || c.secret() {
		most = 1
	}
	if extent == hsmtest.All {
		functions, most = []string{""}, 60
	}
	for _, function := range functions {
		for nth := 1; nth <= most; nth++ {
			all = append(all, hsmtest.Crash{Function: function, Nth: nth}, hsmtest.Crash{Function: function, Nth: nth,
				After: true})
		}
	}
	if extent == hsmtest.Sample {
		picker := hsmtest.Pick(t, len(all))
		all = slices.DeleteFunc(all, func(hsmtest.Crash) bool { return !picker.Takes() })
	}
	return all
}

func (c crashCase) run(t *testing.T) {
	b := newBench(t)
	s := crashShell(t, b)
	objects, identity := 2, b.fingerprintOf
	if c.secret() {
		objects, identity = 1, b.checkValueOf
	}
	crashes, recovered, followed := 0, 0, 0
	for _, when := range c.crashes(t) {
		key := ""
		s.configure(c.from...) // from whatever the crash before has ended in
		if out, ok := s.try("apply", "-auto-approve"); !ok {
			t.Fatalf("before %s: %s", when, out)
		}
		if c.from != nil {
			key = identity("6b31")
		}
		s.configure(c.to...)
		apply := []string{"apply", "-auto-approve"}
		if when.Function == "" { // only the apply's own calls are meant
			if out, ok := s.try("plan", "-out=plan"); !ok {
				t.Fatal(out)
			}
			apply = []string{"apply", "plan"}
		}
		order, _ := json.Marshal(when) // of strings and numbers
		if out, ok := s.with("HSMTEST_CRASH=" + string(order)).try(apply...); !ok {
			crashes++
			if !strings.Contains(out, "Plugin did not respond") && !strings.Contains(out, "EOF") && !strings.Contains(out, "cancelled") {
				t.Fatalf("%s: %s", when, out)
			}
			b.converges(s, c, &recovered, &followed)
		}
		if halves := len(b.halves()); halves != objects && c.to != nil || halves != 0 && c.to == nil {
			t.Fatalf("%s: the token holds %d halves", when, halves)
		}
		if key != "" && c.to != nil && identity(b.halves()[0].id) != key {
			t.Fatalf("%s: the key is another one", when)
		}
	}
	if crashes == 0 {
		t.Error("nothing was killed")
	}
	t.Logf("%d crashes: the next apply went well by itself after %d, and by the command that it advised after %d", crashes, recovered, followed)
}

// converges runs the next apply, and follows its advice: up to three times, since a change of ID can want two.
func (b *bench) converges(s shell, c crashCase, recovered, followed *int) {
	b.t.Helper()
	var printed string
	var ok bool
	if c.name == withRandomID { // its reader has to look at the plan: the apply would make a second key
		if printed, ok = s.try("plan"); ok && strings.Contains(printed, "Label Already On The Token") {
			s.follow(printed)
			*followed++
			*recovered--
		}
	}
	for range 3 {
		if printed, ok = s.try(append([]string{"apply", "-auto-approve"}, c.options...)...); ok {
			*recovered++
			break
		}
		s.follow(printed)
		*followed++
		*recovered--
	}
	if !ok {
		b.t.Fatalf("%s: the applies after the crash do not converge:\n%s", c.name, printed)
	}
	if printed, ok = s.try("plan", "-detailed-exitcode"); !ok {
		b.t.Fatalf("%s: the plan after it is not empty:\n%s", c.name, printed)
	}
}

// TestTheProviderIsKilledAsItWorksOnAToken kills the provider's process as it makes a token with a key on it, gives it
// PINs and erases it. The next apply ends well: with one token of that label, the key once, and every object of
// another token.
func TestTheProviderIsKilledAsItWorksOnAToken(t *testing.T) {
	t.Parallel()
	beside(t, func(blank *hsmtest.Blank, b *bench) {
		other := blank.Add(b.t, "other")
		other.Tool(b.t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", "theirs", "--id", "01")
		theirs := blank.Folders(b.t)[0]
		w := newWire(b.t, blank)
		before, newPIN, newSOPIN := w.files(theirs), hsmtest.RandomPIN(), hsmtest.RandomPIN()
		key := ecPair(`label = "web"`, `key_id = "6b31"`, "depends_on = [hsm_token.k]")
		tokenOf := func(lines ...string) string {
			return keyPairBlock("hsm_token", "k", map[string]string{"label": `"hydra"`, "deletion_policy": `"erase"`}, lines)
		}
		cases := []tokenCrash{
			{life: "made", to: tokenOf() + key, functions: []string{"C_InitToken", "C_InitPIN", "C_Login", "C_GenerateKeyPair"}},
			{life: "the user's PIN", from: tokenOf() + key, to: tokenOf("pin_wo_version = 2") + key, pin: newPIN,
				functions: []string{"C_InitPIN"}},
			{
				life: "the security officer's PIN", from: tokenOf() + key, soPIN: newSOPIN, functions: []string{"C_SetPIN"},
				to: tokenOf("so_pin_wo_version = 2", fmt.Sprintf("so_pin_wo = %q", newSOPIN)) + key,
			},
			{life: "erased", from: tokenOf() + key, functions: []string{"C_InitToken", "C_DestroyObject"}},
		}
		s := crashShell(b.t, b).with("HSM_SO_PIN="+blank.SOPIN, "HSMTEST_TOOL_PIN="+blank.PIN)
		killed := 0
		picker := hsmtest.Pick(b.t, map[hsmtest.Extent]int{hsmtest.Sample: 16, hsmtest.Matrix: 1,
			hsmtest.All: 1}[hsmtest.ThisExtent(b.t)])
		for _, c := range cases {
			for _, when := range c.crashes(b.t) {
				if !picker.Takes() {
					continue
				}
				at := fmt.Sprintf("%s, %s", c.life, when)
				w.empties(theirs)
				for _, name := range []string{"terraform.tfstate", "terraform.tfstate.backup"} {
					_ = os.Remove(filepath.Join(s.dir, name))
				}
				run := s
				if c.from != "" {
					s.blocks(c.from)
					if out, ok := s.try("apply", "-auto-approve"); !ok {
						b.t.Fatalf("before %s: %s", at, out)
					}
				}
				if c.pin != "" {
					run = run.with("HSM_PIN="+c.pin, "HSMTEST_TOOL_PIN="+c.pin)
				}
				s.blocks(c.to)
				if out, ok := run.try("plan", "-out=plan"); !ok {
					b.t.Fatalf("before %s: %s", at, out)
				}
				order, _ := json.Marshal(when) // of strings and numbers
				out, ok := run.with("HSMTEST_CRASH="+string(order)).try("apply", "plan")
				if ok {
					break // it makes no more calls
				}
				killed++
				for _, secret := range []string{blank.PIN, blank.SOPIN, newPIN} {
					if strings.Contains(out, secret) {
						b.t.Errorf("%s: a PIN is in what Terraform says:\n%s", at, out)
					}
				}
				if out, ok = run.try("apply", "-auto-approve"); !ok && c.soPIN != "" && strings.Contains(out, "SO PIN Refused") {
					run = run.with("HSM_SO_PIN=" + c.soPIN)
					out, ok = run.try("apply", "-auto-approve")
				}
				for range 2 {
					if !ok {
						run.follow(out)
						out, ok = run.try("apply", "-auto-approve")
					}
				}
				if !ok {
					b.t.Fatalf("%s: the applies after it do not end well:\n%s", at, out)
				}
				if out, ok := run.try("plan", "-detailed-exitcode"); !ok {
					b.t.Fatalf("%s: the plan after it is not empty:\n%s", at, out)
				}
				want := 2
				if c.to == "" {
					want = 0
				}
				token := *b.Token
				token.PIN = cmp.Or(c.pin, blank.PIN)
				if have := w.sees("hydra"); len(have) != 1 || have[0].PINInitialised() != (want > 0) {
					b.t.Fatalf("%s: in the end there are %v", at, have)
				}
				if want > 0 {
					if have := (&bench{Token: &token, t: b.t}).halves(); len(have) != want {
						b.t.Fatalf("%s: in the end the token holds %v", at, have)
					}
				}
				if have := w.files(theirs); !slices.Equal(have, before) {
					b.t.Fatalf("%s: the other token had\n%q\nand has\n%q", at, before, have)
				}
			}
		}
		if killed == 0 {
			b.t.Error("nothing was killed")
		}
		b.t.Logf("%d crashes", killed)
		s.innocent(blank.PIN, blank.SOPIN, newPIN)
	})
}

// tokenCrash is an apply to a token that is killed, from one configuration to another; "": without any.
type tokenCrash struct {
	life, from, to string
	pin, soPIN     string   // the new ones, "" for the old
	functions      []string // at whose calls it is killed
}

// crashes are those of the case: with HSMTEST_FAULTS=all, at every call.
func (c tokenCrash) crashes(t *testing.T) (all []hsmtest.Crash) {
	t.Helper()
	functions, most := c.functions, 1
	if hsmtest.ThisExtent(t) == hsmtest.All {
		functions, most = []string{""}, 200
	}
	for _, function := range functions {
		for nth := 1; nth <= most; nth++ {
			all = append(all, hsmtest.Crash{Function: function, Nth: nth}, hsmtest.Crash{Function: function, Nth: nth,
				After: true})
		}
	}
	return all
}
