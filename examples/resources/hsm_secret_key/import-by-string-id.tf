# The import sets deletion_policy to "prevent", whatever the configuration says. The next apply corrects that.
import {
  to = hsm_secret_key.records
  id = "7265636f7264732d31"
}
