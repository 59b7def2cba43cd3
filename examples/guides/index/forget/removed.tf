# In the place of the resource (Terraform 1.7 and later).
removed {
  from = hsm_rsa_keypair.id_token

  lifecycle {
    destroy = false
  }
}
