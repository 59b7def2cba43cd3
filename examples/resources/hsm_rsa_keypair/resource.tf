# Hydra's key for ID tokens: 4096 bits, only for signing, protected from destruction.
resource "hsm_rsa_keypair" "id_token" {
  label  = "hydra.openid.id-token"
  key_id = "69642d746f6b656e2d31" # the text "id-token-1", which becomes the kid
}

# A key that decrypts what others encrypt. It is destroyed with its resource.
resource "hsm_rsa_keypair" "envelope" {
  label           = "envelope"
  key_id          = "656e76656c6f70652d31" # "envelope-1"
  modulus_bits    = 3072
  usage           = ["decrypt", "unwrap"]
  deletion_policy = "delete"

  timeouts = {
    create = "30m" # small tokens take their time
  }
}
