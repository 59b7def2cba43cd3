resource "hsm_crl" "issuing" {
  ca_cert_pem           = file("issuing.pem")
  validity_period_hours = 168 # a week
  early_renewal_hours   = 72
  revoked               = []
}

output "crl" {
  value = hsm_crl.issuing.crl_pem
}
