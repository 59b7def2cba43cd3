terraform {
  required_version = ">= 1.5" # for import blocks

  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

provider "hsm" {}

import {
  to = hsm_rsa_keypair.mail
  id = "mail/6d61696c"
}
