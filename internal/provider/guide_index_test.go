package provider_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// shown is the one block of code of the README that has a text.
func shown(t *testing.T, text string) string {
	t.Helper()
	read, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for i, part := range strings.Split(string(read), "\n```") {
		if _, code, ok := strings.Cut(part, "\n"); ok && i%2 == 1 && strings.Contains(code, text) {
			found = append(found, code+"\n")
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d blocks have %q", len(found), text)
	}
	return found[0]
}

// Whoever follows the README has a token and a key, whose set is then merged with another, and forgets the key in the
// end. Everything is done in a shell of its own, as if the day had ended.
func TestTheReadmeAndTheIndex(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t)
	s := newReader(t, "index/pin").with("TF_CLI_ARGS_apply=-auto-approve")
	s.write(filepath.Join(s.dir, "token.sh"),
		strings.Replace(shown(t, "mkdir"), "HSM_LIBRARY=/usr/lib/softhsm/libsofthsm2.so", `HSM_LIBRARY="$SOFTHSM"`, 1))
	run := func(commands string) string {
		t.Helper()
		return s.does(true, "bash", "-ec", ". ./token.sh\n"+commands)
	}
	s.says(run("echo 5678 >pin\n. ./pin.sh <pin\nls -l ~/hsm-pin\ncat \"$HSM_PIN_FILE\"\necho \"[$pin]\""), "-rw-------", "5678\n[]")

	s.write(filepath.Join(s.dir, "main.tf"), shown(t, "required_providers"))
	s.says(run(shown(t, "terraform init")), `{"keys":[{`, `"kid":"first-1"`, "2 added")
	s.says(run(shown(t, "terraform init")), `{"keys":[{`, `"kid":"first-1"`, "0 added, 0 changed, 0 destroyed")

	s.copy("index/merge", "")
	s.edit("merge.tf", "data.hsm_jwks.hydra", "data.hsm_jwks.first")
	s.says(run("openssl genrsa 2048 2>old.log | openssl rsa -pubout -out old.pem 2>>old.log\nterraform apply"),
		`\"kid\":\"old-1\"`, `\"alg\":\"RS256\"`)

	s.does(true, "rm", "main.tf", "merge.tf")
	s.copy("index/forget", "")
	s.edit("removed.tf", "hsm_rsa_keypair.id_token", "hsm_ec_keypair.first")
	s.write(filepath.Join(s.dir, "main.tf"), strings.Split(shown(t, "required_providers"), `resource "hsm_ec_keypair"`)[0])
	s.says(run("terraform apply"), "hsm_ec_keypair.first", "will not be destroyed")
	s.says(run("pkcs11-tool --module \"$HSM_LIBRARY\" --login --pin env:HSM_PIN --list-objects"), "Private Key Object", "66697273742d31")
}
