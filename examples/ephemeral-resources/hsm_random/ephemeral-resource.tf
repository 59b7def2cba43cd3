ephemeral "hsm_random" "password" {
  bytes = 32
}

# The bytes differ in each run, so something else says when they are taken: here a new number, and beside a write-only
# argument its version.
resource "terraform_data" "password" {
  triggers_replace = 1

  provisioner "local-exec" {
    command     = "./set-password.sh"
    environment = { PASSWORD = ephemeral.hsm_random.password.base64 }
  }
}
