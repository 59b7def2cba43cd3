terraform {
  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

# It makes tokens: HSM_LIBRARY and the PINs are all that it needs.
provider "hsm" {}

resource "hsm_token" "web" {
  label = "web"
}

provider "hsm" {
  alias        = "web"
  token_serial = hsm_token.web.serial
}

resource "hsm_ec_keypair" "jwt" {
  provider = hsm.web
  label    = "jwt"
  key_id   = "6a77742d31" # the text "jwt-1"
  curve    = "P-256"
}
