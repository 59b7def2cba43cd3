# A certificate authority.
resource "tls_self_signed_cert" "ca" {
  private_key_pem = tls_private_key.ca.private_key_pem

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
resource "tls_cert_request" "server" {
  private_key_pem = tls_private_key.server.private_key_pem

  subject {
    common_name  = "example.com"
    organization = "Example"
  }
}

resource "tls_locally_signed_cert" "server" {
  cert_request_pem   = tls_cert_request.server.cert_request_pem
  ca_private_key_pem = tls_private_key.ca.private_key_pem
  ca_cert_pem        = tls_self_signed_cert.ca.cert_pem

  validity_period_hours = 12

  allowed_uses = [
    "key_encipherment",
    "digital_signature",
    "server_auth",
  ]
}

# A server that nobody certifies.
resource "tls_self_signed_cert" "server" {
  private_key_pem = tls_private_key.server.private_key_pem

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
  value = tls_self_signed_cert.ca.cert_pem
}

output "request" {
  value = tls_cert_request.server.cert_request_pem
}

output "issued" {
  value = tls_locally_signed_cert.server.cert_pem
}

output "self_signed" {
  value = tls_self_signed_cert.server.cert_pem
}
