resource "hsm_rsa_keypair" "a" {
  label  = "service.a"
  key_id = "612d31" # "a-1"
}

# The natural way: the URI is not known before the key exists, so the set is read after that.
data "hsm_jwks" "a" {
  uris = [hsm_rsa_keypair.a.uri]
}

# Labels are known from the start, so say what has to be there first.
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
