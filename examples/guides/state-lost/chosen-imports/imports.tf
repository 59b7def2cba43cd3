import {
  for_each = toset(["web-1", "web-2"])
  to       = hsm_ec_keypair.web[each.key]
  id       = "${each.key}/${provider::hsm::key_id(each.key)}" # LABEL/KEY_ID
}
