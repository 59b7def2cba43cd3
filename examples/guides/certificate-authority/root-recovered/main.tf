terraform {
  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

provider "hsm" {}

import {
  to = hsm_ec_keypair.root
  id = "726f6f742d31"
}

resource "hsm_ec_keypair" "root" {
  label  = "root"
  key_id = "726f6f742d31" # the text "root-1"
  curve  = "P-384"
}

resource "hsm_crl" "root" {
  ca_cert_pem           = file("root.pem")
  validity_period_hours = 8766 # a year
  early_renewal_hours   = 1440 # due two months before
  revoked               = []   # as in the last list
}

output "root" {
  value = file("root.pem")
}

output "crl" {
  value = hsm_crl.root.crl_pem
}
