terraform {
  required_version = ">= 1.8" # for the function key_id

  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

provider "hsm" {}

resource "hsm_ec_keypair" "tokens" {
  for_each = local.versions

  label           = each.key
  key_id          = provider::hsm::key_id(each.key) # so that each version has a kid of its own
  curve           = "P-256"
  deletion_policy = each.value.deletion_policy
}

# For whoever verifies.
data "hsm_jwks" "tokens" {
  uris = [for name, version in local.versions : hsm_ec_keypair.tokens[name].uri if version.published]
}

output "jwks" {
  value = data.hsm_jwks.tokens.json
}

# For whoever signs.
output "signs" {
  value = hsm_ec_keypair.tokens[local.signs].kid
}
