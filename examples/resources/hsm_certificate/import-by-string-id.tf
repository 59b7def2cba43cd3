# The import sets deletion_policy to "prevent", whatever the configuration says. The next apply corrects that.
import {
  to = hsm_certificate.root
  id = "726f6f742d31"
}
