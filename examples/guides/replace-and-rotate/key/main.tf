terraform {
  required_version = ">= 1.4"

  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

provider "hsm" {}

resource "hsm_ec_keypair" "web" {
  for_each = local.versions

  label           = each.key
  key_id          = each.value.key_id # its text is the kid, so each version has one of its own
  curve           = "P-256"
  deletion_policy = each.value.deletion_policy
}

# In a local value, or each change of a key's policy makes the set wait, and replaces what depends on it.
locals {
  published = [for name, version in local.versions : hsm_ec_keypair.web[name].uri if version.published]
}

# For whoever verifies.
data "hsm_jwks" "web" {
  uris = local.published
}

output "jwks" {
  value = data.hsm_jwks.web.json
}

# For whoever signs.
output "signs" {
  value = hsm_ec_keypair.web[local.signs].kid
}
