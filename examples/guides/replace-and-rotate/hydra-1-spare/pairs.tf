locals {
  pairs = {
    access-token-1 = { label = "hydra.jwt.access-token", deletion_policy = "prevent" }
    access-token-2 = { label = "spare", deletion_policy = "prevent" }
    access-token-3 = { label = "spare", deletion_policy = "prevent" }
  }
}
