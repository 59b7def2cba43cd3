terraform {
  required_version = ">= 1.14" # for terraform query

  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

provider "hsm" {}
