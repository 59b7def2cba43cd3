locals {
  signs = "tokens-2"

  versions = {
    tokens-2 = { published = true, deletion_policy = "prevent" }
  }
}
