terraform {
  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

# The library, the token and the PIN come from the environment.
provider "hsm" {}

resource "hsm_ec_keypair" "issuing" {
  label  = "issuing"
  key_id = "69737375696e672d31" # the text "issuing-1"
  curve  = "P-256"
}

resource "hsm_cert_request" "issuing" {
  public_key_pem = hsm_ec_keypair.issuing.public_key_pem

  subject {
    common_name  = "Example Issuing CA"
    organization = "Example"
  }
}

output "request" {
  value = hsm_cert_request.issuing.cert_request_pem
}

output "fingerprint" {
  value = hsm_ec_keypair.issuing.public_key_fingerprint_sha256
}
