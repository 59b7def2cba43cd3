terraform {
  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

variable "key_id" {
  type = string
}

variable "kid_format" {
  type    = string
  default = "text"
}

resource "hsm_ec_keypair" "this" {
  label  = "jwt"
  key_id = var.key_id
  curve  = "P-256"
}

# In a local value, so that a change of the key's label or policy makes no set wait.
locals {
  uris = [hsm_ec_keypair.this.uri]
}

data "hsm_jwks" "this" {
  uris       = local.uris
  kid_format = var.kid_format
}

output "jwks" {
  value = data.hsm_jwks.this.json
}
