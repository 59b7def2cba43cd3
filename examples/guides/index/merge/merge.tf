# PEM has no use and no alg, so they are added.
locals {
  old_key = merge(
    jsondecode(provider::hsm::pem_to_jwk(file("old.pem"), "old-1")),
    { use = "sig", alg = "RS256" },
  )
}

output "all_jwks" {
  value = provider::hsm::jwks([data.hsm_jwks.hydra.json, jsonencode(local.old_key)])
}
