# The keys on the token, which HSM_LIBRARY, HSM_TOKEN_LABEL and HSM_PIN name: the state holds the public halves.

terraform {
  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

resource "hsm_rsa_keypair" "ca" {
  label        = "ca"
  modulus_bits = 2048
}

resource "hsm_rsa_keypair" "server" {
  label        = "server"
  modulus_bits = 2048
}
