variable "token_url" {
  default = "https://login.example.com/oauth2/token"
}

ephemeral "hsm_random" "jti" {
  bytes = 16
}

ephemeral "hsm_jwt" "oauth" {
  public_key_pem = hsm_ec_keypair.client.public_key_pem
  expires_in     = "5m"
  claims = jsonencode({
    iss = "my-client"
    sub = "my-client"
    aud = var.token_url
    jti = ephemeral.hsm_random.jti.hex
  })
}

resource "terraform_data" "oauth" {
  provisioner "local-exec" {
    command = "sh oauth.sh"
    environment = {
      ASSERTION = ephemeral.hsm_jwt.oauth.token
      TOKEN_URL = var.token_url
    }
  }
}
