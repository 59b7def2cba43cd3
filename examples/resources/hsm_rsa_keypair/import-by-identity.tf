# You may leave out token_serial. With it, the import is refused on any other token.
import {
  to = hsm_rsa_keypair.id_token
  identity = {
    key_id       = "69642d746f6b656e2d31"
    token_serial = "1f0d5b7a3c9e2468"
  }
}
