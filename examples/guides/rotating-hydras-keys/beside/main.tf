terraform {
  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

resource "hsm_ec_keypair" "first" {
  label  = "hydra.jwt.access-token"
  key_id = "6669727374" # "first"
  curve  = "P-256"
}

resource "hsm_key_ring" "access_token" {
  label         = "hydra.jwt.access-token.new" # published, too
  standby_label = "hydra.jwt.access-token.standby"
  key_id_prefix = "access-token-"
  generation    = 1
  curve         = "P-256"
}
