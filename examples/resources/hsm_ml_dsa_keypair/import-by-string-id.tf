# The import sets deletion_policy to "prevent", whatever the configuration says. The next apply corrects that.
import {
  to = hsm_ml_dsa_keypair.firmware
  id = "6669726d776172652d31"
}
