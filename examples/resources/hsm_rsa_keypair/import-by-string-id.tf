# The key comes in with deletion_policy "prevent", whatever the configuration says; the next apply sets that.
import {
  to = hsm_rsa_keypair.id_token
  id = "69642d746f6b656e2d31"
}
