terraform {
  required_providers {
    hsm = {
      source  = "terraform-provider-hsm/hsm"
      version = ">= 0.1.0"
    }
  }
}

provider "hsm" {}

resource "hsm_ec_keypair" "signing" {
  label = "jwt"
  curve = "P-256"
}
