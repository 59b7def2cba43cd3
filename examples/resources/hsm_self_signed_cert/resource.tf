resource "hsm_ec_keypair" "root" {
  label  = "root"
  key_id = "726f6f742d31" # the text "root-1"
  curve  = "P-384"
}

# A root CA for ten years, which certifies names of example.com alone. A plan makes another certificate of the same key a
# year before this one ends.
resource "hsm_self_signed_cert" "root" {
  public_key_pem = hsm_ec_keypair.root.public_key_pem

  subject {
    common_name  = "Example Root"
    organization = "ACME Examples, Inc"
  }

  is_ca_certificate = true
  max_path_length   = 1
  allowed_uses      = ["cert_signing", "crl_signing"]

  name_constraints = {
    permitted_dns_domains = ["example.com"]
  }

  validity_period_hours = 87600
  early_renewal_hours   = 8760
}
