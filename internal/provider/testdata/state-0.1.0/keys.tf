resource "hsm_rsa_keypair" "k" {
  label           = "an RSA pair"
  key_id          = "6b31"
  modulus_bits    = 2048
  deletion_policy = "delete"
}

resource "hsm_ec_keypair" "k" {
  label           = "a pair on a curve"
  key_id          = "6b32"
  curve           = "P-256"
  deletion_policy = "abandon"
}

resource "hsm_secret_key" "k" {
  label  = "a secret key"
  key_id = "6b33"
  type   = "aes"
  bits   = 256
  usage  = ["decrypt", "encrypt"]
}

data "hsm_jwks" "k" {
  uris = [hsm_rsa_keypair.k.uri]
}

resource "terraform_data" "k" {
  triggers_replace = [hsm_rsa_keypair.k.uri, hsm_ec_keypair.k.uri, hsm_secret_key.k.uri, hsm_rsa_keypair.k.jwk, data.hsm_jwks.k.json]
}

output "uri" {
  value = hsm_rsa_keypair.k.uri
}

output "set" {
  value = data.hsm_jwks.k.json
}
