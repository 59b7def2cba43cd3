mock_provider "hsm" {
  source = "./mocks"
}

run "the_key_is_protected_and_published" {
  assert {
    condition     = hsm_ec_keypair.signing.deletion_policy == "prevent"
    error_message = "The key is not protected."
  }

  assert {
    condition     = contains(jsondecode(output.jwks).keys[*].kid, output.kid)
    error_message = "The key is not published."
  }
}
