package provider_test

import (
	"os"
	"path/filepath"
	"testing"
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
	s.write(filepath.Join(s.dir, "main.tf"), string(config)+`
		resource "hsm_ec_keypair" "k" {
		  label = "k"
		  curve = "P-256"
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
		  pairs = { rsa = hsm_rsa_keypair.id_token, ec = hsm_ec_keypair.k, public = data.hsm_public_key.k }
		}
	`)
	test := `
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
		}
	`
	// Hydra's keys have IDs of their own, which are not those of the mock.
	s.edit("main.tf", `key_id = "69642d746f6b656e2d31"`, "")
	s.does(true, "terraform", "init")
	file := filepath.Join(s.dir, "mock.tftest.hcl")
	s.write(file, `mock_provider "hsm" {}`+test)
	s.says(s.does(false, "terraform", "test"), "Invalid PKCS#11 URI")
	s.write(file, `mock_provider "hsm" { source = "./mocks" }`+test)
	s.says(s.does(true, "terraform", "test"), "1 passed, 0 failed.")
}
