# The key comes in with deletion_policy "prevent", whatever the configuration says; the next apply sets that.
import {
  to = hsm_ec_keypair.tokens
  id = "746f6b656e732d31"
}
