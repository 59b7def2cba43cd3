locals {
  signs = "tokens-2"

  versions = {
    tokens-1 = { published = false, deletion_policy = "delete" }
    tokens-2 = { published = true, deletion_policy = "prevent" }
  }
}
