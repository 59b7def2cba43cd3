variables {
  deletion_policy = "delete"
}

run "the_token_makes_the_key_that_is_published" {
  assert {
    condition     = hsm_ec_keypair.signing.local
    error_message = "The key was not made on the token."
  }

  assert {
    condition     = jsondecode(output.jwks).keys[*].x == [jsondecode(hsm_ec_keypair.signing.jwk).x]
    error_message = "The set has other keys than this one."
  }
}
