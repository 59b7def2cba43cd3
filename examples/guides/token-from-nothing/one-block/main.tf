terraform {
  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

# The token is that of HSM_TOKEN_LABEL, and its user's PIN is HSM_PIN.
provider "hsm" {}

resource "hsm_ec_keypair" "jwt" {
  label  = "jwt"
  key_id = "6a77742d31" # the text "jwt-1"
  curve  = "P-256"

  depends_on = [hsm_token.web]
}

locals {
  uris = [hsm_ec_keypair.jwt.uri]
}

data "hsm_jwks" "jwt" {
  uris = local.uris
}

output "jwks" {
  value = data.hsm_jwks.jwt.json
}
