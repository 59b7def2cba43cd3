mock_provider "hsm" {
  source = "./mocks"
}

override_resource {
  target = hsm_ec_keypair.signing
  values = {
    kid = "jwt-2"
    uri = "pkcs11:token=mock;id=jwt-2" # hsm_jwks wants one
  }
}

run "the_kid_is_that_of_the_key" {
  assert {
    condition     = output.kid == "jwt-2"
    error_message = "The output is not the key's kid."
  }
}
