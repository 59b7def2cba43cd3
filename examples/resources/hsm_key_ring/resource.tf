# The signing keys of Hydra's access tokens. Raise generation by one to rotate. Hydra publishes both labels:
# webfinger.jwks.broadcast_keys = ["hydra.jwt.access-token", "hydra.jwt.access-token.standby"]
resource "hsm_key_ring" "access_token" {
  label      = "hydra.jwt.access-token"
  generation = 1
}

# A ring on a curve, which keeps two past pairs published and destroys the others. Verifiers keep a set for an hour at
# most.
resource "hsm_key_ring" "events" {
  label            = "events"
  generation       = 1
  curve            = "P-256"
  previous         = 2
  retired          = "destroy"
  min_publish_time = "2h"
}

# The set of all pairs that are published.
data "hsm_jwks" "events" {
  uris = hsm_key_ring.events.uris
}
