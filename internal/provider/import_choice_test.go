package provider_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// TestAnImportChoosesByFingerprint: two pairs of one ID and one label differ in nothing else.
func TestAnImportChoosesByFingerprint(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.OtherEyes, hsmtest.SameID)
	b := newBench(t)
	b.make("twin", "6b31")
	first := b.fingerprintOf("6b31")
	b.alter(privateHalf, "6b31", cryptoki.Bytes(cryptoki.CKA_ID, []byte("aside")))
	b.alter(publicHalf, "6b31", cryptoki.Bytes(cryptoki.CKA_ID, []byte("aside")))
	b.make("twin", "6b31")
	second := b.fingerprintOf("6b31")
	for _, half := range []uint{privateHalf, publicHalf} {
		b.alter(half, fmt.Sprintf("%x", "aside"), cryptoki.Bytes(cryptoki.CKA_ID, []byte("k1")))
	}
	config := b.config(pair("k", `label = "twin"`, `key_id = "6b31"`, `usage = ["decrypt", "sign", "unwrap"]`))
	by := func(id string, says ...remark) turn {
		return turn{TestStep: resource.TestStep{Config: config, ResourceName: key, ImportState: true, ImportStateId: id},
			says: says}
	}
	chosen := by("twin/6b31@" + strings.ToUpper(second))
	chosen.ImportStatePersist = true
	choices := []string{
		"terraform import hsm_rsa_keypair.NAME 6b31@" + first, "terraform import hsm_rsa_keypair.NAME 6b31@" + second,
	}
	b.test(
		by("6b31", fails("Unable to Import Key Pair: Several Keys With One ID", choices...).pointing("key_id")),
		by("twin/6b31", fails("Unable to Import Key Pair: Not One Key", choices...)),
		chosen,
		turn{TestStep: resource.TestStep{Config: config, ConfigStateChecks: []statecheck.StateCheck{attributes{key,
			func(state map[string]any) error {
				if state[fingerprint] != second {
					return fmt.Errorf("the state has %s, not %s", state[fingerprint], second)
				}
				return nil
			}}}}},
		turn{
			TestStep: resource.TestStep{Config: b.config(`resource "terraform_data" "none" {}`)},
			says:     []remark{warns("Others Use The Key ID", "6b31")},
		},
	)
}

// TestHalfAPairIsImportedOnceItsCertificateHasGivenTheOther runs the commands that the error prints.
func TestHalfAPairIsImportedOnceItsCertificateHasGivenTheOther(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.OtherEyes)
	b := newBench(t)
	b.make("web", "6b31")
	b.certify("6b31", "6b31", "a certificate")
	b.destroy("6b31", "pubkey")
	config := b.config(pair("k", `label = "web"`, `usage = ["decrypt", "sign", "unwrap"]`, `deletion_policy = "prevent"`))
	by := func(id string, says ...remark) turn {
		return turn{TestStep: resource.TestStep{Config: config, ResourceName: key, ImportState: true, ImportStateId: id},
			says: says}
	}
	const half = "Unable to Import Key Pair: Half A Key Pair"
	whole := by("6b31")
	whole.PreConfig = func() {
		folder := t.TempDir()
		for line := range strings.Lines(b.before[0].detail) {
			command, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "  ")
			if !ok || !regexp.MustCompile(`^(pkcs11-tool|openssl) `).MatchString(command) {
				continue
			}
			command = strings.Replace(command, "--login ", "--login --pin env:HSMTEST_TOOL_PIN ", 1)
			b.Command(t, "sh", "-c", "cd "+filepath.Clean(folder)+" && "+command)
		}
	}
	b.test(
		by("6b31", fails(half, "a certificate on the token has this ID").without("terraform state")),
		whole,
	)
}

// TestAConfigurationThatSoftHSMCannotUseIsNamed: the module itself says only that something failed.
func TestAConfigurationThatSoftHSMCannotUseIsNamed(t *testing.T) {
	t.Parallel()
	if os.Getenv(resource.EnvTfAcc) == "" || hsmtest.ThisMake(t).Name != "softhsm" {
		t.Skip("runs Terraform on SoftHSM: scripts/acceptance go test ./internal/provider")
	}
	b := &bench{t: t, Token: &hsmtest.Token{Library: hsmtest.Library(t), Label: "none", PIN: "12345678"}}
	s := newShell(t, b, "data \"hsm_tokens\" \"all\" {}\n")
	file := filepath.Join(t.TempDir(), "softhsm2.conf")
	write(t, file, "directories.tokendir = ~/softhsm # made later\n")
	for path, says := range map[string][]string{
		"/nowhere/softhsm2.conf": {"Module Configuration Not Readable", `"/nowhere/softhsm2.conf"`, "SOFTHSM2_CONF names",
			"no such file", "CKR_GENERAL_ERROR"},
		file: {"Token Folder Not Usable", `directories.tokendir "~/softhsm"`, "no such file", "CKR_GENERAL_ERROR",
			"does not expand"},
	} {
		printed, _ := s.with("SOFTHSM2_CONF="+path).terraform(true, "plan", "-no-color")
		for _, part := range says {
			if !wrapped(part).MatchString(printed) {
				t.Errorf("it does not say %q: %s", part, printed)
			}
		}
	}
}

// TestAnImportThatIsNotProvenWarns: on SoftHSM a private half on a curve shows nothing, and this token proves nothing.
func TestAnImportThatIsNotProvenWarns(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.OtherEyes)
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	b.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", "web", "--id", "6b32")
	s := newTalk(b, "hsm_ec_keypair")
	s.adopt("6b32")
	before := len(b.heard)
	for _, proof := range []string{"C_SignInit", "C_DeriveKey"} {
		b.faults.Inject(hsmtest.Fault{Function: proof, Code: cryptoki.CKR_MECHANISM_INVALID})
	}
	s.adopt("6b32")
	unproven := warns("Halves Not Proven To Be One Pair", `the key "web" (key_id 6b32)`,
		"that its usage (", "check that the result fits")
	if slices.ContainsFunc(b.heard[:before], unproven.matches) ||
		!slices.ContainsFunc(b.heard[before:], unproven.matches) {
		t.Errorf("it says %v", b.heard)
	}
}
