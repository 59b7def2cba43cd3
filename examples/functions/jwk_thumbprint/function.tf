output "thumbprint" {
  value = provider::hsm::jwk_thumbprint(jsonencode({
    kty = "OKP"
    crv = "Ed25519"
    x   = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
  })) # kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k
}
