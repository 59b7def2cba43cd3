resource "hsm_ec_keypair" "root" {
  label  = "root"
  key_id = "726f6f742d31" # the text "root-1"
  curve  = "P-384"
}

resource "hsm_self_signed_cert" "root" {
  public_key_pem = hsm_ec_keypair.root.public_key_pem

  subject {
    common_name = "Example Root"
  }

  is_ca_certificate     = true
  allowed_uses          = ["cert_signing", "crl_signing"]
  validity_period_hours = 87600
}

# The root's revocation list, for a week. A plan makes the next one a day before this one ends.
resource "hsm_crl" "root" {
  ca_cert_pem = hsm_self_signed_cert.root.cert_pem

  revoked = [
    {
      serial_number = "3fb1c6a90d2e"
      time          = "2026-11-01T08:00:00Z"
      reason        = "key_compromise"
      expires       = "2027-01-30T08:00:00Z" # from when on it may be left out
    },
  ]

  validity_period_hours = 168
  early_renewal_hours   = 24
}
