# You may leave out key_id_prefix and token_serial. A prefix chooses among the rings whose pairs have the label. With
# token_serial, the import is refused on any other token.
import {
  to = hsm_key_ring.access_token
  identity = {
    label         = "hydra.jwt.access-token"
    key_id_prefix = "hydra.jwt.access-token-"
    token_serial  = "1f0d5b7a3c9e2468"
  }
}
