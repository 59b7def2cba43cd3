resource "hsm_locally_signed_cert" "web" {
  cert_request_pem = file("web.csr")
  ca_cert_pem      = file("issuing.pem")

  allowed_uses            = ["digital_signature", "server_auth"]
  validity_period_hours   = 2160 # 90 days
  early_renewal_hours     = 720  # due 30 days before
  crl_distribution_points = ["http://pki.example.com/issuing.crl"]
}

# What the server shows: its own certificate, then that of the CA.
output "web" {
  value = join("", [hsm_locally_signed_cert.web.cert_pem, file("issuing.pem")])
}

# What its revocation would name.
output "revoke" {
  value = {
    serial_number = hsm_locally_signed_cert.web.serial_number
    expires       = hsm_locally_signed_cert.web.validity_end_time
  }
}
