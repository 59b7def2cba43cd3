# Programs that use the key find the chain beside it. The certificate gets the ID of its key.
resource "hsm_certificate" "issuing" {
  label           = "issuing"
  certificate_pem = file("issuing.pem")
}

resource "hsm_certificate" "root" {
  label           = "root"
  certificate_pem = file("root.pem")
  key_id          = "726f6f742d31" # its key is on another token
}
