package provider_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// hands is a resource whose provisioner writes ephemeral values into files in a folder, which nobody else sees.
func hands(folder string, values map[string]string) string {
	var b strings.Builder
	b.WriteString("resource \"terraform_data\" \"hands\" {\n")
	for name, value := range hsmtest.InOrder(values) {
		fmt.Fprintf(&b, "  provisioner \"local-exec\" {\n    command     = \"printf %%s \\\"$VALUE\\\" >%s\"\n"+
			"    environment = { VALUE = %s }\n  }\n", filepath.Join(folder, name), value)
	}
	return b.String() + "}\n"
}

// handed reads what hands has written.
func handed(t *testing.T, folder, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// needsEphemeral skips a test whose Terraform has no ephemeral resources.
func needsEphemeral(t *testing.T, s shell) {
	t.Helper()
	printed, _ := s.terraform(false, "version")
	for _, old := range []string{"Terraform v1.8.", "Terraform v1.9.", "OpenTofu v1.8.", "OpenTofu v1.9.",
		"OpenTofu v1.10."} {
		if strings.HasPrefix(printed, old) {
			t.Skipf("%shas no ephemeral resources", printed)
		}
	}
}

// TestWhatIsNeverStoredIsNowhere plans and applies tokens, signatures and random bytes. What a provisioner was handed
// is in no state, plan, log or output.
func TestWhatIsNeverStoredIsNowhere(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.OwnToken)
	b := newBench(t)
	folder := t.TempDir()
	values := map[string]string{
		"jwt": "ephemeral.hsm_jwt.k.token", "signature": "ephemeral.hsm_signature.k.signature_base64",
		"base64": "ephemeral.hsm_random.k.base64", "hex": "ephemeral.hsm_random.k.hex",
	}
	s := newShell(t, b, ephemeralPIN+pair("k", `label = "web"`, `key_id = "6b31"`)+
		ephemeralBlock("hsm_jwt", "k", "public_key_pem = hsm_rsa_keypair.k.public_key_pem",
			`claims = jsonencode({ sub = "somebody" })`)+
		ephemeralBlock("hsm_signature", "k", "public_key_pem = hsm_rsa_keypair.k.public_key_pem",
			`message_base64 = base64encode("text")`)+
		ephemeralBlock("hsm_random", "k", "bytes = 24")+hands(folder, values)).with("HSM_PIN=" + b.PIN)
	needsEphemeral(t, s)
	s.terraform(false, "plan", "-out=first.plan")
	_, log := s.terraform(false, "apply", "first.plan")
	if calls(log, "C_Sign") < 2 || calls(log, "C_GenerateRandom") != 1 {
		t.Errorf("the apply signed %d times, and asked for random bytes %d times", calls(log, "C_Sign"),
			calls(log, "C_GenerateRandom"))
	}
	first := map[string]string{}
	var secrets []string
	look := func() {
		t.Helper()
		for name := range values {
			text := handed(t, folder, name)
			if len(text) < 32 || name != "signature" && name != "jwt" && text == first[name] {
				t.Errorf("%s is %q", name, text)
			}
			first[name] = text
			secrets = append(secrets, text)
			if name == "jwt" {
				secrets = append(secrets, text[strings.LastIndexByte(text, '.')+1:])
			}
		}
	}
	look()
	s.terraform(false, "plan", "-out=second.plan", "-detailed-exitcode")
	s.terraform(false, "show", "-json", "second.plan")
	s.terraform(false, "apply", "-auto-approve", "-replace=terraform_data.hands")
	look()
	// A token that fails in the middle says nothing of it either.
	printed, _ := s.with("HSM_PIN="+b.PIN, "HSM_TOKEN_LABEL=nowhere").terraform(true, "plan", "-refresh=false")
	if !wrapped("Unable to Sign JWT: Token Not Found").MatchString(printed) {
		t.Errorf("without a token it says:\n%s", printed)
	}
	s.terraform(false, "destroy", "-auto-approve")
	s.innocent(append(secrets, b.PIN)...)
}
