locals {
  labels = {
    access-token-1 = "hydra.jwt.access-token"
    access-token-2 = "hydra.jwt.access-token"
    access-token-3 = "spare"
  }
}
