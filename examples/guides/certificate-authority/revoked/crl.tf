resource "hsm_crl" "issuing" {
  ca_cert_pem           = file("issuing.pem")
  validity_period_hours = 168 # a week
  early_renewal_hours   = 72

  revoked = [
    {
      serial_number = "5f8e1c7b2a"
      time          = "2026-12-01T09:00:00Z" # not in the future
      reason        = "key_compromise"
      expires       = "2027-02-27T08:00:00Z" # when the certificate ends
    },
  ]
}

output "crl" {
  value = hsm_crl.issuing.crl_pem
}
