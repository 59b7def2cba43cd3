# Hydra's two sets of keys that sign, as rings that rotate without an outage. The token is there already: examples/hydra
# makes one. Hydra and Terraform find it by the same environment: HSM_LIBRARY, HSM_TOKEN_LABEL=hydra and HSM_PIN.
# hydra.yml is Hydra's configuration. Apply this before Hydra starts.

terraform {
  required_providers {
    hsm = {
      source = "terraform-provider-hsm/hsm"
    }
  }
}

provider "hsm" {}

# Keep the numbers in a file such as rotation.auto.tfvars. Those of the command line are forgotten, and the next apply
# would go back.
variable "generation" {
  description = "Which generation signs. One more rotates."
  type        = object({ id_token = number, access_token = number })
  default     = { id_token = 1, access_token = 1 }
}

# Each ring makes two pairs: one signs, and the next one is published under the label with .standby.
resource "hsm_key_ring" "id_token" {
  label         = "hydra.openid.id-token"
  key_id_prefix = "id-token-" # generation 1 has the kid id-token-1
  generation    = var.generation.id_token
}

resource "hsm_key_ring" "access_token" {
  label         = "hydra.jwt.access-token"
  key_id_prefix = "access-token-"
  generation    = var.generation.access_token
}

# In a local value, or each change of a label or a policy makes the set wait.
locals {
  uris = concat(hsm_key_ring.id_token.uris, hsm_key_ring.access_token.uris)
}

# The set that Hydra publishes, for whoever does not ask Hydra: an API gateway, a config map, an object in a bucket.
data "hsm_jwks" "hydra" {
  uris    = local.uris
  profile = "hydra" # an error if Hydra would not serve the same set
}

output "jwks" {
  description = "The JSON Web Key Set of all pairs that are published."
  value       = data.hsm_jwks.hydra.json
}

output "rotation_possible_at" {
  description = "When each ring may rotate."
  value = {
    id_token     = hsm_key_ring.id_token.rotation_possible_at
    access_token = hsm_key_ring.access_token.rotation_possible_at
  }
}
