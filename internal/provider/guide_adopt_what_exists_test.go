package provider_test

import (
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

func (b *bench) makesMail() {
	b.t.Helper()
	b.Tool(b.t, "--keypairgen", "--key-type", "rsa:2048", "--usage-sign", "--label", "mail", "--id", "6d61696c")
}

func TestTheGuideAdoptWhatExists(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.makesMail()
	s := newReader(t, "adopt-what-exists/look").onToken(b)
	s.says(s.does(true, "sh", "look.sh"), "mail", "6d61696c")
	s.take("adopt-what-exists/one")
	hide := func(file string) { s.does(true, "mv", file, file+".not") }
	hide("import.tf")
	s.does(true, "terraform", "init")
	s.says(s.does(true, "sh", "-c", ". ./look.sh && . ./import.sh"), "Import successful!")
	s.does(true, "terraform", "state", "rm", "hsm_rsa_keypair.mail")
	s.says(s.does(false, "sh", "-c", `fingerprint=$(printf %064d 0) && . ./import.sh`), "Fingerprint Differs")
	s.does(true, "mv", "import.tf.not", "import.tf")
	said := s.does(true, "terraform", "apply", "-auto-approve")
	s.says(said, `- "decrypt"`, `- "unwrap"`, "1 imported, 0 added, 1 changed, 0 destroyed")
	s.says(s.does(true, "terraform", "plan"), "No changes.")
	s.edit("main.tf", "modulus_bits = 2048", "")
	s.says(s.does(false, "terraform", "plan"), "Key Is Protected From Replacement", "write what it has into the configuration: modulus_bits = 2048")
}

// A stranger's key of the same label is not taken for the one that is meant.
func TestTheGuideAdoptWhatExistsForSeveralKeys(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t)
	b := newBench(t)
	for name, id := range hsmtest.InOrder(map[string]string{"service.mail": "01", "service.shop": "02", "service.other": "03"}) {
		b.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", name, "--id", id)
	}
	s := newReader(t, "adopt-what-exists/several", "adopt-what-exists/several-imports").onToken(b)
	s.does(true, "terraform", "init")
	s.edit("main.tf", `"service.shop"`, `"service.shopp"`)
	s.says(s.does(true, "terraform", "plan"), "Plan: 1 to import, 1 to add")
	s.edit("main.tf", `"service.shopp"`, `"service.shop"`)
	s.says(s.does(true, "terraform", "apply", "-auto-approve"), "2 imported, 0 added, 2 changed, 0 destroyed")
	s.says(s.does(true, "terraform", "plan"), "No changes.")
	if keys := b.labels(); len(keys) != 3 {
		t.Errorf("the token holds %v", keys)
	}
	hsmtest.NewStranger(t, b.Token).MakesPair(t, hsmtest.StrangerP256, "service.mail", "04")
	s.does(true, "terraform", "state", "rm", `hsm_ec_keypair.service["service.mail"]`)
	s.says(s.does(true, "terraform", "plan"), `Preparing import... [id=01]`, "Plan: 1 to import, 0 to add, 0 to change")
}

func TestTheGuideAdoptWhatExistsByGeneratedConfiguration(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.makesMail()
	s := newReader(t, "adopt-what-exists/generate").onToken(b)
	s.does(true, "terraform", "init")
	s.says(s.does(true, "terraform", "plan", "-generate-config-out=adopted.tf"), "Plan: 1 to import, 0 to add, 0 to change")
	s.says(s.does(true, "terraform", "apply", "-auto-approve"), "1 imported, 0 added, 0 changed")
}

func TestTheGuideAdoptWhatExistsByQuery(t *testing.T) {
	t.Parallel()
	needsMinor(t, 14)
	b := newBench(t)
	b.makesMail()
	s := newReader(t, "adopt-what-exists/query").onToken(b)
	s.does(true, "terraform", "init")
	s.says(s.does(true, "terraform", "query"), "list.hsm_rsa_keypair.pair", "mail (6d61696c)")
	s.does(true, "terraform", "query", "-generate-config-out=adopted.tf")
	s.says(s.does(true, "terraform", "apply", "-auto-approve"), "1 imported, 0 added, 0 changed")
}

// needsMinor skips the test on OpenTofu, and on a Terraform before 1.MINOR.
func needsMinor(t *testing.T, minor int) {
	t.Helper()
	s := newReader(t)
	if os.Getenv("TF_ACC_PROVIDER_HOST") != "" {
		t.Skip("OpenTofu does not have what the guide shows of Terraform")
	}
	version := regexp.MustCompile(`"terraform_version": "1\.(\d+)\.`).FindStringSubmatch(s.does(true, "terraform", "version", "-json"))
	if version == nil {
		t.Fatal("Terraform does not say which version it is")
	}
	if has, err := strconv.Atoi(version[1]); err != nil || has < minor {
		t.Skipf("this is Terraform 1.%s, and the guide needs 1.%d", version[1], minor)
	}
}
