variable "github_api" {
  default = "https://api.github.com"
}

data "hsm_public_key" "github" {
  key_id = "6769746875622d31" # text: github-1
}

ephemeral "hsm_jwt" "github" {
  public_key_pem = data.hsm_public_key.github.public_key_pem
  expires_in     = "10m"
  claims         = jsonencode({ iss = "123456" }) # the App's ID, or its client ID
}

resource "terraform_data" "github" {
  provisioner "local-exec" {
    command = "sh github.sh"
    environment = {
      JWT = ephemeral.hsm_jwt.github.token
      API = var.github_api
    }
  }
}
