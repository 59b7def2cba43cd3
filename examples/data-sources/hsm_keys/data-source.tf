data "hsm_keys" "all" {}

# Halves of key pairs whose other half is missing.
output "strays" {
  value = [for key in data.hsm_keys.all.keys : "${key.class} ${key.type} ${key.label}" if key.twin_missing == true]
}

# The names of one service's private keys.
data "hsm_keys" "service" {
  class        = "private"
  label_prefix = "service."
}

output "service_keys" {
  value = data.hsm_keys.service.keys[*].uri
}

# A plan warns if the token holds objects that nobody can use.
check "token_is_tidy" {
  assert {
    condition     = data.hsm_keys.all.unreadable == 0
    error_message = "${data.hsm_keys.all.unreadable} objects on the token cannot be read."
  }
}
