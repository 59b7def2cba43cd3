# The import sets deletion_policy to "prevent", whatever the configuration says. The next apply corrects that.
import {
  to = hsm_rsa_keypair.id_token
  id = "69642d746f6b656e2d31"
}
