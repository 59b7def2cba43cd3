terraform {
  required_version = ">= 1.7" # for import blocks with for_each

  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

provider "hsm" {}

locals {
  names = ["service.mail", "service.shop"]
}

resource "hsm_ec_keypair" "service" {
  for_each = toset(local.names)

  label = each.key
  curve = "P-256"
}
