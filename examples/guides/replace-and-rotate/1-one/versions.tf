locals {
  signs = "web"

  versions = {
    web = { key_id = "776562", published = true, deletion_policy = "prevent" }
  }
}
