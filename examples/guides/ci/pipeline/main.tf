terraform {
  required_version = ">= 1.10" # for ephemeral variables

  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

variable "pin" {
  type      = string
  ephemeral = true # a saved plan does not hold it
}

# The module and the token come from HSM_LIBRARY and HSM_TOKEN_LABEL.
provider "hsm" {
  pin = var.pin
}

resource "hsm_ec_keypair" "signing" {
  label  = "jwt"
  key_id = provider::hsm::key_id("jwt-1")
  curve  = "P-256"
}

# So that a plan shows when another key has taken this one's place.
output "fingerprint" {
  value = hsm_ec_keypair.signing.public_key_fingerprint_sha256
}
