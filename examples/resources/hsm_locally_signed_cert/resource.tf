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

# A request from anywhere: here, of a key on the same token.
resource "hsm_ec_keypair" "web" {
  label  = "web"
  key_id = "7765622d31" # the text "web-1"
  curve  = "P-256"
}

resource "hsm_cert_request" "web" {
  public_key_pem = hsm_ec_keypair.web.public_key_pem
  dns_names      = ["www.example.com"]

  subject {
    common_name = "www.example.com"
  }
}

# A server's certificate for 90 days, of which another one is made a month before it ends. Its names are those of the
# request.
resource "hsm_locally_signed_cert" "web" {
  cert_request_pem = hsm_cert_request.web.cert_request_pem
  ca_cert_pem      = hsm_self_signed_cert.root.cert_pem

  allowed_uses            = ["digital_signature", "server_auth"]
  crl_distribution_points = ["http://ca.example.com/root.crl"]

  validity_period_hours = 2160
  early_renewal_hours   = 720
}
