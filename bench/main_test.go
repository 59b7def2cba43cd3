package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "worker" { // as the program starts itself
		main()
		return
	}
	os.Exit(m.Run())
}

// TestASmallRun runs every part once, with a few keys, but for the making of RSA keys of 4096 bits, which takes
// seconds.
func TestASmallRun(t *testing.T) {
	terraform := os.Getenv("TF_ACC_TERRAFORM_PATH")
	if terraform == "" {
		t.Skip("runs Terraform: scripts/acceptance go -C bench test ./...")
	}
	if runtime.GOOS != "linux" {
		t.Skip("reads times and memory out of /proc, which Linux has")
	}
	module, err := exec.Command("../scripts/softhsm").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	provider := filepath.Join(dir, "terraform-provider-hsm")
	if out, err := exec.Command("go", "build", "-C", "..", "-o", provider, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b := bench{
		sizes: []int{2}, runs: 1, rivalMax: 2, foreign: 4, signatures: 2, provider: provider, terraform: terraform,
		module: strings.TrimSpace(string(module)), cache: filepath.Join(dir, "cache"),
	}
	if err := b.run(context.Background()); err != nil {
		t.Fatal(err)
	}
	number := regexp.MustCompile(`^\d+(\.\d+)?( |$)`)
	rows := map[string]row{}
	for _, r := range b.table.rows {
		rows[r.what] = r
		if !number.MatchString(r.ours) || !number.MatchString(r.beside) {
			t.Errorf("%s: %s beside %s", r.what, r.ours, r.beside)
		}
	}
	for _, what := range []string{ // of each part
		"start of the process to its schema", "calls of a plan that changes nothing", "package hsm reads each pair",
		"waits for the token, 1 ms a call",
		"calls to read each pair", "3 pairs among 4 others, calls", "hsm_jwks of all keys, the provider's part",
		"a signature, verified, P-256", "a signature, verified, RSA-2048",
		"terraform plan of hsm_cert_request", "terraform plan of hsm_locally_signed_cert",
	} {
		if r, ok := rows[what]; !ok || strings.HasPrefix(r.ours, "0 ") || r.ours == "0" {
			t.Errorf("%s: %q", what, r.ours)
		}
	}
}
