# The two keys that Ory Hydra signs with, made before Hydra starts. Their public halves go to whoever
# verifies. Hydra and Terraform find the token by the same environment: HSM_LIBRARY, HSM_TOKEN_LABEL and
# HSM_PIN.

terraform {
  required_version = ">= 1.4" # for terraform_data

  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

provider "hsm" {}

# The label is the name of a key set in Hydra. With a key_id of your own choice, no second key is made if
# the state is lost. The text of the key_id is the kid by which verifiers find the key.
resource "hsm_rsa_keypair" "id_token" {
  label  = "hydra.openid.id-token"
  key_id = "69642d746f6b656e2d31" # "id-token-1"
}

resource "hsm_rsa_keypair" "access_token" {
  label  = "hydra.jwt.access-token"
  key_id = "6163636573732d746f6b656e2d31" # "access-token-1"
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
