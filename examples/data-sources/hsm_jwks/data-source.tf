resource "hsm_rsa_keypair" "a" {
  label  = "service.a"
  key_id = "612d31" # "a-1"
}

# The URI is unknown until the key exists, so the set is read after that. By way of a local value, it is read in the
# plan while the URI stays, as it does when the key gets another label.
locals {
  uris = [hsm_rsa_keypair.a.uri]
}

data "hsm_jwks" "a" {
  uris = local.uris
}

# Labels are known from the start. So say which key must exist first.
data "hsm_jwks" "service" {
  label_prefix = "service."
  kid_format   = "thumbprint"
  algorithms   = { RSA = "PS256" }

  depends_on = [hsm_rsa_keypair.a]
}

output "jwks" {
  value = data.hsm_jwks.a.json
}

output "kids" {
  value = data.hsm_jwks.service.keys[*].kid
}
