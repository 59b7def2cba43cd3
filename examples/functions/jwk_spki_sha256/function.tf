# The kid that Kubernetes gives to this key, where it signs the tokens of service accounts with it.
output "spki_sha256" {
  value = provider::hsm::jwk_spki_sha256(jsonencode({
    kty = "OKP"
    crv = "Ed25519"
    x   = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
  })) # BuP9j9opu2CrWVV95h7bCuzbIxE0vjDnW0Vfjht5L6k
}
