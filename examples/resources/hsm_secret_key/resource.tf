# A key that encrypts and decrypts, protected from destruction.
resource "hsm_secret_key" "records" {
  label  = "records"
  key_id = "7265636f7264732d31" # the text "records-1"
  type   = "aes"
  bits   = 256
  usage  = ["encrypt", "decrypt"]
}

# A key for HMAC. It is destroyed with its resource.
resource "hsm_secret_key" "webhooks" {
  label           = "webhooks"
  type            = "generic"
  bits            = 256
  usage           = ["sign", "verify"]
  deletion_policy = "delete"
}

# A key that wraps other keys, to take them to another token.
resource "hsm_secret_key" "transport" {
  label  = "transport"
  key_id = "7472616e73706f72742d31" # "transport-1"
  type   = "aes"
  bits   = 256
  usage  = ["wrap", "unwrap"]
}
