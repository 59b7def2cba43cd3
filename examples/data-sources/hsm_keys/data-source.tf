data "hsm_keys" "all" {}

# Halves of key pairs whose other half is missing.
output "strays" {
  value = [for key in data.hsm_keys.all.keys : "${key.class} ${key.type} ${key.label}" if key.twin_missing == true]
}

# Names of the private keys of one service.
data "hsm_keys" "service" {
  class        = "private"
  label_prefix = "service."
}

output "service_keys" {
  value = data.hsm_keys.service.keys[*].uri
}

# A plan warns where the token holds what nobody can use.
check "token_is_tidy" {
  assert {
    condition     = data.hsm_keys.all.unreadable == 0
    error_message = "${data.hsm_keys.all.unreadable} objects on the token cannot be read."
  }
}
