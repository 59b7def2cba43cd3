# The import sets deletion_policy to "prevent", whatever the configuration says. The next apply corrects that.
import {
  to = hsm_key_ring.access_token
  id = "hydra.jwt.access-token"
}
