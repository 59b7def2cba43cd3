locals {
  pem = <<-EOT
    -----BEGIN PUBLIC KEY-----
    MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
    -----END PUBLIC KEY-----
  EOT
}

output "jwk" {
  value = provider::hsm::pem_to_jwk(local.pem, "2026")
}

# PEM has no use and no alg. Here they are added, and the kid is left out.
output "jwk_for_signatures" {
  value = jsonencode(merge(
    jsondecode(provider::hsm::pem_to_jwk(local.pem, null)),
    { use = "sig", alg = "EdDSA" },
  ))
}
