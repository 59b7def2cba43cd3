resource "hsm_key_ring" "access_token" {
  previous         = 0
  min_publish_time = "0s"
  retired          = "destroy"
}
