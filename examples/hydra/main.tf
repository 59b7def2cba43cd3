# From a blank token to the two keys that Ory Hydra signs with, made before Hydra starts. Their public
# halves go to whoever verifies. Hydra and Terraform find the token by the same environment: HSM_LIBRARY,
# HSM_TOKEN_LABEL=hydra and HSM_PIN. Terraform makes the token with HSM_SO_PIN, and needs that only then.

terraform {
  required_version = ">= 1.4" # for terraform_data

  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

provider "hsm" {}

# Initialises a blank token and sets its user's PIN to HSM_PIN. If your token is initialised already,
# import it, or leave this block out, and depends_on below.
resource "hsm_token" "hydra" {
  label = "hydra"
}

# The label is the name of a key set in Hydra. With a key_id of your own choice, no second key is made if
# the state is lost. The text of the key_id is the kid by which verifiers find the key.
resource "hsm_rsa_keypair" "id_token" {
  label  = "hydra.openid.id-token"
  key_id = "69642d746f6b656e2d31" # "id-token-1"

  depends_on = [hsm_token.hydra]
}

resource "hsm_rsa_keypair" "access_token" {
  label  = "hydra.jwt.access-token"
  key_id = "6163636573732d746f6b656e2d31" # "access-token-1"

  depends_on = [hsm_token.hydra]
}

# In a local value, or each change of a key's label or policy makes the set wait, and replaces what depends on it.
locals {
  uris = [hsm_rsa_keypair.id_token.uri, hsm_rsa_keypair.access_token.uri]
}

data "hsm_jwks" "hydra" {
  uris    = local.uris
  profile = "hydra" # an error if Hydra would not serve the same set
}

# This stands for whatever verifies tokens: an API gateway, a config map, an object in a bucket.
resource "terraform_data" "verifier" {
  input = data.hsm_jwks.hydra.json
}

output "jwks" {
  description = "The JSON Web Key Set of both keys."
  value       = data.hsm_jwks.hydra.json
}
