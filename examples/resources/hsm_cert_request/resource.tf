resource "hsm_ec_keypair" "web" {
  label  = "web"
  key_id = "7765622d31" # the text "web-1"
  curve  = "P-256"
}

# A request for a certificate of that key, for a CA elsewhere.
resource "hsm_cert_request" "web" {
  public_key_pem = hsm_ec_keypair.web.public_key_pem

  subject {
    common_name  = "www.example.com"
    organization = "ACME Examples, Inc"
  }

  dns_names = ["www.example.com", "example.com"]
}

output "cert_request_pem" {
  value = hsm_cert_request.web.cert_request_pem
}
