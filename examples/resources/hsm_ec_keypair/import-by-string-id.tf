# The import sets deletion_policy to "prevent", whatever the configuration says. The next apply corrects that.
import {
  to = hsm_ec_keypair.tokens
  id = "746f6b656e732d31"
}
