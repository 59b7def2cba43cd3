# The SO PIN comes from HSM_SO_PIN, the user's PIN is the provider's own, such as HSM_PIN. The label is that of
# HSM_TOKEN_LABEL, so that the same provider block finds the token.
resource "hsm_token" "hydra" {
  label = "hydra"
}

resource "hsm_ec_keypair" "first" {
  label  = "first"
  key_id = "66697273742d31" # the text "first-1"
  curve  = "P-256"

  depends_on = [hsm_token.hydra]
}
