terraform {
  required_version = ">= 1.8" # for functions of providers

  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

# The library and the PIN come from HSM_LIBRARY and HSM_PIN. A token with a PIN of its own has the argument pin.
provider "hsm" {
  alias       = "north"
  token_label = "north"
}

provider "hsm" {
  alias       = "south"
  token_label = "south"
}

module "north" {
  source    = "./signing-key"
  providers = { hsm = hsm.north }
  key_id    = provider::hsm::key_id("north-1")
}

module "south" {
  source    = "./signing-key"
  providers = { hsm = hsm.south }
  key_id    = provider::hsm::key_id("south-1")
}

output "jwks" {
  value = provider::hsm::jwks([module.north.jwks, module.south.jwks])
}
