resource "hsm_rsa_keypair" "a" {
  label  = "service.a"
  key_id = "612d31" # "a-1"
}

# The URI is unknown until the key exists, so the public key is read after that.
data "hsm_public_key" "a" {
  uri = hsm_rsa_keypair.a.uri
}

output "pem" {
  value = data.hsm_public_key.a.public_key_pem
}

output "fingerprint" {
  value = data.hsm_public_key.a.public_key_fingerprint_openssh
}
