terraform {
  required_version = ">= 1.8" # for the function key_id

  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

provider "hsm" {}

# RSA with 4096 bits takes the same steps.
resource "hsm_ec_keypair" "access_token" {
  for_each = local.pairs

  label           = each.value.label
  key_id          = provider::hsm::key_id(each.key)
  curve           = "P-256"
  deletion_policy = each.value.deletion_policy
}

# In a local value, or each move of a label makes the set wait, and replaces what depends on it.
locals {
  uris = [for key in hsm_ec_keypair.access_token : key.uri]
}

# For verifiers that do not ask Hydra.
data "hsm_jwks" "access_token" {
  uris = local.uris
}

output "jwks" {
  value = data.hsm_jwks.access_token.json
}
