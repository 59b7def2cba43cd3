# The import sets deletion_policy to "prevent". The first apply records the versions of PINs, and sets none.
import {
  to = hsm_token.hydra
  id = "hydra"
}
