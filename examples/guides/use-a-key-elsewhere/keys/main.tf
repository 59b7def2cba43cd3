terraform {
  required_version = ">= 1.8" # for the function key_id

  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

provider "hsm" {}

resource "hsm_ec_keypair" "jwt" {
  label  = "jwt"
  key_id = provider::hsm::key_id("jwt-1")
  curve  = "P-256"
}

resource "hsm_rsa_keypair" "seal" {
  label        = "seal"
  key_id       = provider::hsm::key_id("seal-1")
  modulus_bits = 2048
}

resource "hsm_rsa_keypair" "letters" {
  label        = "letters"
  key_id       = provider::hsm::key_id("letters-1")
  modulus_bits = 2048
  usage        = ["decrypt"]
}

resource "hsm_secret_key" "records" {
  label  = "records"
  key_id = provider::hsm::key_id("records-1")
  type   = "aes"
  bits   = 256
  usage  = ["encrypt", "decrypt"]
}

# In a local value, or each change of the key's label or policy makes the set wait, and replaces what depends on it.
locals {
  uris = [hsm_ec_keypair.jwt.uri]
}

data "hsm_jwks" "jwt" {
  uris = local.uris
}

output "jwks" {
  value = data.hsm_jwks.jwt.json
}

output "key_ids" {
  value = {
    jwt     = hsm_ec_keypair.jwt.key_id
    letters = hsm_rsa_keypair.letters.key_id
    records = hsm_secret_key.records.key_id
    seal    = hsm_rsa_keypair.seal.key_id
  }
}

output "ssh" {
  value = hsm_ec_keypair.jwt.public_key_openssh
}

output "jwt" {
  value = hsm_ec_keypair.jwt.public_key_pem
}

output "letters" {
  value = hsm_rsa_keypair.letters.public_key_pem
}

output "seal" {
  value = hsm_rsa_keypair.seal.public_key_pem
}
