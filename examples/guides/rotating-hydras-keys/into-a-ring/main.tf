terraform {
  required_version = ">= 1.7" # for removed

  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

resource "hsm_key_ring" "access_token" {
  label         = "hydra.jwt.access-token"
  key_id_prefix = "access-token-"
  generation    = 1
  curve         = "P-256"
}

import {
  to = hsm_key_ring.access_token
  id = "hydra.jwt.access-token" # the label of the pair that signs
}

removed {
  from = hsm_ec_keypair.access_token
  lifecycle {
    destroy = false
  }
}

removed {
  from = hsm_ec_keypair.access_token_next
  lifecycle {
    destroy = false
  }
}
