locals {
  google = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/on-premises/providers/hsm"
}

ephemeral "hsm_jwt" "google" {
  public_key_pem = hsm_ec_keypair.client.public_key_pem
  expires_in     = "1h"
  claims = jsonencode({
    iss = "https://keys.example.com"
    sub = "deployer"
    aud = "https:${local.google}"
  })
}
