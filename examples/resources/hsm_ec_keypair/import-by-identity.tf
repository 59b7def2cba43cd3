# You may leave out token_serial. With it, the import is refused on any other token.
import {
  to = hsm_ec_keypair.tokens
  identity = {
    key_id       = "746f6b656e732d31"
    token_serial = "1f0d5b7a3c9e2468"
  }
}
