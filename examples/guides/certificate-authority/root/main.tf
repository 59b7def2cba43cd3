terraform {
  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

# The library, the token and the PIN come from the environment.
provider "hsm" {}

resource "hsm_ec_keypair" "root" {
  label  = "root"
  key_id = "726f6f742d31" # the text "root-1"
  curve  = "P-384"
}

resource "hsm_self_signed_cert" "root" {
  public_key_pem = hsm_ec_keypair.root.public_key_pem

  subject {
    common_name  = "Example Root CA"
    organization = "Example"
  }

  is_ca_certificate     = true
  max_path_length       = 1 # one more CA may follow it, and that one's leaves
  allowed_uses          = ["cert_signing", "crl_signing"]
  validity_period_hours = 175320 # 20 years

  # Everyone who trusts it would have to trust another one.
  lifecycle {
    prevent_destroy = true
  }
}

resource "hsm_crl" "root" {
  ca_cert_pem           = hsm_self_signed_cert.root.cert_pem
  validity_period_hours = 8766 # a year
  early_renewal_hours   = 1440 # due two months before
  revoked               = []
}

output "root" {
  value = hsm_self_signed_cert.root.cert_pem
}

output "crl" {
  value = hsm_crl.root.crl_pem
}
