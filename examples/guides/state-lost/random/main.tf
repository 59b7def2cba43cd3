terraform {
  required_version = ">= 1.7" # for import blocks with for_each

  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

provider "hsm" {}

resource "hsm_ec_keypair" "service" {
  for_each = toset(["service.mail", "service.shop"])

  label = each.key
  curve = "P-256"
}
