locals {
  signs = "web-2"

  versions = {
    web-2 = { key_id = "7765622d32", published = true, deletion_policy = "prevent" }
  }
}
