package provider_test

import (
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// certify writes a certificate for the public key of an ID to the token: openssl makes it, and pkcs11-tool writes it.
func (b *bench) certify(keyID, certificateID, label string) {
	b.t.Helper()
	at := func(name string) string { return filepath.Join(b.t.TempDir(), name) }
	public, ca, certificate := at("public.pem"), at("ca.pem"), at("certificate.der")
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: b.spki(keyID)})
	if err := os.WriteFile(public, text, 0o600); err != nil {
		b.t.Fatal(err)
	}
	b.Command(b.t, "openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", ca)
	b.Command(b.t, "openssl", "x509", "-new", "-key", ca, "-subj", "/CN="+label, "-days", "9", "-outform", "DER",
		"-force_pubkey", public, "-out", certificate)
	b.Tool(b.t, "--write-object", certificate, "--type", "cert", "--id", certificateID, "--label", label)
}

// certificates lists the certificates on the token as pkcs11-tool does: by label, with their IDs.
func (b *bench) certificates() map[string]string {
	b.t.Helper()
	ids := map[string]string{}
	for _, o := range b.halves() {
		if o.class == "Certificate" {
			ids[o.label] = o.id
		}
	}
	return ids
}

// keytool is what Java's keytool says of the token, "" where there is no Java. Without arguments it lists.
func (b *bench) keytool(args ...string) string {
	b.t.Helper()
	if len(args) == 0 {
		args = []string{"-list"}
	}
	if _, err := exec.LookPath("keytool"); err != nil || !hsmtest.Has(b.t, hsmtest.TwoTokens) {
		return ""
	}
	slot := ""
	for line := range strings.Lines(b.Command(b.t, "pkcs11-tool", "--module", b.ToolLibrary(), "--list-token-slots")) {
		if s, ok := strings.CutPrefix(line, "Slot "); ok {
			slot = strings.Fields(s)[1]
		}
		if strings.Contains(line, "token label") && strings.HasSuffix(strings.TrimSpace(line), ": "+b.Label) {
			break
		}
	}
	file := filepath.Join(b.t.TempDir(), "token.cfg")
	text := fmt.Sprintf("name = test\nlibrary = %s\nslot = %s\n", b.ToolLibrary(), strings.Trim(slot, "():"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return b.Command(b.t,
		append(append([]string{"keytool"}, args...), "-keystore", "NONE", "-storetype", "PKCS11", "-providerClass",
			"sun.security.pkcs11.SunPKCS11", "-providerArg", file, "-storepass:env", "HSMTEST_TOOL_PIN")...)
}

// TestCertificatesFollowAKeyWhereTheConfigurationSaysSo changes the ID of a key that has a certificate, and destroys
// it.
func TestCertificatesFollowAKeyWhereTheConfigurationSaysSo(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.OtherEyes)
	b := newBench(t)
	b.make("stranger", "6b39")
	at := func(keyID string, lines ...string) string {
		return pair("k", append([]string{`label = "web"`, fmt.Sprintf("key_id = %q", keyID)}, lines...)...)
	}
	const keep, changes = "Certificates Keep The Old Key ID", "Key ID Changes"
	are := func(own, foreign string) holds {
		return func() error {
			if have := b.certificates(); have["web"] != own || have["stranger"] != foreign {
				return fmt.Errorf("the certificates have the IDs %v", have)
			}
			return nil
		}
	}
	orphans := warns("Certificates Of A Destroyed Key", `"web" (key_id 6b32)`, `- "web"`,
		"--delete-object --type cert --id 6b32 --label web").without("stranger")
	b.test(
		create(b, at("6b31")),
		turn{
			TestStep: resource.TestStep{Config: b.config(at("6b32")), PlanOnly: true, ExpectNonEmptyPlan: true,
				PreConfig: func() {
					b.certify("6b31", "6b31", "web")
					b.certify("6b39", "6b31", "stranger")
				}},
			says: []remark{
				warns(changes, `"web" (key_id 6b31)`, "6b32", "for_each", "moved").pointing("key_id"),
				warns(keep, `- "web"`, `- "stranger": its public key is that of another key`, "move_certificates = true",
					"--set-id 6b32 --type cert --id 6b31 --label web").pointing("key_id"),
			},
		},
		turn{
			TestStep: resource.TestStep{
				Config: b.config(at("6b32", "move_certificates = true")), ConfigPlanChecks: willBe(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{are("6b32", "6b31"), holds(func() error {
					if listed := b.keytool(); listed != "" && !strings.Contains(listed, "web, PrivateKeyEntry") {
						return fmt.Errorf("keytool lists %s", listed)
					}
					return nil
				})},
			},
			says: []remark{
				warns(changes).pointing("key_id"),
				warns(keep, `- "stranger": `).without(`- "web"`).pointing("key_id"),
			},
		},
		turn{ // a replacement destroys the key, too
			TestStep: resource.TestStep{
				Config: b.config(at("6b32", "extractable = true")), PlanOnly: true, ExpectNonEmptyPlan: true,
			},
			says: []remark{orphans, underOldID},
		},
		turn{
			TestStep: resource.TestStep{
				Config:            b.config(`resource "terraform_data" "none" {}`),
				ConfigStateChecks: []statecheck.StateCheck{are("6b32", "6b31")},
			},
			says: []remark{orphans},
		},
		turn{
			TestStep: resource.TestStep{Config: b.config(at("6b31")), PlanOnly: true, ExpectNonEmptyPlan: true},
			says: []remark{warns("Certificates Already Have The Key ID", `- "stranger"`,
				"--set-id NEW_ID --type cert --id 6b31 --label stranger").pointing("key_id")},
		},
	)
}
