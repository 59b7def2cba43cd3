# The import takes key IDs from the token, and only keys that the PIN protects.
data "hsm_keys" "service" {
  class        = "private"
  type         = "EC"
  label_prefix = "service."
}

import {
  for_each = {
    for key in data.hsm_keys.service.keys : key.label => key.key_id
    if key.private == true && contains(local.names, key.label)
  }
  to = hsm_ec_keypair.service[each.key]
  id = each.value
}
