# One of the two is enough where it tells one token.
import {
  to = hsm_token.hydra
  identity = {
    serial = "5401385e7283ada7"
    label  = "hydra"
  }
}
