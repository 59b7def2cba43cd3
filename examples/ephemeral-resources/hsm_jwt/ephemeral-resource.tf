resource "hsm_ec_keypair" "service" {
  label  = "service"
  key_id = "736572766963652d31" # text: service-1
  curve  = "P-256"
}

ephemeral "hsm_jwt" "service" {
  public_key_pem = hsm_ec_keypair.service.public_key_pem
  expires_in     = "10m"
  claims = jsonencode({
    iss = "service"
    sub = "service"
    aud = "https://login.example.com/token"
  })
}

# Readers verify it with this set.
data "hsm_jwks" "service" {
  uris = [hsm_ec_keypair.service.uri]
}
