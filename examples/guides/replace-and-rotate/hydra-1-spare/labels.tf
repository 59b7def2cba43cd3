locals {
  labels = {
    access-token-1 = "hydra.jwt.access-token"
    access-token-2 = "spare"
    access-token-3 = "spare"
  }
}
