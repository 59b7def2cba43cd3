terraform {
  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

resource "hsm_ec_keypair" "access_token" {
  label  = "hydra.jwt.access-token"
  key_id = "6163636573732d746f6b656e2d31" # "access-token-1"
  curve  = "P-256"
}

resource "hsm_ec_keypair" "access_token_next" {
  label  = "hydra.jwt.access-token.standby"
  key_id = "6163636573732d746f6b656e2d32" # "access-token-2"
  curve  = "P-256"
}
