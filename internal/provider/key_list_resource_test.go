package provider_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/querycheck"
	"github.com/hashicorp/terraform-plugin-testing/querycheck/queryfilter"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/hashicorp/terraform-plugin-testing/tfversion"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

var knowsQueries = []tfversion.TerraformVersionCheck{tfversion.SkipBelow(tfversion.Version1_14_0)}

// listing is a block that lists key pairs.
func listing(name string, lines ...string) string {
	return fmt.Sprintf("list \"hsm_rsa_keypair\" %q {\n  provider = hsm\n  %s\n}\n", name, strings.Join(lines, "\n  "))
}

func TestKeyPairsAreListed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.needs = knowsQueries
	serial := b.serial()
	b.make("team/web", "6b31")
	b.make("team/shop", "6b32")
	b.make("other", "6b33")
	b.make("half", "6b34")
	b.destroy("6b34", "privkey")
	b.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "team/curve", "--id", "6b35")
	b.make("twins", "6b36")
	b.make("twins", "6b36")
	prefix := func(text string) string { return fmt.Sprintf("config {\n    label_prefix = %q\n  }", text) }
	query := func(config string, checks ...querycheck.QueryResultCheck) resource.TestStep {
		return resource.TestStep{Query: true, Config: config, QueryResultChecks: checks}
	}
	named := func(id string) queryfilter.QueryFilter {
		return queryfilter.ByResourceIdentity(identity(serial, id))
	}
	twins := warns("Several Keys With One ID", "These key pairs share a key ID", `- "twins" (key_id 6b36), SHA-256`)
	broken := query(listing("team", prefix("team")), querycheck.ExpectLength("hsm_rsa_keypair.team", 1), querycheck.ExpectIdentity("hsm_rsa_keypair.team", identity(serial, "6b32")))
	broken.PreConfig = func() {
		b.faults.Inject(hsmtest.Fault{Function: "C_GetAttributeValue", Do: func(_ context.Context, c *cryptoki.Call, next func() error) error {
			err := next()
			if reading, ok := c.Result.(*cryptoki.Reading); ok && bytes.Equal(reading.Attributes[cryptoki.CKA_ID], []byte("k1")) {
				if _, private := reading.Attributes[cryptoki.CKA_EXTRACTABLE]; !private {
					reading.Attributes[cryptoki.CKA_MODULUS] = []byte{7, 7, 7}
				}
			}
			return err
		}})
	}
	failed := query(listing("all"))
	failed.PreConfig = func() {
		b.faults.Clear()
		b.faults.Inject(hsmtest.Fault{Function: "C_FindObjectsInit", Code: cryptoki.CKR_DEVICE_ERROR})
	}
	b.test(
		turn{TestStep: resource.TestStep{Config: b.config(pair("k", `label = "managed"`, `key_id = "6b37"`))}},
		turn{
			TestStep: query(
				listing("all")+listing("team", "include_resource = true", prefix("team"))+listing("none", prefix("nobody"))+listing("two", "limit = 2"),
				querycheck.ExpectLength("hsm_rsa_keypair.all", 6),
				querycheck.ExpectIdentity("hsm_rsa_keypair.all", identity(serial, "6b37")),
				querycheck.ExpectLength("hsm_rsa_keypair.two", 2),
				querycheck.ExpectIdentity("hsm_rsa_keypair.two", identity(serial, "6b31")), // in the order of IDs
				querycheck.ExpectIdentity("hsm_rsa_keypair.two", identity(serial, "6b32")),
				querycheck.ExpectLength("hsm_rsa_keypair.team", 2),
				querycheck.ExpectResourceDisplayName("hsm_rsa_keypair.team", named("6b31"), knownvalue.StringExact("team/web (6b31)")),
				querycheck.ExpectResourceKnownValues("hsm_rsa_keypair.team", named("6b31"), []querycheck.KnownValueCheck{
					{Path: tfjsonpath.New("label"), KnownValue: knownvalue.StringExact("team/web")},
					{Path: tfjsonpath.New("key_id"), KnownValue: knownvalue.StringExact("6b31")},
					{Path: tfjsonpath.New("modulus_bits"), KnownValue: knownvalue.Int64Exact(2048)},
					{Path: tfjsonpath.New("deletion_policy"), KnownValue: knownvalue.StringExact("prevent")},
					{Path: tfjsonpath.New("timeouts"), KnownValue: knownvalue.Null()},
					{Path: tfjsonpath.New(fingerprint), KnownValue: knownvalue.StringExact(b.fingerprintOf("6b31"))},
				}),
			),
			says: []remark{twins},
		},
		turn{TestStep: broken, says: []remark{warns("Left Out Of The List", `"team/web" (ID 6b31)`, "CKA_MODULUS", "--list-objects")}},
		turn{TestStep: failed, says: []remark{fails("Unable to List Key Pairs", "CKR_DEVICE_ERROR")}},
		turn{TestStep: resource.TestStep{PreConfig: b.faults.Clear, Config: b.config(pair("k", `label = "managed"`, `key_id = "6b37"`))}},
	)
}

// What is listed becomes configuration that changes nothing, but for usages that no key of its type can have.
func TestAListBecomesConfiguration(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := newShell(t, b, "").with("HSM_PIN="+b.PIN, "TF_LOG=")
	s.configure()
	if out, ok := s.try("query"); !ok && !strings.Contains(out, "No resources to query") && !strings.Contains(out, "query files") {
		t.Skipf("this Terraform has no queries: %s", out)
	}
	b.make("team/web", "6b31")
	b.Tool(t, "--keypairgen", "--key-type", "rsa:3072", "--usage-decrypt", "--extractable", "--label", "${quoted} \"label\"", "--id", "FF02")
	whole := b.halves()
	s.write(filepath.Join(s.dir, "all.tfquery.hcl"), listing("all")+strings.Replace(listing("curves"), "hsm_rsa_keypair", "hsm_ec_keypair", 1)+
		strings.Replace(listing("secrets"), "hsm_rsa_keypair", "hsm_secret_key", 1))
	// SoftHSM lets such keys decrypt, unwrap, and on any curve derive; a secret key may do all.
	b.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "curve", "--id", "6b33")
	b.Tool(t, "--keypairgen", "--key-type", "EC:edwards25519", "--label", "edwards", "--id", "6b34")
	b.Tool(t, "--keygen", "--key-type", "GENERIC:32", "--sensitive", "--private", "--label", "mac", "--id", "6b35")
	s.run("query", "-generate-config-out=generated.tf")
	generated, err := os.ReadFile(filepath.Join(s.dir, "generated.tf"))
	if err != nil {
		t.Fatal(err)
	}
	if out := s.run("plan"); !strings.Contains(out, "Plan: 5 to import, 0 to add, 3 to change, 0 to destroy.") {
		t.Errorf("the plan is:\n%s\nof:\n%s", out, generated)
	}
	s.run("apply", "-auto-approve")
	if out := s.run("plan"); !strings.Contains(out, "No changes.") {
		t.Errorf("after the import, the plan is:\n%s", out)
	}
	b.expect(append(whole, private("curve", "6b33", "sign, derive"), public("curve", "6b33", "verify, derive"), private("edwards", "6b34", "sign"), public("edwards", "6b34", "verify"), secretHalf("mac", "6b35", "verify"))...)
}
