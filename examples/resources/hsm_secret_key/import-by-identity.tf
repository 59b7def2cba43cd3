# You may leave out token_serial. With it, the import is refused on any other token.
import {
  to = hsm_secret_key.records
  identity = {
    key_id       = "7265636f7264732d31"
    token_serial = "1f0d5b7a3c9e2468"
  }
}
