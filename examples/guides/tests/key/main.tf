terraform {
  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

provider "hsm" {}

variable "deletion_policy" {
  description = "What happens to the key when it is destroyed. Tests on a real token say delete, and clean up."
  type        = string
  default     = "prevent"
}

resource "hsm_ec_keypair" "signing" {
  label           = "jwt"
  curve           = "P-256"
  deletion_policy = var.deletion_policy
}

locals {
  uris = [hsm_ec_keypair.signing.uri]
}

data "hsm_jwks" "published" {
  uris = local.uris
}

output "kid" {
  value = hsm_ec_keypair.signing.kid
}

output "jwks" {
  value = data.hsm_jwks.published.json
}
