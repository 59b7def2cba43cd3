ephemeral "hsm_jwt" "vault" {
  public_key_pem = hsm_ec_keypair.client.public_key_pem
  expires_in     = "5m"
  claims = jsonencode({
    iss = "terraform"
    sub = "deployer"
    aud = "https://vault.example.com"
  })
}
