terraform {
  required_providers {
    hsm = {
      source  = "terraform-provider-hsm/hsm"
      version = "~> 0.1.0"
    }
  }
}

provider "hsm" {}
