resource "hsm_key_ring" "access_token" {
  curve = "P-256"
}
