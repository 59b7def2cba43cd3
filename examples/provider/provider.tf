terraform {
  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

# The library, the token and the PIN come from Hydra's own variables:
# HSM_LIBRARY, HSM_TOKEN_LABEL and HSM_PIN.
provider "hsm" {}
