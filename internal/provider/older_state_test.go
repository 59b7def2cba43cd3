package provider_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// TestAStateOfAnEarlierVersionPlansEmpty runs a plan on the state that an earlier version left, and on the token it is
// of. testdata has, in a folder for each version, the configuration, the state and the files of SoftHSM's token, whose
// keys are good for nothing else: the PIN stands here.
func TestAStateOfAnEarlierVersionPlansEmpty(t *testing.T) {
	t.Parallel()
	if os.Getenv(resource.EnvTfAcc) == "" {
		t.Skip("runs Terraform: scripts/acceptance go test ./internal/provider")
	}
	if hsmtest.ThisMake(t).Name != "softhsm" {
		t.Skip("the token is one of SoftHSM's")
	}
	folders, err := filepath.Glob("testdata/state-*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no states: %v", err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			t.Parallel()
			read := func(name string) string {
				text, err := os.ReadFile(filepath.Join(folder, name))
				if err != nil {
					t.Fatal(err)
				}
				return string(text)
			}
			b := &bench{t: t, Token: &hsmtest.Token{Library: hsmtest.Library(t), Label: "state", PIN: "12345678"}}
			tokens := t.TempDir()
			if err := os.CopyFS(filepath.Join(tokens, "state"), os.DirFS(filepath.Join(folder, "token"))); err != nil {
				t.Fatal(err)
			}
			s := newShell(t, b, read("keys.tf"))
			conf := filepath.Join(t.TempDir(), "softhsm2.conf")
			s.write(conf, "directories.tokendir = "+tokens+"\nobjectstore.backend = file\nlog.level = ERROR\n")
			state := read("state.json")
			if host := os.Getenv("TF_ACC_PROVIDER_HOST"); host != "" {
				state = strings.ReplaceAll(state, "registry.terraform.io/", host+"/")
			}
			s.write(filepath.Join(s.dir, "terraform.tfstate"), state)
			s = s.with("SOFTHSM2_CONF="+conf, "HSM_PIN="+b.PIN)
			if printed, _ := s.terraform(false, "plan", "-detailed-exitcode", "-no-color", "-refresh=false"); !strings.Contains(printed, "No changes.") {
				t.Errorf("the plan without a refresh: %s", printed)
			}
			printed, log := s.terraform(false, "plan", "-detailed-exitcode", "-no-color")
			if !strings.Contains(printed, "No changes.") {
				t.Errorf("the plan: %s", printed)
			}
			resources, looks := strings.Count(state, `"mode": "managed"`), calls(log, "C_GetAttributeValue")
			if resources < 3 || looks < resources {
				t.Errorf("%d calls of C_GetAttributeValue for %d resources", looks, resources)
			}
			// An update without a refresh says what that state does not have yet.
			main := filepath.Join(s.dir, "main.tf")
			text, err := os.ReadFile(main)
			if err != nil {
				t.Fatal(err)
			}
			// What the state has wrong, as no refresh has seen it, stays wrong in the apply: else Terraform refuses its result.
			file := filepath.Join(s.dir, "terraform.tfstate")
			if had, err := os.ReadFile(file); err != nil || !strings.Contains(string(had), `"local": true`) {
				t.Fatalf("%v: the state: %s", err, had)
			} else {
				s.write(file, strings.Replace(string(had), `"local": true`, `"local": false`, 1))
			}
			// The label of one is known in the apply alone, so that a set of it must not be read before.
			s.write(main, strings.NewReplacer(`"a pair on a curve"`, "terraform_data.label.output", `"an `, `"another `,
				`"a `,
				`"another `).Replace(string(text))+`
				resource "terraform_data" "label" { input = "a late label" }
				locals { uris = [hsm_ec_keypair.k.uri] }
				data "hsm_jwks" "late" { uris = local.uris }
				output "late" { value = data.hsm_jwks.late.keys[0].label }`)
			s.terraform(false, "apply", "-auto-approve", "-refresh=false", "-no-color")
			untold := regexp.MustCompile(`"(private|sensitive|token_serial)": null`)
			if has, err := os.ReadFile(file); err != nil || untold.Match(has) {
				t.Errorf("%v: the state after an update lacks what it has told: %s", err, has)
			}
			if printed, _ := s.terraform(false, "plan", "-no-color"); !strings.Contains(printed, "No changes.") {
				t.Errorf("the plan after an update: %s", printed)
			}
			if printed, _ := s.terraform(false, "output", "-no-color", "-raw", "late"); printed != "a late label" {
				t.Errorf("the set has the label %q", printed)
			}
			// A new label has taken the old one out of the URI.
			if printed, _ := s.terraform(false, "output", "-no-color", "-raw", "uri"); printed != "pkcs11:token=state;id=%6B%31" {
				t.Errorf("the URI after an update: %s", printed)
			}
			// A replacement is planned without the token where the run may still bring what is missing, and the plan
			// says so.
			if text, err = os.ReadFile(main); err != nil {
				t.Fatal(err)
			}
			s.write(main, strings.Replace(string(text), "= 2048", "= 3072", 1)+`
				resource "terraform_data" "pin" { input = "12345678" }
				provider "hsm" { pin = terraform_data.pin.output }`)
			printed, _ = s.terraform(false, "plan", "-refresh=false", "-target=hsm_rsa_keypair.k", "-no-color")
			for _, part := range []string{"New Keys Not Checked Against The Token",
				"hsm_rsa_keypair.k must be replaced"} {
				if !strings.Contains(printed, part) {
					t.Errorf("the plan of a replacement without a PIN does not say %q: %s", part, printed)
				}
			}
		})
	}
}
