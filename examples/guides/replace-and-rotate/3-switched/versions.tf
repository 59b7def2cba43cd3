locals {
  signs = "tokens-2"

  versions = {
    tokens-1 = { published = true, deletion_policy = "prevent" }
    tokens-2 = { published = true, deletion_policy = "prevent" }
  }
}
