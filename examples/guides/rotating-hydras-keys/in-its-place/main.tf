terraform {
  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

resource "hsm_ec_keypair" "first" {
  label  = "hydra.jwt.access-token.standby"
  key_id = "6669727374" # "first"
  curve  = "P-256"

  depends_on = [hsm_key_ring.access_token] # which gets the label first
}

resource "hsm_key_ring" "access_token" {
  label         = "hydra.jwt.access-token"
  key_id_prefix = "access-token-"
  generation    = 1
  curve         = "P-256"
}
