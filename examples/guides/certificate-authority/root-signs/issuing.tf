resource "hsm_locally_signed_cert" "issuing" {
  cert_request_pem = file("issuing.csr")
  ca_cert_pem      = hsm_self_signed_cert.root.cert_pem

  is_ca_certificate       = true
  max_path_length         = 0 # it certifies no further CA
  allowed_uses            = ["cert_signing", "crl_signing"]
  validity_period_hours   = 43830 # 5 years
  early_renewal_hours     = 8766  # due a year before
  crl_distribution_points = ["http://pki.example.com/root.crl"]

  # Whoever gets hold of its key certifies no other servers.
  name_constraints = {
    permitted_dns_domains = ["example.com"]
    excluded_ip_ranges    = ["0.0.0.0/0", "::/0"]
  }
}

output "issuing" {
  value = hsm_locally_signed_cert.issuing.cert_pem
}
