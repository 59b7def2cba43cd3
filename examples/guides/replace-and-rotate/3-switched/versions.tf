locals {
  signs = "web-2"

  versions = {
    web   = { key_id = "776562", published = true, deletion_policy = "prevent" }
    web-2 = { key_id = "7765622d32", published = true, deletion_policy = "prevent" }
  }
}
