resource "hsm_token" "web" {
  label = "web" # that of HSM_TOKEN_LABEL
}
