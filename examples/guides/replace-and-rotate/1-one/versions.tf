locals {
  signs = "tokens-1"

  versions = {
    tokens-1 = { published = true, deletion_policy = "prevent" }
  }
}
