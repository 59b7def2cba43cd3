data "hsm_token" "this" {}

output "token" {
  value = "${data.hsm_token.this.manufacturer} ${data.hsm_token.this.model}, firmware ${data.hsm_token.this.firmware_version}"
}

# The keys that the token can make, and their sizes.
output "generates" {
  value = {
    for mechanism in data.hsm_token.this.mechanisms : mechanism.name => "${mechanism.min_key_size} to ${mechanism.max_key_size}"
    if contains(mechanism.flags, "generate_key_pair") && mechanism.max_key_size != null
  }
}

# A plan warns before the token locks.
check "pin" {
  assert {
    condition     = data.hsm_token.this.pin_state == "ok"
    error_message = "The state of the user PIN is ${data.hsm_token.this.pin_state}."
  }
}
