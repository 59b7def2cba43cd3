data "hsm_certificates" "all" {}

# Certificates whose key is on the token, and when they end.
output "ends" {
  value = {
    for c in data.hsm_certificates.all.certificates : c.label => c.validity_end_time if c.has_private_key == true
  }
}

# The certificates of one key.
data "hsm_certificates" "web" {
  key_id = "7765622d31" # "web-1"
}

# A plan warns if somebody has written what is no certificate.
check "certificates_can_be_read" {
  assert {
    condition     = alltrue([for c in data.hsm_certificates.all.certificates : c.problem == null])
    error_message = "A certificate on the token cannot be read."
  }
}
