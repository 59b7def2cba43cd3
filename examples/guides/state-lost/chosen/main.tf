terraform {
  required_version = ">= 1.8" # for the function key_id

  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

provider "hsm" {}

resource "hsm_ec_keypair" "web" {
  for_each = toset(["web-1", "web-2"])

  label  = each.key
  key_id = provider::hsm::key_id(each.key)
  curve  = "P-256"
}
