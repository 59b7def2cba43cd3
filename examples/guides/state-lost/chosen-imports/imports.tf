import {
  for_each = toset(["tokens-1", "tokens-2"])
  to       = hsm_ec_keypair.tokens[each.key]
  id       = "${each.key}/${provider::hsm::key_id(each.key)}" # LABEL/KEY_ID
}
