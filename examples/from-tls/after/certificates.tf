# A certificate authority.
resource "hsm_self_signed_cert" "ca" {
  public_key_pem = hsm_rsa_keypair.ca.public_key_pem

  subject {
    common_name  = "Example CA"
    organization = "Example"
  }

  is_ca_certificate     = true
  validity_period_hours = 8760

  allowed_uses = [
    "cert_signing",
    "crl_signing",
  ]
}

# A server asks it, and gets a certificate.
resource "hsm_cert_request" "server" {
  public_key_pem = hsm_rsa_keypair.server.public_key_pem

  subject {
    common_name  = "example.com"
    organization = "Example"
  }
}

resource "hsm_locally_signed_cert" "server" {
  cert_request_pem  = hsm_cert_request.server.cert_request_pem
  ca_public_key_pem = hsm_rsa_keypair.ca.public_key_pem
  ca_cert_pem       = hsm_self_signed_cert.ca.cert_pem

  validity_period_hours = 12

  allowed_uses = [
    "key_encipherment",
    "digital_signature",
    "server_auth",
  ]
}

# A server that nobody certifies.
resource "hsm_self_signed_cert" "server" {
  public_key_pem = hsm_rsa_keypair.server.public_key_pem

  subject {
    common_name  = "example.com"
    organization = "Example"
  }

  validity_period_hours = 12

  allowed_uses = [
    "key_encipherment",
    "digital_signature",
    "server_auth",
  ]
}

output "ca" {
  value = hsm_self_signed_cert.ca.cert_pem
}

output "request" {
  value = hsm_cert_request.server.cert_request_pem
}

output "issued" {
  value = hsm_locally_signed_cert.server.cert_pem
}

output "self_signed" {
  value = hsm_self_signed_cert.server.cert_pem
}
