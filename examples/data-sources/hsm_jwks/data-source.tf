resource "hsm_rsa_keypair" "a" {
  label  = "service.a"
  key_id = "612d31" # "a-1"
}

# In a local value, or each change of the key's label or policy makes the set wait, and replaces what depends on it.
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
