# The keys of the tls provider: the state holds the private halves.

terraform {
  required_providers {
    tls = {
      source = "hashicorp/tls"
    }
  }
}

resource "tls_private_key" "ca" {
  algorithm = "RSA"
  rsa_bits  = 2048
}

resource "tls_private_key" "server" {
  algorithm = "RSA"
  rsa_bits  = 2048
}
