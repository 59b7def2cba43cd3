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

# The import takes key IDs from the token, and only keys that the PIN protects.
data "hsm_keys" "service" {
  class        = "private"
  type         = "EC"
  label_prefix = "service."
}

import {
  for_each = {
    for key in data.hsm_keys.service.keys : key.label => key.key_id
    if key.private == true && contains(local.names, key.label)
  }
  to = hsm_ec_keypair.service[each.key]
  id = each.value
}
