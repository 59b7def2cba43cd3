# A signing key that withstands quantum computers, protected from destruction.
resource "hsm_ml_dsa_keypair" "firmware" {
  label         = "firmware"
  key_id        = "6669726d776172652d31" # the text "firmware-1", which becomes the kid
  parameter_set = "ML-DSA-65"
}
