terraform {
  required_version = ">= 1.10"

  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

provider "hsm" {}

resource "hsm_ec_keypair" "client" {
  label  = "client"
  key_id = provider::hsm::key_id("client-1")
  curve  = "P-256"
}

# In a local value, or each change of the key's label or policy makes the set wait.
locals {
  uris = [hsm_ec_keypair.client.uri]
}

# What the other side verifies with.
data "hsm_jwks" "client" {
  uris = local.uris
}

output "jwks" {
  value = data.hsm_jwks.client.json
}

output "pem" {
  value = hsm_ec_keypair.client.public_key_pem
}
