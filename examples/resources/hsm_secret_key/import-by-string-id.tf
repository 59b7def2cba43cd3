# The key comes in with deletion_policy "prevent", whatever the configuration says; the next apply sets that.
import {
  to = hsm_secret_key.records
  id = "7265636f7264732d31"
}
