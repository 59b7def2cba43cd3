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
  label  = "tokens"
  key_id = provider::hsm::key_id("tokens-1")
  curve  = "P-256"
}

resource "hsm_rsa_keypair" "documents" {
  label        = "documents"
  key_id       = provider::hsm::key_id("documents-1")
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

data "hsm_jwks" "tokens" {
  uris = [hsm_ec_keypair.tokens.uri]
}

output "jwks" {
  value = data.hsm_jwks.tokens.json
}

output "ssh" {
  value = hsm_ec_keypair.tokens.public_key_openssh
}

output "documents" {
  value = hsm_rsa_keypair.documents.public_key_pem
}

output "letters" {
  value = hsm_rsa_keypair.letters.public_key_pem
}

output "tokens" {
  value = hsm_ec_keypair.tokens.public_key_pem
}
