# You may leave out token_serial. With it, the import is refused on any other token.
import {
  to = hsm_ml_dsa_keypair.firmware
  identity = {
    key_id       = "6669726d776172652d31"
    token_serial = "1f0d5b7a3c9e2468"
  }
}
