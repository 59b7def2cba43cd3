# A signing key for JSON Web Tokens (ES256), protected from destruction.
resource "hsm_ec_keypair" "tokens" {
  label  = "tokens"
  key_id = "746f6b656e732d31" # the text "tokens-1", which becomes the kid
  curve  = "P-256"
}

# A key on an Edwards curve (EdDSA).
resource "hsm_ec_keypair" "releases" {
  label = "releases"
  curve = "Ed25519"
}

# A key that agrees on secrets with others (ECDH). It is destroyed with its resource.
resource "hsm_ec_keypair" "exchange" {
  label           = "exchange"
  key_id          = "65786368616e67652d31" # "exchange-1"
  curve           = "P-384"
  usage           = ["derive"]
  deletion_policy = "delete"
}
