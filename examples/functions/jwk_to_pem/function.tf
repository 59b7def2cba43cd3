output "pem" {
  value = provider::hsm::jwk_to_pem(jsonencode({
    kty = "OKP"
    crv = "Ed25519"
    x   = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
  }))
}
