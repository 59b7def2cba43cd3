# The keys of a token, such as data.hsm_jwks.new.json, and an old key that verifiers still need.
locals {
  new = jsonencode({ keys = [
    { kid = "2026", kty = "OKP", crv = "Ed25519", x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
  ] })
  old = jsonencode(
    { kid = "2025", kty = "OKP", crv = "Ed25519", x = "wJNmNDr6Imp2sGvvXsxWoGiJoGISxww7byH4WQGIpcw" }
  )
}

output "jwks" {
  value = provider::hsm::jwks([local.new, local.old])
}
