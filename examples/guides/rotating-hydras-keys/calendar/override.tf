resource "hsm_key_ring" "access_token" {
  generation = provider::hsm::generation("2026-01-01T00:00:00Z", "90d", plantimestamp())
}
