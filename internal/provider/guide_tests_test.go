package provider_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider"
)

// OpenTofu has no files of mocks.
func needsTerraform(t *testing.T) {
	t.Helper()
	if os.Getenv("TF_ACC_PROVIDER_HOST") != "" {
		t.Skip("OpenTofu does not have what the guide shows of Terraform")
	}
}

func TestTheGuideTests(t *testing.T) {
	t.Parallel()
	needsTerraform(t)
	s := newReader(t, "tests/key")
	s.copy("tests/mocks", "mocks")
	s.does(true, "terraform", "init")
	s.says(s.does(true, "terraform", "test", "-filter=mock.tftest.hcl"), "1 passed, 0 failed.")
	s.says(s.does(true, "terraform", "test", "-filter=override.tftest.hcl"), "1 passed, 0 failed.")
	s.edit("override.tftest.hcl", "uri =", "#")
	s.says(s.does(false, "terraform", "test", "-filter=override.tftest.hcl"), "Invalid PKCS#11 URI")
	s.says(s.does(true, "./token.sh"), "1 passed, 0 failed.")
	s.edit("token.tftest.hcl", `"delete"`, `"prevent"`)
	s.says(s.does(false, "./token.sh"), "Key Is Protected From Destruction", "they need to be cleaned up manually")
}

// A mock without the file breaks a set, as the guide says; with it, Hydra's example passes. What the file says of a key
// is of one key.
func TestTheMocksOfTheGuideTests(t *testing.T) {
	t.Parallel()
	needsTerraform(t)
	s := newReader(t)
	s.copy("tests/mocks", "mocks")
	config, err := os.ReadFile(filepath.Join(examples, "hydra", "main.tf"))
	if err != nil {
		t.Fatal(err)
	}
	tested, err := os.ReadFile(filepath.Join(examples, "guides", "tests", "key", "main.tf"))
	if err != nil {
		t.Fatal(err)
	}
	variable := regexp.MustCompile(`(?s)variable "deletion_policy" \{.*?\n\}`).FindString(string(tested))
	s.write(filepath.Join(s.dir, "main.tf"), string(config)+`
		resource "hsm_ec_keypair" "k" {
		  label = "k"
		  curve = "P-256"
		}
		resource "hsm_ml_dsa_keypair" "k" {
		  label         = "k"
		  parameter_set = "ML-DSA-44"
		}
		resource "hsm_secret_key" "k" {
		  label = "k"
		  type  = "aes"
		  bits  = 256
		  usage = ["encrypt"]
		}
		data "hsm_public_key" "k" { uri = hsm_ec_keypair.k.uri }
		data "hsm_jwks" "all" { uris = [hsm_ec_keypair.k.uri, hsm_secret_key.k.uri] }
		locals {
		  pairs = { rsa = hsm_rsa_keypair.id_token, ec = hsm_ec_keypair.k, ml_dsa = hsm_ml_dsa_keypair.k, public = data.hsm_public_key.k }
		}
	`)
	test := `
		variables {
		  deletion_policy = "delete"
		}
		run "hydra" {
		  assert {
		    condition     = provider::hsm::jwks([hsm_rsa_keypair.id_token.jwk, hsm_ec_keypair.k.jwk]) == terraform_data.verifier.output
		    error_message = "the set has other keys"
		  }
		  assert {
		    condition     = alltrue([for p in local.pairs : provider::hsm::jwk_to_pem(p.jwk) == p.public_key_pem])
		    error_message = "a PEM and a JWK differ"
		  }
		  assert {
		    condition     = alltrue([for p in local.pairs : provider::hsm::kid(p.key_id) == p.kid && jsondecode(p.jwk).kid == p.kid])
		    error_message = "a key ID and a kid differ"
		  }
		  assert {
		    condition     = data.hsm_public_key.k.public_key_openssh == hsm_ec_keypair.k.public_key_openssh
		    error_message = "the lines for OpenSSH differ"
		  }
		  assert {
		    condition     = hsm_rsa_keypair.id_token.deletion_policy == "delete"
		    error_message = "the key is protected"
		  }
		}
	`
	// Hydra's keys have IDs of their own, which are not those of the mock. The lines for a real token do no harm.
	s.edit("main.tf", `key_id = "69642d746f6b656e2d31"`, "deletion_policy = var.deletion_policy")
	s.edit("main.tf", `key_id = "6163636573732d746f6b656e2d31"`, "deletion_policy = var.deletion_policy")
	s.edit("main.tf", `provider "hsm" {}`, `provider "hsm" {}`+"\n"+variable)
	s.does(true, "terraform", "init")
	file := filepath.Join(s.dir, "mock.tftest.hcl")
	s.write(file, `mock_provider "hsm" {}`+test)
	s.says(s.does(false, "terraform", "test"), "Invalid PKCS#11 URI")
	s.write(file, `mock_provider "hsm" { source = "./mocks" }`+test)
	s.says(s.does(true, "terraform", "test"), "1 passed, 0 failed.")
}

// A mock says each value that the provider computes, but for a set's list, which Terraform does not take. A random text
// stands for what a mock does not say.
func TestTheMocksLackNoValue(t *testing.T) {
	file, err := os.ReadFile(filepath.Join(examples, "guides", "tests", "mocks", "hsm.tfmock.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	server := provider.NewServer(provider.New("test"))()
	schemas, err := server.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	mocked := map[string]bool{}
	mocks := regexp.MustCompile(`(?ms)^mock_(resource|data) "(\w+)" \{\n(.*?)^\}`)
	for _, mock := range mocks.FindAllStringSubmatch(string(file), -1) {
		mocked[mock[2]] = true
		schema := schemas.ResourceSchemas[mock[2]]
		if mock[1] == "data" {
			schema = schemas.DataSourceSchemas[mock[2]]
		}
		for _, a := range schema.Block.Attributes {
			said := regexp.MustCompile(`(?m)^    ` + a.Name + ` += `).MatchString(mock[3])
			if a.Computed && a.Name != "keys" && !said {
				t.Errorf("the mock of %s says no %s", mock[2], a.Name)
			}
		}
	}
	for name := range schemas.ResourceSchemas {
		if !mocked[name] {
			t.Errorf("%s has no mock", name)
		}
	}
}
