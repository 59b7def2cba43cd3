terraform {
  required_version = ">= 1.5" # for import blocks

  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

provider "hsm" {}

resource "hsm_rsa_keypair" "mail" {
  label        = "mail"
  key_id       = "6d61696c"
  modulus_bits = 2048
}
