terraform {
  required_version = ">= 1.7" # for removed

  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

removed {
  from = hsm_key_ring.access_token
  lifecycle {
    destroy = false
  }
}

resource "hsm_ec_keypair" "access_token" {
  label  = "hydra.jwt.access-token"
  key_id = "6163636573732d746f6b656e2d31" # "access-token-1"
  curve  = "P-256"
}

import {
  to = hsm_ec_keypair.access_token
  id = "6163636573732d746f6b656e2d31"
}

resource "hsm_ec_keypair" "access_token_next" {
  label  = "hydra.jwt.access-token.standby"
  key_id = "6163636573732d746f6b656e2d32" # "access-token-2"
  curve  = "P-256"
}

import {
  to = hsm_ec_keypair.access_token_next
  id = "6163636573732d746f6b656e2d32"
}
