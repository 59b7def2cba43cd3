variable "tenant" {
  default = "00000000-0000-0000-0000-000000000000"
}

resource "hsm_rsa_keypair" "azure" {
  label        = "azure"
  key_id       = provider::hsm::key_id("azure-1")
  modulus_bits = 2048
}

ephemeral "hsm_random" "azure" {
  bytes = 16
}

ephemeral "hsm_jwt" "azure" {
  public_key_pem = hsm_rsa_keypair.azure.public_key_pem
  algorithm      = "PS256"
  expires_in     = "10m"
  kid            = ""

  # The certificate's digest in base64url. azure.der is the certificate that the application has in Entra ID, in DER.
  header = jsonencode({
    "x5t#S256" = replace(replace(trimsuffix(filebase64sha256("azure.der"), "="), "+", "-"), "/", "_")
  })

  claims = jsonencode({
    iss = "11111111-1111-1111-1111-111111111111"
    sub = "11111111-1111-1111-1111-111111111111"
    aud = "https://login.microsoftonline.com/${var.tenant}/oauth2/v2.0/token"
    jti = ephemeral.hsm_random.azure.hex
  })
}
